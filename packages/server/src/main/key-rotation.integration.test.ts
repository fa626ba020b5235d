/** The key is rotated while everything goes on, and a process killed at any point of it leaves no secret that does not open. */
import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeClient, type Client } from '@patchbay/contract'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import { startPostgresql } from '../../../connectors/test-servers/postgresql.ts'
import { openPatchbay, type Patchbay } from '../main.ts'
import { readSettings, type Settings } from '../settings.ts'
import { copyTemplate } from '../test-support/test-store.ts'
import { restoreBackup } from './restore.ts'

const CHILD = fileURLToPath(new URL('../test-support/rotation-child.ts', import.meta.url))
const SECRETS = 7
const secretOf = (index: number): string => `token-${index}-of-the-receiver`

let dataFolder: string
let environment: Readonly<Record<string, string>>
let settings: Settings
let receiver: Server
let received: (string | undefined)[]
const cleaning: (() => unknown)[] = []
const opened = new Set<Patchbay>()

beforeEach(async () => {
  received = []
  receiver = createServer((request, response) => {
    received.push(request.headers.authorization)
    request.resume()
    response.end('{}')
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  dataFolder = await copyTemplate()
  cleaning.push(() => rmSync(dataFolder, { recursive: true, force: true }))
  useEnvironment({})
})
afterEach(async () => {
  for (const patchbay of opened) await patchbay.close()
  opened.clear()
  for (const clean of cleaning.splice(0).toReversed()) await clean()
  receiver.close()
  receiver.closeAllConnections()
})

function useEnvironment(more: Readonly<Record<string, string>>): void {
  environment = {
    PATCHBAY_DATA: dataFolder,
    PATCHBAY_LOG: 'silent',
    PATCHBAY_THREADS: '1',
    PORT: '0',
    PATCHBAY_ALLOW_HOSTS: '127.0.0.1',
    ...more,
  }
  settings = readSettings(environment, dataFolder)
}

async function start(use: Settings = settings): Promise<{ readonly patchbay: Patchbay; readonly client: Client }> {
  const patchbay = await openPatchbay(use)
  opened.add(patchbay)
  const client = makeClient(async (request) => patchbay.app.fetch(request, { door: 'operator' }))
  return { patchbay, client }
}

async function stop(patchbay: Patchbay): Promise<void> {
  opened.delete(patchbay)
  await patchbay.close()
}

async function addSecret(client: Client, index: number): Promise<void> {
  await client.connections.add({
    body: {
      name: `Hook ${index}`,
      connectorId: 'webhook',
      settings: { url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`, signIn: 'bearer' },
      secrets: { signingSecret: `whsec_${Buffer.alloc(32, index).toString('base64')}`, token: secretOf(index) },
    },
  })
}

/** Every one opens, and is what was entered: the receiver is shown it. */
async function expectSecrets(client: Client, indexes = Array.from({ length: SECRETS }, (_, index) => index)) {
  for (const index of indexes) {
    received = []
    const { ok } = await client.connections.check({ params: { connection: `Hook ${index}` } })
    expect(ok, `Hook ${index}`).toBe(true)
    expect(received).toContain(`Bearer ${secretOf(index)}`)
  }
}

async function rotated(client: Client) {
  const { oldKeyFile } = await client.system.rotateKey()
  for (;;) {
    const now = await client.system.keyRotation()
    if (!now.isRunning) return { ...now, oldKeyFile }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function killedAt(point: string, nth: number): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify({ environment, point, nth })], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)))
}

const POINTS: readonly (readonly [string, number])[] = [
  ['key-written', 1],
  ['keys-wrapped', 1],
  ['file-swapped', 1],
  ['rotation-settled', 1],
  ['row-sealed-anew', 1],
  ['row-sealed-anew', SECRETS],
]

describe('over the embedded store', () => {
  test('every secret opens afterwards, and the old key opens nothing', async () => {
    const { patchbay, client } = await start()
    for (let index = 0; index < SECRETS; index += 1) await addSecret(client, index)
    const before = join(dataFolder, 'copy-of-the-old-key')
    copyFileSync(settings.keyFile, before)
    const done = await rotated(client)
    expect(done).toMatchObject({ waiting: 0, unopened: 0, isUnsettled: false })
    expect(statSync(settings.keyFile).mode & 0o777).toBe(0o400)
    // The server goes on, with the old and with the new.
    await expectSecrets(client)
    await addSecret(client, SECRETS)
    await expectSecrets(client, [SECRETS])
    await stop(patchbay)

    const again = await start()
    await expectSecrets(again.client)
    await stop(again.patchbay)
    renameSync(before, settings.keyFile)
    await expect(openPatchbay(settings)).rejects.toMatchObject({ code: 'not-ready', path: 'PATCHBAY_KEY_FILE' })
    rmSync(settings.keyFile)
    await expect(openPatchbay(settings)).rejects.toThrow(/is missing, and the control store holds secrets/)
  })

  test.each(POINTS)('killed at %s (%i): everything opens, and the next rotation ends', async (point, nth) => {
    const first = await start()
    for (let index = 0; index < SECRETS; index += 1) await addSecret(first.client, index)
    await stop(first.patchbay)
    expect(await killedAt(point, nth)).toBe('SIGKILL')
    const { client } = await start()
    await expectSecrets(client)
    const done = await rotated(client)
    expect(done).toMatchObject({ waiting: 0, unopened: 0, isUnsettled: false })
    await expectSecrets(client)
    expect(existsSync(`${settings.keyFile}.next`)).toBe(false)
    expect(readdirSync(dirname(settings.keyFile)).filter((name) => name.endsWith('.new'))).toEqual([])
  })

  test('killed at every point, one after the other, without a rotation that ends', async () => {
    const first = await start()
    for (let index = 0; index < SECRETS; index += 1) await addSecret(first.client, index)
    await stop(first.patchbay)
    for (const [point, nth] of POINTS) expect(await killedAt(point, nth), point).toBe('SIGKILL')
    await expectSecrets((await start()).client)
  })

  test('a secret that was changed in the database stays as it is, and is counted', async () => {
    const { patchbay, client } = await start()
    await addSecret(client, 0)
    await addSecret(client, 1)
    const { id } = await client.connections.show({ params: { connection: 'Hook 0' } })
    await sql`UPDATE secret SET sealed = sealed || 'AAAA' WHERE field = 'token' AND connection_id = ${id}`.execute(
      patchbay.store.db,
    )
    expect(await rotated(client)).toMatchObject({ waiting: 1, unopened: 1 })
    await expectSecrets(client, [1])
  })

  test('a backup of before is put back with the old key file, and one of after with the new', async () => {
    const { patchbay, client } = await start()
    for (let index = 0; index < SECRETS; index += 1) await addSecret(client, index)
    const backups = [join(dataFolder, 'before.backup'), join(dataFolder, 'after.backup')] as const
    const save = async (path: string): Promise<void> =>
      writeFileSync(path, Buffer.from(await new Response(await client.system.backup()).arrayBuffer()))
    await save(backups[0])
    const { oldKeyFile } = await rotated(client)
    await save(backups[1])
    await stop(patchbay)
    for (const [backup, keyFile] of [
      [backups[0], oldKeyFile],
      [backups[1], settings.keyFile],
    ] as const) {
      const empty = await copyTemplate()
      cleaning.push(() => rmSync(empty, { recursive: true, force: true }))
      const there = readSettings({ ...environment, PATCHBAY_DATA: empty, PATCHBAY_KEY_FILE: keyFile }, empty)
      const wrong = readSettings(
        {
          ...environment,
          PATCHBAY_DATA: empty,
          PATCHBAY_KEY_FILE: keyFile === oldKeyFile ? settings.keyFile : oldKeyFile,
        },
        empty,
      )
      await expect(restoreBackup(wrong, backup)).rejects.toMatchObject({ code: 'invalid' })
      await restoreBackup(there, backup)
      const again = await start(there)
      await expectSecrets(again.client)
      await stop(again.patchbay)
    }
  })
})

describe.skipIf(!requirement('postgresql').available)('over PostgreSQL [needs postgresql]', () => {
  beforeEach(async () => {
    const server = await startPostgresql()
    cleaning.push(() => server.stop())
    useEnvironment({ DATABASE_URL: server.url })
  })

  test('other processes go on, and need the new key file only when the rotation is finished', async () => {
    const here = await start()
    for (let index = 0; index < 3; index += 1) await addSecret(here.client, index)
    // Another machine: its own copy of the key file.
    const elsewhere = join(dataFolder, 'key-elsewhere')
    copyFileSync(settings.keyFile, elsewhere)
    const there = await start(readSettings({ ...environment, PATCHBAY_KEY_FILE: elsewhere }, dataFolder))
    expect(await rotated(here.client)).toMatchObject({ waiting: 0, isUnsettled: true })

    await expectSecrets(there.client, [0, 1, 2])
    await addSecret(here.client, 3)
    await addSecret(there.client, 4)
    await expectSecrets(there.client, [3, 4])
    await expectSecrets(here.client, [3, 4])
    // A machine with the old file starts until the end.
    const late = await start(readSettings({ ...environment, PATCHBAY_KEY_FILE: elsewhere }, dataFolder))
    await expectSecrets(late.client, [0, 4])

    await expect(here.client.system.rotateKey()).rejects.toMatchObject({ code: 'conflict' })
    await expect(there.client.system.finishKeyRotation()).rejects.toMatchObject({ code: 'not-ready' })
    await here.client.system.finishKeyRotation()
    expect(await here.client.system.keyRotation()).toMatchObject({ isUnsettled: false })
    await expect(
      openPatchbay(readSettings({ ...environment, PATCHBAY_KEY_FILE: elsewhere }, dataFolder)),
    ).rejects.toMatchObject({ code: 'not-ready' })
    await expectSecrets(here.client, [0, 1, 2, 3, 4])
  })

  test.each(POINTS.filter(([point]) => point !== 'rotation-settled'))(
    'killed at %s (%i): everything opens',
    async (point, nth) => {
      const first = await start()
      for (let index = 0; index < SECRETS; index += 1) await addSecret(first.client, index)
      await stop(first.patchbay)
      expect(await killedAt(point, nth)).toBe('SIGKILL')
      const { client } = await start()
      await expectSecrets(client)
      if ((await client.system.keyRotation()).isUnsettled)
        await client.system.finishKeyRotation().catch(() => undefined)
      expect(await rotated(client)).toMatchObject({ waiting: 0, unopened: 0 })
      await client.system.finishKeyRotation()
      await expectSecrets(client)
    },
  )
})
