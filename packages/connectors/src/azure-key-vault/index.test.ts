import { assertConnector } from '@patchbay/connector-sdk/testing'
import { expect, it } from 'vitest'
import { azureKeyVault } from './index.ts'

it('is a definition without problems, that lists and reads and sends no rows', async () => {
  await assertConnector(azureKeyVault)
  expect(Object.keys(azureKeyVault.destinations)).toEqual([])
  expect(Object.keys(azureKeyVault.secrets ?? {}).toSorted()).toEqual(['list', 'read'])
})
