/** 50 workers and so many expiries are so many refreshes, at a real OpenID provider that ends a consent when a refresh token comes twice. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import { startPostgresql } from '../../../connectors/test-servers/postgresql.ts'
import { oauthConnector } from '../test-support/oauth-connector.ts'
import { CLIENT, startOidcServer } from '../test-support/oidc-server.ts'
import { makeRefreshWorkers } from '../test-support/refresh-workers.ts'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const PUBLIC = 'http://patchbay.example'
const HOUR_MS = 3_600_000
/** Each takes a tenth of a second: the whole proof is REFRESH_EXPIRIES=1000. */
const EXPIRIES = Number(process.env['REFRESH_EXPIRIES'] ?? 100)
const WORKERS_EACH = 25

const cleaning: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleaning.splice(0).toReversed()) await clean()
})

async function signedIn(environment: Readonly<Record<string, string>>) {
  const service = await startOidcServer(`${PUBLIC}/oauth/callback`)
  cleaning.push(() => service.stop())
  const patchbay: TestPatchbay = await openTestPatchbay(
    { connectors: [oauthConnector({ kind: 'refreshed', rotates: true })] },
    { PATCHBAY_ALLOW_HOSTS: '127.0.0.1', PATCHBAY_PUBLIC_URL: PUBLIC, ...environment },
  )
  cleaning.push(() => patchbay.remove())
  const { id } = await patchbay.client.connections.add({
    body: {
      name: 'Example',
      connectorId: 'oauth-example',
      settings: { url: service.origin, clientId: CLIENT.id },
      secrets: { clientSecret: CLIENT.secret },
    },
  })
  const params = { connection: id }
  const attempt = await patchbay.client.serviceSignIns.start({ params })
  const back = await service.browse(attempt.address)
  await patchbay.send(`${back.pathname}${back.search}`)
  await patchbay.client.serviceSignIns.finish({ params, body: { attempt: attempt.id } })
  return { service, patchbay, options: { keyFile: patchbay.settings.keyFile, connection: id, workers: WORKERS_EACH } }
}

/** Every expiry is one hour further; every process asks, and gets one token. */
async function storm(processes: readonly { askAll(aheadMs: number): Promise<number> }[]): Promise<void> {
  for (let round = 1; round <= EXPIRIES; round += 1) {
    const got = await Promise.all(processes.map((one) => one.askAll(round * HOUR_MS)))
    if (got.some((tokens) => tokens !== 1)) expect.fail(`In round ${round}: ${got.join(', ')} different tokens`)
  }
}

test('in one process over the embedded store', { timeout: 300_000 }, async () => {
  const { service, patchbay, options } = await signedIn({})
  // Two hosts know nothing of each other, as two processes do.
  const hosts = [
    await makeRefreshWorkers(patchbay.store.db, options),
    await makeRefreshWorkers(patchbay.store.db, options),
  ]
  await storm(hosts)
  expect(service.asked).toMatchObject({ authorization_code: 1, refresh_token: EXPIRIES })
})

test.skipIf(!requirement('postgresql').available)(
  'in two processes over PostgreSQL [needs postgresql]',
  { timeout: 300_000 },
  async () => {
    const database = await startPostgresql({ settings: { max_connections: '200' } })
    cleaning.push(() => database.stop())
    const { service, options } = await signedIn({ DATABASE_URL: database.url })
    const processes = [startProcess(database.url, options), startProcess(database.url, options)]
    await storm(await Promise.all(processes))
    expect(service.asked).toMatchObject({ authorization_code: 1, refresh_token: EXPIRIES })
  },
)

async function startProcess(databaseUrl: string, options: object) {
  const dataFolder = mkdtempSync(join(tmpdir(), 'patchbay-refresh-'))
  cleaning.push(() => rmSync(dataFolder, { recursive: true, force: true }))
  const file = fileURLToPath(new URL('../test-support/refresh-child.ts', import.meta.url))
  const argument = JSON.stringify({ ...options, dataFolder, databaseUrl })
  const child: ChildProcess = spawn(process.execPath, [file, argument], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  cleaning.push(async () => {
    child.kill()
    await ended
  })
  if (child.stdout === null) throw new Error('The child has no output')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next()
    if (done === true) throw new Error('The child ended')
    return value
  }
  expect(await next()).toBe('ready')
  return {
    async askAll(aheadMs: number): Promise<number> {
      child.stdin?.write(`${aheadMs}\n`)
      const answer = await next()
      const [, got] = /^got (\d+)$/.exec(answer) ?? []
      if (got === undefined) throw new Error(answer)
      return Number(got)
    },
  }
}
