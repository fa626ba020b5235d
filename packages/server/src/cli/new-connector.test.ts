import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeConnectorFolder } from './new-connector.ts'

const LIST = `import type { Connector } from '@patchbay/connector-sdk'
import { sftp } from './sftp/index.ts'
import { webhook } from './webhook/index.ts'

export const connectors: readonly Connector[] = [sftp, webhook]
`

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-connectors-'))
  writeFileSync(join(folder, 'index.ts'), LIST)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a new connector has all its files, and is in the list', async () => {
  const made = await makeConnectorFolder('my-service', folder)
  expect(readdirSync(join(folder, 'my-service')).toSorted()).toEqual([
    'README.md',
    'icon.svg',
    'index.test.ts',
    'index.ts',
  ])
  expect(made.next).toContain('npx vitest run packages/connectors/src/my-service')
  const list = readFileSync(join(folder, 'index.ts'), 'utf8')
  expect(list).toContain("import { myService } from './my-service/index.ts'\n\nexport")
  expect(list).toContain('[sftp, webhook, myService]')
})

test('its test fails until somebody has written it', async () => {
  await makeConnectorFolder('my-service', folder)
  expect(readFileSync(join(folder, 'my-service', 'index.test.ts'), 'utf8')).toContain('expect.fail(')
})

test.each(['', 'My-Service', 'my_service', '../x', '-x', 'x-', 'x'.repeat(61)])('%j is no id', async (id) => {
  await expect(makeConnectorFolder(id, folder)).rejects.toMatchObject({ code: 'invalid', path: 'id' })
  expect(readdirSync(folder)).toEqual(['index.ts'])
})

test('what is there is not written over', async () => {
  mkdirSync(join(folder, 'taken'))
  await expect(makeConnectorFolder('taken', folder)).rejects.toMatchObject({ path: 'id' })
  expect(readFileSync(join(folder, 'index.ts'), 'utf8')).toBe(LIST)
})
