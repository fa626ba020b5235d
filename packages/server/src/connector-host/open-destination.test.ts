import { inspect } from 'node:util'
import {
  ConnectionRefused,
  defineConnector,
  DestinationInvalid,
  RateLimited,
  SettingsInvalid,
  Unavailable,
  type Batch,
  type CheckStep,
  type Connector,
  type ConnectorDefinition,
  type Context,
  type RowAnswer,
  type RowDelivery,
  type RowKey,
} from '@patchbay/connector-sdk'
import { answersOf } from '@patchbay/connector-sdk/testing'
import { describe, expect, it } from 'vitest'
import { checkConnection } from './check-connection.ts'
import { ConnectorFault } from './clean-error.ts'
import type { HostOptions } from './host.ts'
import { lookUp, openDestination, readTargetFields } from './open-destination.ts'
import { makeRegistry } from './registry.ts'
import { startServer } from './testing/answering-server.ts'
import { CANARY, exampleConnector, exampleHost } from './testing/example-host.ts'

const URL_NOWHERE = 'http://127.0.0.1:1/'
const access = (url = URL_NOWHERE) => ({
  connectionId: 'con_1',
  settings: { url },
  readSecret: () => Promise.resolve(CANARY),
})
const urlOf = (ctx: Context): string => (typeof ctx.settings['url'] === 'string' ? ctx.settings['url'] : '')
const batchOf = (keys: readonly string[]): Batch => ({
  id: 'b1',
  size: keys.length,
  keys: keys as readonly RowKey[],
  json: keys.map((key) => JSON.stringify({ change: 'added', key, fields: {} })),
  changes: keys.map((key) => ({ change: 'added', key: key as RowKey, fields: {} })),
})
/** In every encoding that the redactor knows; `detect` is tried on planted leaks below. */
const detect = (text: string): boolean => {
  const bytes = Buffer.from(CANARY)
  const forms = [
    CANARY,
    JSON.stringify(CANARY).slice(1, -1),
    encodeURIComponent(CANARY),
    bytes.toString('hex'),
    bytes.toString('base64').slice(0, -4),
  ]
  return forms.some((form) => text.includes(form) || text.includes(JSON.stringify(form).slice(1, -1)))
}

const ENCODINGS: readonly (readonly [string, (secret: string) => string])[] = [
  ['raw', (secret) => secret],
  ['JSON', (secret) => JSON.stringify(secret)],
  ['URL', (secret) => encodeURIComponent(secret)],
  ['hex', (secret) => Buffer.from(secret).toString('hex')],
  ['base64', (secret) => Buffer.from(secret).toString('base64')],
]

/** The example with one destination of rows, whose parts a test replaces. */
function connectorWith(parts: {
  readonly deliver?: (ctx: Context, batch: Batch) => ReturnType<RowDelivery['deliver']>
  readonly collect?: RowDelivery['collect']
  readonly open?: (ctx: Context) => void
  readonly check?: ConnectorDefinition<never, never>['check']
}): Connector {
  const { deliver = () => Promise.resolve([]), open = () => undefined, collect } = parts
  const withDestination: Connector = {
    ...exampleConnector,
    destinations: {
      list: {
        delivers: 'rows',
        name: 'List',
        modes: ['upsert'],
        removal: 'They stay.',
        limits: { rowsPerBatch: 10, bytesPerBatch: 1000, batchesInFlight: 2 },
        fields: { list: { kind: 'lookup', label: 'List' }, kind: { kind: 'text', label: 'Kind', default: 'a' } },
        lookups: { list: (ctx, search) => [{ value: search, label: urlOf(ctx) }] },
        repeat: () => ({ kind: 'harmless' }),
        targetFields: () => [{ name: 'email', label: 'E-mail', type: 'email', identifier: true }],
        open(ctx) {
          open(ctx)
          const delivery = { deliver: (batch: Batch) => deliver(ctx, batch), close: () => Promise.resolve() }
          return collect === undefined ? delivery : { ...delivery, collect }
        },
      },
    },
  }
  return parts.check === undefined ? withDestination : { ...withDestination, check: parts.check as Connector['check'] }
}

async function openRows(connector: Connector, options: Partial<HostOptions> = {}) {
  const { host, lines } = exampleHost(options)
  const opened = await openDestination(host, {
    connector,
    connection: access(),
    destinationType: 'list',
    destination: { list: 'l1' },
    mode: 'upsert',
    run: { runId: 'run_1', delivered: [] },
    signal: new AbortController().signal,
  })
  if (opened.delivers !== 'rows') throw new Error('It delivers rows')
  return { ...opened, lines }
}

describe('openDestination', () => {
  it('hands rows over and answers back', async () => {
    const keys: string[] = []
    const connector = connectorWith({
      deliver: (ctx, batch) => {
        keys.push(...batch.keys, urlOf(ctx))
        return Promise.resolve([{ key: 'k1' as RowKey, status: 'accepted' }])
      },
    })
    const opened = await openRows(connector)
    expect(opened).toMatchObject({
      mode: 'upsert',
      limits: { rowsPerBatch: 10, batchesInFlight: 2 },
    })
    expect(await opened.delivery.deliver(batchOf(['k1', 'k2']))).toEqual([{ key: 'k1', status: 'accepted' }])
    expect(keys).toEqual(['k1', 'k2', URL_NOWHERE])
    await opened.delivery.close('finished')
    await opened.close()
  })

  it('hands jobs over, and lets none into the journal that holds a secret or a page of text', async () => {
    const collect = (job: string, batch: Batch): Promise<RowAnswer[] | 'pending'> =>
      Promise.resolve(job === 'j1' ? batch.keys.map((key) => ({ key, status: 'accepted' })) : 'pending')
    const opened = await openRows(connectorWith({ deliver: () => Promise.resolve({ job: 'j1' }), collect }))
    expect(await opened.delivery.deliver(batchOf(['k1']))).toEqual({ job: 'j1' })
    expect(await opened.delivery.collect?.('j1', batchOf(['k1']))).toEqual([{ key: 'k1', status: 'accepted' }])
    expect(await opened.delivery.collect?.('j2', batchOf(['k1']))).toBe('pending')
    await opened.close()
    for (const job of ['', 'j'.repeat(501), `https://service.example/jobs?token=${CANARY}`]) {
      const wrong = await openRows(
        connectorWith({
          deliver: (ctx) => {
            urlOf(ctx)
            return Promise.resolve({ job })
          },
          collect,
        }),
      )
      await expect(wrong.delivery.deliver(batchOf(['k1']))).rejects.toThrow(ConnectorFault)
      await wrong.close()
    }
  })

  it('hands files and tables over', async () => {
    const calls: string[] = []
    const call =
      <T>(name: string, result: T) =>
      (): Promise<T> => {
        calls.push(name)
        return Promise.resolve(result)
      }
    const connector = defineConnector({
      ...exampleConnector,
      destinations: {
        folder: {
          delivers: 'files', name: 'Folder', modes: ['replace'], removal: 'Gone.', fields: {}, limits: { partsPerTable: 1, partsInFlight: 1 },
          open: () => ({ put: call('put', { sizeBytes: 3 }), commit: call('commit', undefined), abandon: call('abandon', undefined) }),
        },
        table: {
          delivers: 'table', name: 'Table', modes: ['replace'], removal: 'Gone.', fields: {},
          open: call('open', {
            isCommitted: call('isCommitted', undefined), begin: call('begin', undefined), load: call('load', 7),
            commit: call('commit', { added: 1, changed: 0, removed: 0 }), abandon: () => Promise.reject(new Error(CANARY)),
          }),
        },
      },
    }) // prettier-ignore
    const { host } = exampleHost()
    const request = {
      connector,
      connection: access(),
      destination: {},
      mode: 'replace',
      run: { runId: 'r', delivered: [] },
      signal: new AbortController().signal,
    } as const
    const files = await openDestination(host, { ...request, destinationType: 'folder' })
    const file = { name: 'a', rows: 1, sizeBytes: 3, sha256: '', read: async function* () {} }
    if (files.delivers !== 'files') throw new Error('It delivers files')
    expect(await files.delivery.put(file)).toEqual({ sizeBytes: 3 })
    const table = await openDestination(host, { ...request, destinationType: 'table' })
    if (table.delivers !== 'table') throw new Error('It delivers a table')
    expect(calls).toEqual(['put'])
    const delivery = await table.openDelivery()
    expect(await delivery.load(file)).toBe(7)
    expect(await delivery.commit()).toEqual({ added: 1, changed: 0, removed: 0 })
    expect(inspect(await delivery.abandon().catch((error: unknown) => error), { depth: 9 })).not.toContain('cnry')
  })

  it.each([
    ['a destination that there is not', { destinationType: 'toString' }, 'destination'],
    ['a mode that there is not', { mode: 'replace' }, 'mode'],
    ['a field that is missing', { destination: {} }, 'list'],
    ['a field that there is not', { destination: { list: 'a', more: 1 } }, 'more'],
  ])('refuses %s', async (_name, change, field) => {
    const { host } = exampleHost()
    const request = {
      connector: connectorWith({}), connection: access(), destinationType: 'list', destination: { list: 'l' }, mode: 'upsert' as const,
      run: { runId: 'r', delivered: [] }, signal: new AbortController().signal, ...change,
    } as Parameters<typeof openDestination>[1] // prettier-ignore
    await expect(openDestination(host, request)).rejects.toMatchObject({ code: 'destination-invalid', field })
  })

  it('refuses settings that the connector does not take (any more), and a secret that is not there', async () => {
    const { host } = exampleHost()
    const request = {
      connector: connectorWith({}),
      destinationType: 'list',
      destination: {},
      signal: new AbortController().signal,
      field: 'list',
      search: '',
    }
    const ask = (settings: Record<string, string>, secret?: string): Promise<unknown> =>
      lookUp(host, {
        ...request,
        connection: { connectionId: 'c', settings, readSecret: () => Promise.resolve(secret) },
      })
    await expect(ask({}, 'x')).rejects.toMatchObject({ code: 'settings-invalid', field: 'url' })
    await expect(ask({ url: 'a', proxy: 'b' }, 'x')).rejects.toMatchObject({ code: 'settings-invalid', field: 'proxy' })
    await expect(ask({ url: 'a' })).rejects.toMatchObject({ code: 'settings-invalid', field: 'token' })
    await expect(ask({ url: 'a' }, 'x')).resolves.toEqual([{ value: '', label: 'a' }])
  })

  it('answers lookups and target fields', async () => {
    const { host } = exampleHost()
    const request = {
      connector: connectorWith({}),
      connection: access(),
      destinationType: 'list',
      signal: new AbortController().signal,
    }
    expect(await lookUp(host, { ...request, destination: {}, field: 'list', search: 'ab' })).toEqual([
      { value: 'ab', label: URL_NOWHERE },
    ])
    expect(await readTargetFields(host, { ...request, destination: { list: 'a' } })).toHaveLength(1)
    await expect(lookUp(host, { ...request, destination: {}, field: 'constructor', search: '' })).rejects.toThrow(
      DestinationInvalid,
    )
  })

  it('shows what is no connector error as a bug', async () => {
    const { delivery } = await openRows(
      connectorWith({ deliver: () => Promise.reject(new TypeError('x is undefined')) }),
    )
    await expect(delivery.deliver(batchOf(['k']))).rejects.toThrow(ConnectorFault)
    const wrong = await openRows(connectorWith({ deliver: () => Promise.resolve(undefined as unknown as RowAnswer[]) }))
    await expect(wrong.delivery.deliver(batchOf(['k']))).rejects.toThrow(ConnectorFault)
  })

  it('passes the reason of the signal on as it is', async () => {
    const { host } = exampleHost()
    const controller = new AbortController()
    const reason = new Error('canceled')
    const connector = connectorWith({ deliver: (ctx) => ctx.fetch(URL_NOWHERE).then(() => []) })
    const opened = await openDestination(host, {
      connector, connection: access(), destinationType: 'list', destination: { list: 'l' }, mode: 'upsert', run: { runId: 'r', delivered: [] }, signal: controller.signal,
    }) // prettier-ignore
    if (opened.delivers !== 'rows') throw new Error('It delivers rows')
    controller.abort(reason)
    await expect(opened.delivery.deliver(batchOf(['k']))).rejects.toBe(reason)
  })
})

describe('a secret', () => {
  it.each(ENCODINGS)('in %s gets into no error, answer, step or log line', async (_name, encode) => {
    const leak = (): string => `failed for ${encode(CANARY)}`
    const driver = (): Error =>
      Object.assign(new Error(leak()), {
        config: { password: CANARY },
        request: Buffer.from(CANARY),
        cause: new Error(leak()),
      })
    const thrown: readonly unknown[] = [
      driver(), new ConnectionRefused(leak(), { cause: driver() }), new RateLimited(1, leak()), new Unavailable('no', leak(), { cause: driver() }),
      new SettingsInvalid('url', leak()), new DestinationInvalid('list', leak()), leak(), { text: leak() }, new AggregateError([driver()], leak()),
    ] // prettier-ignore
    const outputs: string[] = []
    for (const what of thrown) {
      const fail = (): never => {
        // A connector may throw anything.
        throw what
      }
      const { delivery, lines } = await openRows(
        connectorWith({
          deliver: (ctx) => {
            ctx.log(leak(), { code: leak(), batch: leak(), password: CANARY, [CANARY]: 1 })
            return fail()
          },
        }),
      )
      const error: unknown = await delivery.deliver(batchOf(['k'])).catch((e: unknown) => e)
      outputs.push(
        inspect(error, { depth: 9, showHidden: true }),
        JSON.stringify(error),
        String((error as Error).stack),
        ...lines,
      )

      const steps: CheckStep[] = []
      const connector = connectorWith({
        async *check() {
          yield { step: 'resolved', ok: true, detail: leak() }
          await Promise.resolve()
          fail()
        },
      })
      for await (const step of checkConnection(exampleHost().host, connector, access(), new AbortController().signal))
        steps.push(step)
      expect(steps).toHaveLength(2)
      outputs.push(JSON.stringify(steps))
    }
    const answering = await openRows(
      connectorWith({
        deliver: () =>
          Promise.resolve([
            { key: 'k' as RowKey, status: 'rejected', reason: 'other', message: `anna@example.org: ${leak()}` },
          ]),
      }),
    )
    const [answer] = answersOf(await answering.delivery.deliver(batchOf(['k'])))
    expect(JSON.stringify(answer)).toContain('anna@example.org')
    outputs.push(JSON.stringify(answer))
    expect(outputs.filter(detect)).toEqual([])
    expect(outputs.length).toBeGreaterThan(40)
    expect(detect(leak())).toBe(true)
  })

  it('gets into no message about an answer of the service that repeats it', async () => {
    const server = await startServer()
    for (const [, encode] of ENCODINGS) {
      for (const status of [401, 429, 500]) {
        server.answer((response) => response.writeHead(status).end(`Bad key ${encode(CANARY)} of anna@example.org`))
        const connector = connectorWith({ deliver: (ctx) => ctx.fetch(server.origin).then(() => []) })
        const { delivery } = await openRows(connector)
        const error = await delivery.deliver(batchOf(['k'])).catch((e: unknown) => e)
        expect(String(error)).toMatch(/Bad key .?\[secret\]/)
        expect(inspect(error, { depth: 9 })).not.toContain('anna@')
        expect(detect(inspect(error, { depth: 9 }))).toBe(false)
      }
    }
    await server.close()
  })

  it('is not in the log beside what may be there', async () => {
    const { delivery, lines } = await openRows(
      connectorWith({
        deliver: (ctx) => {
          ctx.log('sent', { rows: 3, email: 'anna@example.org', authorization: CANARY, status: 200 })
          return Promise.resolve([])
        },
      }),
    )
    await delivery.deliver(batchOf(['k']))
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { connector: 'example', connection: 'con_1', message: 'sent', rows: 3, status: 200 },
    ])
  })
})

describe('checkConnection', () => {
  const run = async (
    connector: Connector,
    url = URL_NOWHERE,
    options: Partial<HostOptions> = {},
  ): Promise<CheckStep[]> => {
    const steps: CheckStep[] = []
    const { host } = exampleHost(options)
    for await (const step of checkConnection(host, connector, access(url), new AbortController().signal))
      steps.push(step)
    return steps
  }
  const fetching = connectorWith({
    async *check(ctx: Context) {
      const answer = await ctx.fetch(urlOf(ctx))
      yield { step: 'reached', ok: true, detail: `${answer.status}` }
    },
  })

  it('yields the steps as they come', async () => {
    const server = await startServer()
    expect(await run(fetching, server.origin)).toEqual([{ step: 'reached', ok: true, detail: '200' }])
    await server.close()
  })

  it.each([
    ['http://10.0.0.1/', 'reached', /PATCHBAY_ALLOW_HOSTS/],
    ['http://user@127.0.0.1/', 'resolved', /must begin with/],
    [URL_NOWHERE, 'reached', /nothing listens/],
    ['nonsense', 'resolved', /not a web address/],
  ])('names step and field for %s', async (url, step, words) => {
    expect(await run(fetching, url)).toEqual([
      { step, ok: false, field: 'url', message: expect.stringMatching(words) as string },
    ])
  })

  it('names the secret where the sign-in is refused', async () => {
    const server = await startServer()
    server.answer((response) => response.writeHead(401).end())
    expect(await run(fetching, server.origin)).toMatchObject([{ step: 'signed-in', ok: false, field: 'token' }])
    await server.close()
  })

  it('shows an unexpected throw as a bug, at the step that came next', async () => {
    const connector = connectorWith({
      async *check() {
        yield await Promise.resolve({ step: 'reached', ok: true } as const)
        throw new TypeError('x is undefined')
      },
    })
    const steps = await run(connector)
    expect(steps[1]).toMatchObject({
      step: 'trusted',
      ok: false,
      message: expect.stringMatching(/^This is a bug in the connector "Example"/) as string,
    })
  })

  it('stops at the first step that is not ok', async () => {
    let isCleared = false
    const connector = connectorWith({
      async *check() {
        try {
          yield await Promise.resolve({ step: 'reached', ok: false, message: 'no', field: 'url' } as const)
          yield { step: 'may-write', ok: true }
        } finally {
          isCleared = true
        }
      },
    })
    expect(await run(connector)).toHaveLength(1)
    expect(isCleared).toBe(true)
  })

  it('ends in time, also where the connector does not', async () => {
    const connector = connectorWith({
      async *check() {
        yield await new Promise<CheckStep>(() => undefined)
      },
    })
    const start = performance.now()
    expect(await run(connector, URL_NOWHERE, { timeouts: { checkMs: 100 } })).toMatchObject([
      { ok: false, message: 'No answer within 0.1 s' },
    ])
    expect(performance.now() - start).toBeLessThan(1000)
    const controller = new AbortController()
    const steps = checkConnection(exampleHost().host, connector, access(), controller.signal)
    const first = steps.next()
    const reason = new Error('left the page')
    setTimeout(() => controller.abort(reason), 20)
    await expect(first).rejects.toBe(reason)
  })

  it('says so when the secrets cannot be read or are missing', async () => {
    const { host } = exampleHost()
    const readSecret = (): Promise<never> => Promise.reject(new Error('The vault is sealed'))
    const steps: CheckStep[] = []
    for await (const step of checkConnection(host, fetching, { ...access(), readSecret }, new AbortController().signal))
      steps.push(step)
    expect(steps).toEqual([
      { step: 'signed-in', ok: false, message: 'The stored secrets cannot be read: The vault is sealed' },
    ])
  })
})

describe('makeRegistry', () => {
  const exampleWithDestination = connectorWith({})

  it('finds connectors by id, and none for other words', () => {
    const registry = makeRegistry([exampleWithDestination])
    expect(registry.findConnector('example')).toBe(exampleWithDestination)
    expect(registry.findConnector('toString')).toBeUndefined()
  })

  it('names every problem before the program starts', () => {
    const broken = { ...exampleConnector, id: 'Example One', name: ' ' }
    expect(() => makeRegistry([broken, broken])).toThrow(
      /"Example One" is not.*\n.*name is empty.*[^]*has none[^]*the same id/,
    )
  })
})
