import { assertConnector } from '@patchbay/connector-sdk/testing'
import { expect, it } from 'vitest'
import { hashiCorpVault } from './index.ts'

it('is a definition without problems, that lists and reads and sends no rows', async () => {
  await assertConnector(hashiCorpVault)
  expect(Object.keys(hashiCorpVault.destinations)).toEqual([])
  expect(Object.keys(hashiCorpVault.secrets ?? {}).toSorted()).toEqual(['list', 'read'])
})
