/** The one place where the parts are put together. What a part needs of the world is passed in from here. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connector } from '@patchbay/connector-sdk'
import { connectors } from '@patchbay/connectors'
import type { Hono } from 'hono'
import { sql } from 'kysely'
import { pino, type Logger } from 'pino'
import { parseAllowedHosts } from './connector-host/allow-hosts.ts'
import { checkFileRoots } from './connector-host/file-roots.ts'
import type { ConnectionAccess } from './connector-host/context.ts'
import { makeConnectorHost, type ConnectorHost } from './connector-host/host.ts'
import { readOperatorClients } from './connector-host/oauth/client.ts'
import { makeRegistry } from './connector-host/registry.ts'
import { makeApp } from './http/app.ts'
import { makeWatch, traceOf } from './http/watch.ts'
import type { AppEnv } from './http/who-asks.ts'
import { backupStream } from './main/backup.ts'
import { checkBeforeRun, checkStored } from './main/check-stored.ts'
import { connectionAccess, readFromVault, type AccessParts } from './main/connection-access.ts'
import { describeSystem } from './main/describe-system.ts'
import { makeServiceSignIn } from './main/service-sign-in.ts'
import { makeKeyRotation } from './main/key-rotation.ts'
import { makeLakePort } from './main/lake-port.ts'
import { keyPlace, mayKnow, sendNotification } from './main/send-notification.ts'
import { VERSION } from './main/version.ts'
import { runExport } from './engine/run-export.ts'
import type { EnginePorts } from './engine/ports.ts'
import { tableRefreshed } from './jobs/after-refresh.ts'
import { startHealthWatch } from './jobs/health-watch.ts'
import { startNotifyWatch } from './jobs/notify-watch.ts'
import type { Repeating } from './jobs/repeat.ts'
import { makeRunPort } from './jobs/run-port.ts'
import { startScheduler } from './jobs/scheduler.ts'
import { startWorker, type WorkerOptions } from './jobs/worker.ts'
import { authorityOf } from './access/authority.ts'
import { OPERATOR } from './access/identity.ts'
import { makeSignIn } from './access/sign-in.ts'
import { makeLink } from './store/link.ts'
import { findOwner } from './store/user.ts'
import { connectorFacts, makeClock, makeDestinations, makeEngineLake } from './main/engine-ports.ts'
import { startHousekeeping } from './main/housekeeping.ts'
import { approveRun, cancelRun, retryRun } from './jobs/change-run.ts'
import { enqueueRun } from './jobs/enqueue-run.ts'
import { openQueue } from './jobs/queue.ts'
import { SettingInvalid, type Settings } from './settings.ts'
import { appendAudit } from './store/audit.ts'
import { rememberConnectors } from './store/connection-list.ts'
import { anchorPath, readAnchor } from './store/audit-anchor.ts'
import { dataKeyPlace } from './store/data-key.ts'
import type { Connection } from './domain/connection.ts'
import type { ConnectionId, RunId } from './domain/ids.ts'
import type { Tx } from './store/schema.ts'
import { openStore, type Store } from './store/open-store.ts'
import { openVault, type RotationPoint, type Vault } from './vault/vault.ts'

/** Built by `npm start`; see packages/web/build.ts. */
const PAGES_FOLDER = join(import.meta.dirname, '../../web/dist')

/** Long enough to read the log of a server that was started in the evening. */
const OWNER_LINK_MS = 86_400_000

export interface Patchbay {
  readonly app: Hono<AppEnv>
  readonly store: Store
  readonly log: Logger
  /** Works on what is queued until `close`; with schedules, also starts what is due. A second call does nothing. */
  startWorker(options: { readonly withSchedules: boolean }): Promise<void>
  /** The token of a new one-time link that makes the owner; undefined where there is one. Older links are good for nothing then. */
  makeOwnerLink(): Promise<string | undefined>
  /** Ends the answers that go on until somebody ends them, so that the others can be waited for. */
  stopFollowing(): void
  close(): Promise<void>
}

/** What tests and the proof do differently. */
export interface PatchbayOptions {
  readonly pagesFolder?: string
  readonly now?: () => Date
  readonly failpoint?: EnginePorts['failpoint']
  readonly workerTiming?: WorkerOptions['timing']
  readonly rotationFailpoint?: (point: RotationPoint) => void
  /** Beside those that come with it, and instead of those with the same ids: tests bring their own. */
  readonly connectors?: readonly Connector[]
}

export async function openPatchbay(settings: Settings, options: PatchbayOptions = {}): Promise<Patchbay> {
  const log = pino({ level: settings.log, base: null }, pino.destination({ dest: 2, sync: true }))
  const clock = { now: options.now ?? (() => new Date()) }
  const rules = {
    allowed: checked('PATCHBAY_ALLOW_HOSTS', () => parseAllowedHosts(settings.allowHosts)),
    ownPorts: [settings.port],
  }
  const own = options.connectors ?? []
  const registry = makeRegistry([...connectors.filter(({ id }) => own.every((one) => one.id !== id)), ...own])
  const store = await openStore({
    dataFolder: settings.dataFolder,
    ...(settings.databaseUrl === undefined ? {} : { databaseUrl: settings.databaseUrl }),
  })
  try {
    await rememberConnectors(store.db, registry.connectors)
    const folders = await makeFolders(settings)
    const fileRoots = await checkedLater('PATCHBAY_FILE_ROOTS', () => checkFileRoots(settings.fileRoots))
    const vault = await openVault({
      keyFile: settings.keyFile,
      dataKeys: dataKeyPlace(store.db, clock.now),
      randomBytes,
      ...(options.rotationFailpoint === undefined ? {} : { failpoint: options.rotationFailpoint }),
    })
    const { oauthClients: clientsFile } = settings
    const oauthClients =
      clientsFile === undefined
        ? new Map()
        : checked('PATCHBAY_OAUTH_CLIENTS', () => readOperatorClients(clientsFile, registry.connectors))
    const host = makeConnectorHost({
      rules,
      oauthClients,
      fileRoots,
      spoolFolder: join(folders.lake, 'runs'),
      log,
      now: clock.now,
      ...(options.failpoint === undefined ? {} : { failpoint: options.failpoint }),
    })
    const parts = { db: store.db, vault, registry, host, now: clock.now }
    const accessOf = (connection: Connection): ConnectionAccess => connectionAccess(parts, connection)
    const rotation = makeKeyRotation({
      store,
      vault,
      registry,
      onError: (error) => log.error(traceOf(error), 'secrets could not be sealed anew; a restart tries again'),
      ...(options.rotationFailpoint === undefined ? {} : { failpoint: options.rotationFailpoint }),
    })
    await rotation.resume()
    const queue = await openQueue(store, (error) => log.warn(traceOf(error), 'trouble in the upkeep of the queue'))
    const stopping = new AbortController()
    const limits = { memoryLimitMb: settings.memoryMb, threads: settings.threads }
    const app = makeApp({
      version: VERSION,
      pagesFolder: options.pagesFolder ?? PAGES_FOLDER,
      db: store.db,
      clock,
      randomBytes,
      watch: makeWatch(log, () => countOpenRuns(store)),
      lake: makeLakePort(folders, limits),
      registry,
      host,
      secrets: {
        seal: (place, text) => vault.seal(text, place),
        accessOf,
        readFromVault: (vaultId, name, field) => readFromVault(parts, vaultId, name, field),
      },
      signIn: makeSignIn({
        db: store.db,
        secret: Buffer.from(vault.deriveKey('sessions', new Uint8Array())).toString('base64'),
        publicUrl: settings.publicUrl,
        randomBytes,
      }),
      publicUrl: settings.publicUrl,
      networkAddress: `${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${settings.port}`,
      serviceSignIn: makeServiceSignIn({ ...parts, host, accessOf, publicUrl: settings.publicUrl }),
      notifications: { canMail: false, sealKey: (place, key) => vault.seal(key, keyPlace(place)) },
      uploadBytesMax: settings.uploadMaxMb * 1_000_000,
      requestsPerMinute: settings.requestsPerMinute,
      stopping: stopping.signal,
      jobs: {
        startRun: (tx, run, by) => enqueueRun(tx, queue, { ...run, startedBy: 'person' }, by),
        cancelRun: (tx, id, by) => cancelRun(tx, queue, id, by),
        approveRun: (tx, id, digest, by) => approveRun(tx, queue, id, digest, by),
        retryRun: (tx, id, include, by) => retryRun(tx, queue, id, include, by),
        tableRefreshed: (tx, id, by) => tableRefreshed(tx, queue, id, by),
        wake: () => queue.wake(),
      },
      system: {
        describe: () => describeSystem(settings, store),
        backup: (signal) => backupStream({ store, vault, lakeFolder: folders.lake, clock, randomBytes, signal }),
        isReady: () => isReady(store, vault, Object.values(folders)),
        async confirmRestore(by) {
          if (!(await store.isRestored())) return false
          await store.db.transaction().execute(async (tx) => {
            // The queue is no part of a backup: what waits is queued anew.
            for (const id of await listWaitingRuns(tx)) await queue.send(tx, id, null)
            await appendAudit(tx, {
              at: by.now,
              actor: by.actor,
              action: 'restore.confirmed',
              subject: 'store',
              detail: {},
            })
          })
          await store.confirmRestore()
          return true
        },
        keyRotation: rotation,
        readAuditAnchor: () => readAnchor(anchorPath(settings.dataFolder)),
      },
    })
    const failpoint = options.failpoint ?? (() => undefined)
    const engine: EnginePorts = {
      runs: makeRunPort({
        db: store.db,
        queue,
        findConnector: connectorFacts(registry),
        authority: (db, run) => authorityOf(db, run, clock.now()),
        now: clock.now,
        randomBytes,
      }),
      lake: makeEngineLake(folders.lake, limits),
      destinations: makeDestinations(parts, host),
      clock: makeClock(clock.now),
      random: Math.random,
      failpoint,
    }
    const working: { stop(): Promise<void> }[] = []
    return {
      app,
      store,
      log,
      startWorker({ withSchedules }) {
        if (working.length > 0) return Promise.resolve()
        const onError = (error: unknown, runId: string | null = null): void =>
          log.error({ runId, ...traceOf(error) }, 'a run met trouble that is not of its own')
        const worker = startWorker({
          store,
          queue,
          executeRun: async (lease, signal, isLast) => {
            // Whatever it meets, the run meets as well, and says so in its own words.
            if (withSchedules)
              await checkBeforeRun(parts, host, lease.runId, randomBytes, signal).catch(() => undefined)
            return runExport(lease, engine, signal, isLast)
          },
          concurrency: settings.runsAtOnce,
          onError,
          randomBytes,
          failpoint,
          ...(options.workerTiming === undefined ? {} : { timing: options.workerTiming }),
        })
        working.push(worker)
        if (withSchedules) {
          working.push(startScheduler({ store, queue, now: clock.now, randomBytes, onError, failpoint }))
          working.push(...startBackground(parts, vault, host, log))
          working.push(startHousekeeping(store.db, folders, clock.now, onError, settings.runDays))
        }
        return Promise.resolve()
      },
      makeOwnerLink: () =>
        store.db.transaction().execute(async (tx) => {
          if ((await findOwner(tx)) !== undefined) return undefined
          const now = clock.now()
          const expiresAt = new Date(now.getTime() + OWNER_LINK_MS)
          const by = { actor: OPERATOR.name, now, randomBytes }
          return (await makeLink(tx, { kind: 'owner', expiresAt }, by)).token
        }),
      stopFollowing: () => stopping.abort(),
      async close() {
        stopping.abort()
        await Promise.all([...working.map((part) => part.stop()), rotation.stop()])
        await queue.close()
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** What goes on beside the runs: the health of connections, and notifications on their way. */
function startBackground(parts: AccessParts, vault: Vault, host: ConnectorHost, log: Logger): readonly Repeating[] {
  const { db, now } = parts
  const common = { db, now, onError: (error: unknown) => log.error(traceOf(error), 'trouble in the background') }
  return [
    startHealthWatch({
      ...common,
      check: (id, startedBy, signal) => checkStored(parts, host, id, startedBy, randomBytes, signal),
      random: Math.random,
      randomBytes,
    }),
    startNotifyWatch({
      ...common,
      mayKnow: (delivery) => mayKnow(db, delivery, now()),
      send: (delivery, signal) => sendNotification({ vault, host }, delivery, signal),
    }),
  ]
}

async function makeFolders({ dataFolder, described, fileRoots }: Settings) {
  const folders = {
    lake: join(dataFolder, 'lake'),
    uploads: join(dataFolder, 'uploads'),
    spill: join(dataFolder, 'spill'),
  }
  for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true, mode: 0o700 })
  // The default root is ours to make; one that the operator names is there, or is a mistake.
  const isDefault = described.some(({ name, source }) => name === 'PATCHBAY_FILE_ROOTS' && source === 'default')
  if (isDefault) for (const root of fileRoots) await mkdir(root, { recursive: true, mode: 0o750 })
  return folders
}

/** Whether requests can be answered and runs be made: the store answers and is what it was, files can be written, secrets sealed. */
async function isReady(store: Store, vault: Vault, folders: readonly string[]): Promise<boolean> {
  if (await store.isRestored()) return false
  await sql`SELECT 1`.execute(store.db)
  for (const folder of folders) await access(folder, constants.R_OK | constants.W_OK)
  const place = { connectionId: 'con_aaaaaaaaaaaaaaaaaaaa' as ConnectionId, field: 'probe', endpointIdentity: 'none' }
  return (await vault.open(vault.seal('probe', place), place)) === 'probe'
}

async function listWaitingRuns(tx: Tx): Promise<readonly RunId[]> {
  const rows = await tx.selectFrom('run').select('id').where('status', 'in', ['queued', 'failed-retrying']).execute()
  return rows.map(({ id }) => id as RunId)
}

async function countOpenRuns({ db }: Store): Promise<Readonly<Record<string, number>>> {
  const { rows } = await sql<{ status: string; count: number }>`
    SELECT status, count(*) AS count FROM run
     WHERE status IN ('queued', 'running', 'held', 'failed-retrying') GROUP BY status`.execute(db)
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}

/** The parts know what their settings mean; what they refuse is said as a setting that is wrong. */
function checked<T>(setting: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw wrongSetting(setting, error)
  }
}

async function checkedLater<T>(setting: string, parse: () => Promise<T>): Promise<T> {
  try {
    return await parse()
  } catch (error) {
    throw wrongSetting(setting, error)
  }
}

function wrongSetting(setting: string, error: unknown): SettingInvalid {
  const message = error instanceof Error ? error.message.replace(`${setting}: `, '') : 'it cannot be used'
  return new SettingInvalid(setting, message, 'Correct it in the environment or in patchbay.env')
}
