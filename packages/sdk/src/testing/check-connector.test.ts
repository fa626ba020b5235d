/** The kit itself: a connector that is right passes every check, and each mistake is found by the check named for it. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defineConnector, type CheckStep, type Connector, type TargetField } from '../connector.ts'
import type { Context, Folder } from '../context.ts'
import { BatchRejected, ConnectionRefused, RateLimited, SettingsInvalid, Unavailable } from '../errors.ts'
import type { FileDelivery } from '../files.ts'
import { folderDelivery } from '../folder-delivery.ts'
import type { Batch, RowAnswer } from '../rows.ts'
import type { TableDelivery, TableOutcome } from '../tables.ts'
import { assertConnector, checkConnector } from './check-connector.ts'
import type { Trial } from './trial.ts'

const TOKEN = 'tok_canary_1234567890'

const settings = {
  url: { kind: 'text', label: 'Address', endpoint: true },
  folder: { kind: 'text', label: 'Folder', endpoint: true },
  token: { kind: 'secret', label: 'Token', help: 'Account, then Keys.' },
} as const
type Ctx = Context<typeof settings>

/** The parts that the mistakes below replace. */
interface Parts {
  readonly check: (ctx: Ctx) => AsyncGenerator<CheckStep>
  readonly deliver: (ctx: Ctx, batch: Batch) => Promise<Iterable<RowAnswer>>
  /** The far end of this test keeps nothing: a job's name says its answers. `asked` counts over all deliveries. */
  readonly job: (answers: Iterable<RowAnswer>) => string
  readonly collect: (job: string, asked: number) => Iterable<RowAnswer> | 'pending'
  readonly folder: (ctx: Ctx) => Promise<Folder>
  readonly files: (delivery: FileDelivery, ctx: Ctx) => FileDelivery
  readonly table: (delivery: TableDelivery, ctx: Ctx) => TableDelivery
  readonly close: () => Promise<void>
  readonly repeat: 'harmless' | 'keyed' | 'readable'
  readonly readBack: (batch: Batch) => Promise<Iterable<RowAnswer> | undefined>
  readonly targets: readonly TargetField[] | undefined
}

const RIGHT: Parts = {
  async *check(ctx) {
    const answer = await ctx.fetch(`${ctx.settings.url}/ping`)
    yield { step: 'reached', ok: true }
    if (answer.status !== 200) {
      yield { step: 'signed-in', ok: false, field: 'token', message: 'No' }
      return
    }
    yield { step: 'signed-in', ok: true }
  },
  async deliver(ctx, batch) {
    const body = `{"batch":"${batch.id}","rows":[${batch.json.join(',')}]}`
    const answer = await ctx.fetch(`${ctx.settings.url}/rows`, { method: 'POST', body })
    ctx.log('sent', { rows: batch.size })
    if (answer.status === 400) throw new BatchRejected('No')
    if (answer.status !== 200) throw new Unavailable('maybe', `Answered ${answer.status}`)
    const parsed = answer.json()
    const list: unknown =
      typeof parsed === 'object' && parsed !== null && 'answers' in parsed ? parsed.answers : undefined
    if (!Array.isArray(list)) throw new Unavailable('maybe', 'An unknown answer')
    const accepted = new Set(
      list.map((entry: unknown) =>
        typeof entry === 'object' && entry !== null && 'key' in entry ? entry.key : undefined,
      ),
    )
    return batch.keys.filter((key) => accepted.has(key)).map((key) => ({ key, status: 'accepted' }))
  },
  job: (answers) => JSON.stringify([...answers]),
  collect: (job, asked) => (asked % 3 === 0 ? 'pending' : (JSON.parse(job) as RowAnswer[])),
  folder: (ctx) => ctx.folder(ctx.settings.folder),
  files: (delivery) => delivery,
  table: (delivery) => delivery,
  close: () => Promise.resolve(),
  repeat: 'readable',
  readBack: () => Promise.resolve(undefined),
  targets: undefined,
}

function connectorOf(changes: Partial<Parts> = {}): Connector {
  const parts = { ...RIGHT, ...changes }
  let asked = 0
  return defineConnector({
    id: 'good-one',
    name: 'Good one',
    summary: 'Does everything as it should.',
    category: 'crm',
    direction: 'export',
    settings,
    auth: { type: 'header', headers: ({ token }) => ({ authorization: token.reveal() }), origin: ({ url }) => url },
    check: parts.check,
    destinations: {
      list: {
        delivers: 'rows',
        name: 'List',
        modes: ['upsert'],
        removal: 'They are removed.',
        fields: {},
        limits: { rowsPerBatch: 10, bytesPerBatch: 1000, batchesInFlight: 1 },
        repeat: () => ({ kind: parts.repeat }),
        targetFields: () => parts.targets,
        open: (ctx) => ({
          deliver: async (batch) => ({ job: parts.job(await parts.deliver(ctx, batch)) }),
          collect: (job) => Promise.resolve(parts.collect(job, asked++)),
          readBack: parts.readBack,
          close: parts.close,
        }),
      },
      files: {
        delivers: 'files',
        name: 'Files',
        modes: ['replace'],
        removal: 'They are not in the new files.',
        fields: {},
        limits: { partsPerTable: 2, partsInFlight: 2 },
        open: async (ctx, _values, run) => parts.files(folderDelivery(await parts.folder(ctx), '', run), ctx),
      },
      table: {
        delivers: 'table',
        name: 'Table',
        modes: ['replace'],
        removal: 'They are removed.',
        fields: {},
        open: (ctx) => parts.table(overHttp(ctx), ctx),
      },
    },
  })
}

/** A table behind the fake service: every call is one request. */
function overHttp(ctx: Ctx): TableDelivery {
  const ask = async (path: string, body = ''): Promise<unknown> =>
    (await ctx.fetch(`${ctx.settings.url}/table/${path}`, { method: 'POST', body })).json()
  return {
    isCommitted: async (runId) => ((await ask('committed', runId)) as TableOutcome | null) ?? undefined,
    begin: async (_shape, runId) => void (await ask('begin', runId)),
    async load(file) {
      const pieces: Uint8Array[] = []
      for await (const piece of file.read(1000)) pieces.push(piece)
      return (await ask('load', Buffer.concat(pieces).toString())) as number
    },
    commit: async () => (await ask('commit')) as TableOutcome,
    abandon: async () => void (await ask('abandon')),
  }
}

async function makeFake(): Promise<Trial> {
  const committed = new Map<string, TableOutcome>()
  let running = ''
  let rows = 0
  const table: Readonly<Record<string, (body: string) => unknown>> = {
    committed: (runId) => committed.get(runId) ?? null,
    begin: (runId) => ((running = runId), (rows = 0), null),
    load: (lines) => (rows += lines.split('\n').length - 1),
    commit: () => committed.set(running, { added: rows, changed: 0, removed: 0 }).get(running),
    abandon: () => null,
  }
  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const path = request.url?.split('/').slice(1) ?? []
      if (request.headers.authorization !== TOKEN) response.writeHead(401).end()
      else if (path[0] === 'rows') {
        const { rows: sent } = JSON.parse(body) as { rows: { key: string }[] }
        response.end(JSON.stringify({ answers: sent.map(({ key }) => ({ key })) }))
      } else response.end(JSON.stringify(path[0] === 'table' ? table[path[1] ?? '']?.(body) : {}))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const folder = await mkdtemp(join(tmpdir(), 'patchbay-kit-'))
  return {
    settings: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, folder },
    secrets: { token: TOKEN },
    destinations: {
      list: { values: {} },
      files: {
        values: {},
        standing: async () =>
          (await readdir(folder, { recursive: true, withFileTypes: true }))
            .filter((entry) => entry.isFile())
            .map((entry) => entry.name),
        read: (name) => readFile(join(folder, name), 'utf8'),
        async plant(name, text) {
          await mkdir(dirname(join(folder, name)), { recursive: true })
          await writeFile(join(folder, name), text)
        },
      },
      table: {
        values: {},
        shape: { columns: [{ name: 'a', type: 'integer', nullable: false }], key: ['a'], withChange: false },
        lines: ['1', '2'],
      },
    },
    async stop() {
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const failuresOf = async (connector: Connector): Promise<readonly string[]> =>
  (await checkConnector(connector, { makeFake }))
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ on, name }) => `${on}: ${name}`)

describe('a connector that is right', () => {
  it('passes everything, and nothing is skipped', async () => {
    const results = await assertConnector(connectorOf(), { makeFake })
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
    expect(results.length).toBeGreaterThan(40)
  })

  it('may answer at once', async () => {
    const connector = connectorOf()
    const list = connector.destinations['list']
    if (list?.delivers !== 'rows') throw new Error('It delivers rows')
    const atOnce: typeof list = {
      ...list,
      open: (ctx) => ({
        deliver: (batch) => RIGHT.deliver(ctx as Ctx, batch),
        readBack: RIGHT.readBack,
        close: RIGHT.close,
      }),
    }
    const results = await assertConnector({ ...connector, destinations: { list: atOnce } }, { makeFake })
    expect(results.filter(({ outcome }) => outcome === 'skipped').map(({ message }) => message)).toEqual([
      'it answers at once',
    ])
  })

  it('is looked at without a far end too', async () => {
    const results = await checkConnector(connectorOf())
    expect(new Set(results.map(({ on }) => on))).toEqual(new Set(['definition']))
  })
})

/** [the check, the mistake that it has to find]. */
const MISTAKES: readonly (readonly [string, Partial<Parts>])[] = [
  ['check: Verify passes where everything is right, in order', { async *check() {
    yield await Promise.resolve({ step: 'signed-in', ok: true } as const)
    yield { step: 'reached', ok: true }
  } }],
  ['check: Verify yields nothing after a step that failed, and throws only what a connector may', { async *check(ctx) {
    const isReached = await ctx.fetch(`${ctx.settings.url}/ping`).then(() => true, () => false)
    yield isReached ? { step: 'reached', ok: true } : { step: 'reached', ok: false, message: 'No' }
    yield { step: 'signed-in', ok: true }
  } }],
  ['check: Verify yields nothing after a step that failed, and throws only what a connector may', { async *check(ctx) {
    await ctx.fetch(`${ctx.settings.url}/ping`).catch((cause: unknown) => {
      throw new TypeError('undefined is not a function', { cause })
    })
    yield { step: 'reached', ok: true }
  } }],
  ['check: Verify yields nothing after a step that failed, and throws only what a connector may', { async *check() {
    yield await Promise.resolve({ step: 'reached', ok: true } as const)
  } }],
  ['list: a job is collected by any delivery, as often as it is asked', { job: () => '' }],
  ['list: a job is collected by any delivery, as often as it is asked', {
    collect: (job, asked) => (asked % 2 === 0 ? (JSON.parse(job) as RowAnswer[]) : []),
  }],
  ['list: a job is collected by any delivery, as often as it is asked', { collect: () => 'pending' }],
  ['check: the signal ends Verify within a second', { async *check(ctx) {
    await ctx.fetch(`${ctx.settings.url}/ping`).catch((error: unknown) => {
      if (ctx.signal.aborted) return new Promise((resolve) => setTimeout(resolve, 3000))
      throw error
    })
    yield { step: 'reached', ok: true }
  } }],
  ['check: no secret is in an error, a step or a log line', { async deliver(ctx, batch) {
    ctx.log('sent', { code: ctx.settings.token.reveal() })
    return RIGHT.deliver(ctx, batch)
  } }],
  ['check: no secret is in an error, a step or a log line', { async deliver(ctx, batch) {
    return RIGHT.deliver(ctx, batch).catch((cause: unknown) => {
      throw cause instanceof Unavailable ? new Unavailable(cause.sent, `key=${encodeURIComponent(ctx.settings.token.reveal())}`) : cause
    })
  } }],
  ['check: no secret is in an error, a step or a log line', { async *check(ctx) {
    await ctx.fetch(`${ctx.settings.url}/ping`)
    yield { step: 'reached', ok: true, detail: Buffer.from(ctx.settings.token.reveal()).toString('base64') }
  } }],
  ['list: good rows are accepted', { deliver: async (ctx, batch) => [...(await RIGHT.deliver(ctx, batch))].slice(1) }],
  ['list: every key is answered at most once, and no other', { async deliver(ctx, batch) {
    const answers = [...(await RIGHT.deliver(ctx, batch))]
    return [...answers, ...answers]
  } }],
  ['list: every key is answered at most once, and no other', { async deliver(ctx, batch) {
    return [...(await RIGHT.deliver(ctx, batch))].map((answer) => ({ ...answer, key: `${answer.key}x` as typeof answer.key }))
  } }],
  ['list: a batch that is sent again is the same', { deliver: (ctx, batch) => RIGHT.deliver(ctx, { ...batch, id: `${batch.id}${Math.random()}` }) }],
  ['list: a batch that is sent again is the same', { repeat: 'keyed', deliver: (ctx, batch) => RIGHT.deliver(ctx, { ...batch, id: 'x' }) }],
  ['list: an unknown answer is never a success', { async deliver(ctx, batch) {
    await ctx.fetch(`${ctx.settings.url}/rows`, { method: 'POST', body: `{"batch":"${batch.id}","rows":[${batch.json.join(',')}]}` })
    return batch.keys.map((key) => ({ key, status: 'accepted' }))
  } }],
  ['list: an unknown answer is never a success', { async deliver(ctx, batch) {
    return RIGHT.deliver(ctx, batch).catch((error: unknown) => {
      if (error instanceof Unavailable && error.message.includes('JSON')) throw new BatchRejected('No')
      throw error
    })
  } }],
  ['list: a refusal is never a success, and never a bug', { async deliver(ctx, batch) {
    const answer = await ctx.fetch(`${ctx.settings.url}/rows`, { method: 'POST', body: `{"batch":"${batch.id}","rows":[${batch.json.join(',')}]}` })
    if (answer.status === 409) return batch.keys.map((key) => ({ key, status: 'accepted' }))
    return RIGHT.deliver(ctx, batch)
  } }],
  ['list: a refusal is never a success, and never a bug', { async deliver(ctx, batch) {
    return RIGHT.deliver(ctx, batch).catch((error: unknown) => {
      if (error instanceof BatchRejected) throw new Error('Bad request')
      throw error
    })
  } }],
  ...(['list: failures keep their kind'] as const).flatMap((name) =>
    [
      (error: unknown) => (error instanceof RateLimited ? new Unavailable('no', 'Slow') : error),
      (error: unknown) => (error instanceof RateLimited ? new RateLimited(undefined) : error),
      (error: unknown) => (error instanceof Unavailable ? new Unavailable('no', 'Try again') : error),
      (error: unknown) => (error instanceof ConnectionRefused ? new SettingsInvalid('url', 'No') : error),
      (error: unknown) => new Error('Failed', { cause: error }),
    ].map((change): readonly [string, Partial<Parts>] => [name, { deliver: (ctx, batch) => RIGHT.deliver(ctx, batch).catch((error: unknown) => Promise.reject(change(error) as Error)) }])),
  ['list: failures keep their kind', { deliver: (ctx, batch) => RIGHT.deliver(ctx, batch).catch(() => []) }],
  ['list: the signal ends a delivery within a second', { async deliver(ctx, batch) {
    return RIGHT.deliver(ctx, batch).catch(async (error: unknown) => {
      if (ctx.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 3000))
      throw error
    })
  } }],
  ['list: what is normalised or hashed is known without asking', { targets: [{ name: 'a', label: 'A', type: 'email', normal: 'email' }] }],
  ['list: a delivery can be closed at any time', { close: () => Promise.reject(new Error('Not open')) }],
  ['list: what is readable can be read back', { readBack: (batch) => Promise.resolve(batch.keys.map((key) => ({ key, status: 'accepted' }))) }],
  ['list: what is readable can be read back', { readBack: undefined as never }],
  ['files: put leaves nothing under a final name, and tells the size', { files: (delivery) => ({ ...bound(delivery), put: async (file) => ({ sizeBytes: (await delivery.put(file)).sizeBytes - 1 }) }) }],
  ['files: put leaves nothing under a final name, and tells the size', { files: (delivery, ctx) => ({ ...bound(delivery), async put(file) {
    await writeFile(join(ctx.settings.folder, file.name.replaceAll('/', '-')), '')
    return delivery.put(file)
  } }) }],
  ['files: commit shows every file, whole', { files: (delivery) => ({ ...bound(delivery), commit: (manifest) => delivery.commit({ ...manifest, files: manifest.files.slice(1) }) }) }],
  ['files: commit a second time, also by another process, is harmless', { files: (delivery) => ({ ...bound(delivery), async commit(manifest) {
    if (committedOnce.has(manifest.files[0]?.name)) throw new Error('It is committed already')
    await delivery.commit(manifest)
    committedOnce.add(manifest.files[0]?.name)
  } }) }],
  ['files: abandon removes what put left, also in another process and twice', { files: (delivery) => ({ ...bound(delivery), abandon: () => Promise.resolve() }) }],
  ['files: a file that Patchbay did not write is not overwritten', { files: (delivery, ctx) => ({ ...bound(delivery), async commit(manifest) {
    await rm(join(ctx.settings.folder, 'foreign.csv'), { force: true })
    await delivery.commit(manifest)
  }, put: (file) => delivery.put({ ...file, name: `${file.name === 'foreign.csv' ? 'x' : ''}${file.name}` }) }) }],
  ['files: files of earlier runs are replaced and removed, and no others', { files: (delivery) => ({ ...bound(delivery), commit: (manifest) => delivery.commit({ ...manifest, superseded: [] }) }) }],
  ['files: files of earlier runs are replaced and removed, and no others', { files: (delivery, ctx) => ({ ...bound(delivery), async commit(manifest) {
    await delivery.commit(manifest)
    for (const { name } of manifest.superseded) if (!manifest.files.some((file) => file.name === name)) await rm(join(ctx.settings.folder, name), { force: true })
  } }) }],
  ['files: names that lead out are refused', { files: (delivery) => ({ ...bound(delivery), put: (file) => delivery.put({ ...file, name: file.name.replaceAll(/[^a-z.]/g, '') || 'x' }) }) }],
  ['files: an unreachable far end is told as such', { folder: (ctx) => RIGHT.folder(ctx).catch((cause: unknown) => Promise.reject(new Error('x', { cause }))) }],
  ['files: the signal ends a delivery within a second', { folder: (ctx) => RIGHT.folder(ctx).catch(async (error: unknown) => {
    if (ctx.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 3000))
    throw error
  }) }],
  ['table: load counts the rows, and commit tells what became of them', { table: (delivery) => ({ ...bound(delivery), load: async (file) => (await delivery.load(file)) + 1 }) }],
  ['table: load counts the rows, and commit tells what became of them', { table: (delivery) => ({ ...bound(delivery), commit: async () => ({ ...(await delivery.commit()), changed: 9 }) }) }],
  ['table: isCommitted tells what a commit did, and nothing of what was not committed', { table: (delivery) => ({ ...bound(delivery), isCommitted: () => Promise.resolve(undefined) }) }],
  ['table: isCommitted tells what a commit did, and nothing of what was not committed', { table: (delivery) => ({ ...bound(delivery), isCommitted: () => Promise.resolve({ added: 2, changed: 0, removed: 0 }) }) }],
  ['table: isCommitted tells what a commit did, and nothing of what was not committed', { table: (delivery) => ({ ...bound(delivery), commit: async () => ({ ...(await delivery.commit()), removed: 1 }) }) }],
  ['table: abandon leaves no trace, and can be called twice', { table: (delivery) => ({ ...bound(delivery), abandon: async () => void (await delivery.commit()) }) }],
  ['table: an unreachable far end is told as such', { table: (delivery) => ({ ...bound(delivery), begin: (shape, runId) => delivery.begin(shape, runId).catch(() => undefined) }) }],
  ['table: the signal ends a delivery within a second', { table: (delivery, ctx) => ({ ...bound(delivery), begin: (shape, runId) => delivery.begin(shape, runId).catch(async (error: unknown) => {
    if (ctx.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 3000))
    throw error
  }) }) }],
] // prettier-ignore

const committedOnce = new Set<string | undefined>()

/** A copy whose methods still belong to the original, so that one of them can be replaced. */
function bound<T extends object>(delivery: T): T {
  const names = [...Object.getOwnPropertyNames(Object.getPrototypeOf(delivery)), ...Object.keys(delivery)]
  const methods = names
    .filter((name) => name !== 'constructor' && typeof delivery[name as keyof T] === 'function')
    .map((name) => [name, (delivery[name as keyof T] as (...args: unknown[]) => unknown).bind(delivery)])
  return Object.fromEntries(methods) as T
}

describe('a connector that is wrong', () => {
  it.each(MISTAKES)('fails at "%s"', async (name, mistake) => {
    expect(await failuresOf(connectorOf(mistake))).toContain(name)
  })

  it('is thrown with all that it fails', async () => {
    const broken = { ...connectorOf({ close: () => Promise.reject(new Error('x')) }), name: '' }
    const error: unknown = await assertConnector(broken, { makeFake }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(AggregateError)
    expect((error as AggregateError).errors).toHaveLength(7)
    expect(String(error)).toMatch(/good-one fails 7 checks:[^]*the name is empty[^]*closed at any time/)
  })

  it('has a mistake for every behaviour that the kit checks', async () => {
    const results = await checkConnector(connectorOf(), { makeFake })
    const unproven = new Set(results.filter(({ on }) => on !== 'definition').map(({ on, name }) => `${on}: ${name}`))
    for (const [name] of MISTAKES) unproven.delete(name)
    expect([...unproven]).toEqual([])
  })
})
