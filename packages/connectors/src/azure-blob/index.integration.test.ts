/** Over Azurite, Microsoft's own emulator, which verifies Shared Key and shared access signatures. */
import { createHash } from 'node:crypto'
import {
  ConnectionRefused,
  DestinationInvalid,
  Unavailable,
  type CheckStep,
  type DeliveredFile,
  type FileDelivery,
  type OutgoingFile,
} from '@patchbay/connector-sdk'
import { checkConnector, makeTestContext, type TestContext, type Trial } from '@patchbay/connector-sdk/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { startAzurite, type BlobServer } from '../../test-servers/azurite.ts'
import { startCuttingProxy } from '../../test-servers/cutting-proxy.ts'
import { deliveredOf, fileOf, manifestOf } from '../../test-servers/files.ts'
import { azureBlob } from './index.ts'

const MB = 1024 * 1024

let azurite: BlobServer
let server: BlobServer
beforeAll(async () => {
  azurite = await startAzurite()
})
afterAll(() => azurite.stop())
beforeEach(async () => {
  server = await azurite.newContainer()
})

type Plain = Readonly<Record<string, string | number | boolean>>

function settingsOf(more: Plain = {}): Plain {
  const { url, account, container } = server
  return { signIn: 'key', account, container, endpoint: url, baseFolder: 'base', ...more }
}
function contextOf(
  more: Plain = {},
  secrets: Readonly<Record<string, string>> = { accountKey: server.key },
): TestContext {
  return makeTestContext(azureBlob, { settings: settingsOf(more), secrets })
}
const verify = (made: TestContext): Promise<CheckStep[]> => Array.fromAsync(azureBlob.check(made.context))

async function open(
  { context }: TestContext,
  runId = 'run_1',
  delivered: readonly DeliveredFile[] = [],
): Promise<FileDelivery> {
  const destination = azureBlob.destinations['folder']
  if (destination?.delivers !== 'files') throw new Error('It delivers no files')
  return await destination.open(context, { folder: 'out' }, { runId, delivered })
}

async function publish(made: TestContext, files: readonly OutgoingFile[], runId = 'run_1'): Promise<void> {
  const delivery = await open(made, runId)
  for (const file of files) await delivery.put(file)
  await delivery.commit(manifestOf(files))
}

function largeFile(name: string, bytes: number): OutgoingFile {
  const content = Buffer.alloc(bytes)
  for (let at = 0; at + 4 <= bytes; at += 4096) content.writeUInt32LE(at, at)
  return fileOf(name, content)
}

function makeTrial(): Trial {
  return {
    settings: settingsOf(),
    secrets: { accountKey: server.key },
    destinations: {
      folder: {
        values: { folder: 'out' },
        // What a reader sees: blocks that wait to be committed are no blobs yet.
        standing: async () => (await server.names()).map((name) => name.replace(/^base\/out\//, '')),
        read: async (name) => (await server.read(`base/out/${name}`)).toString(),
        plant: (name, text) => server.write(`base/out/${name}`, text),
      },
    },
    stop: () => undefined,
  }
}

describe('azure-blob', () => {
  it('does what every connector must', async () => {
    const results = await checkConnector(azureBlob, { makeFake: () => Promise.resolve(makeTrial()) })
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('signs in with a key, a signature or a connection string, and leaves nothing behind', async () => {
    const ways: readonly (readonly [Plain, Readonly<Record<string, string>>])[] = [
      [{}, { accountKey: server.key }],
      [{ signIn: 'sas' }, { sas: server.sas('rcwd') }],
      [{ signIn: 'sas' }, { sas: `${server.url}/${server.container}?${server.sas('rcwd')}` }],
      [
        { signIn: 'connection-string', account: '' },
        { connectionString: `AccountName=${server.account};AccountKey=${server.key};BlobEndpoint=${server.url};` },
      ],
      [
        { signIn: 'connection-string', account: '' },
        { connectionString: `BlobEndpoint=${server.url}/;SharedAccessSignature=${server.sas('rcwd')}` },
      ],
    ]
    for (const [settings, secrets] of ways)
      expect(await verify(contextOf(settings, secrets))).toEqual(
        ['resolved', 'reached', 'signed-in', 'may-write'].map((step) => ({ step, ok: true })),
      )
    expect(await server.names()).toEqual([])
  })

  it('says which field to mend', async () => {
    const wrong = Buffer.alloc(64).toString('base64')
    const last = async (settings: Plain, secrets?: Readonly<Record<string, string>>): Promise<unknown> =>
      (await verify(contextOf(settings, secrets))).at(-1)
    expect(await last({}, { accountKey: wrong })).toMatchObject({ step: 'signed-in', ok: false, field: 'accountKey' })
    expect(await last({ container: 'nobodys' })).toMatchObject({ step: 'signed-in', ok: false, field: 'container' })
    expect(await last({ signIn: 'sas' }, { sas: server.sas('rcwd', -60_000) })).toMatchObject({
      ok: false,
      field: 'sas',
    })
    expect(await last({ signIn: 'sas' }, { sas: 'not one' })).toMatchObject({ ok: false, field: 'sas' })
    expect(await last({ baseFolder: 'a/../b' })).toMatchObject({ ok: false, field: 'baseFolder' })
    expect(await last({ signIn: 'connection-string' }, { connectionString: 'x' })).toMatchObject({
      ...{ ok: false, field: 'connectionString' },
    })
  })

  it.each([
    ['rcd', 'Write'],
    ['rcw', 'Delete'],
    ['cwd', 'Read'],
  ])('names the permission that a signature of %s lacks', async (permissions, missing) => {
    const steps = await verify(contextOf({ signIn: 'sas' }, { sas: server.sas(permissions) }))
    expect(steps.at(-1)).toMatchObject({ step: 'may-write', ok: false })
    expect(JSON.stringify(steps.at(-1))).toContain(`the permission ${missing}`)
  })

  it('asks nobody but the account, and takes nothing from the environment', async () => {
    process.env['AZURE_STORAGE_CONNECTION_STRING'] = 'AccountName=env;AccountKey=AAAA'
    try {
      const made = contextOf()
      await publish(made, [fileOf('a.csv', 'a')])
      expect(made.connected).toEqual([])
      expect(new Set(made.sent.map(({ url }) => new URL(url).host))).toEqual(new Set([`127.0.0.1:${server.port}`]))
    } finally {
      delete process.env['AZURE_STORAGE_CONNECTION_STRING']
    }
  })

  it('stages a large file in blocks and shows it in one step', async () => {
    const file = largeFile('large.csv', 20 * MB + 5)
    const made = contextOf()
    const delivery = await open(made)
    expect(await delivery.put(file)).toEqual({ sizeBytes: file.sizeBytes })
    expect(made.sent.filter(({ url }) => url.includes('comp=block&'))).toHaveLength(3)
    expect(await server.names()).toEqual([])
    await delivery.commit(manifestOf([file]))
    expect((await server.names()).toSorted()).toEqual(['base/out/large.csv', 'base/out/model.json'])
    const stands = await server.read('base/out/large.csv')
    expect(createHash('sha256').update(stands).digest('hex')).toBe(file.sha256)
    const { headers } = await server.ask('HEAD', 'base/out/large.csv')
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(headers.get('x-ms-meta-patchbay_run')).toBe('run_1')
  })

  // prettier-ignore
  it.each([
    'a b+c.csv', "it's (1)!*.csv", '100%25.csv', '%2e%2e.csv', 'a&b<c>.csv', '"quoted".csv', 'ünï-Ω-名-😀.csv', '#?=;,@$~[]{}|^`.csv',
  ])('writes %j under that very name', async (name) => {
    await publish(contextOf(), [fileOf(name, 'odd')])
    expect(await server.names()).toContain(`base/out/${name}`)
  })

  it('takes an empty file', async () => {
    await publish(contextOf(), [fileOf('empty.csv', '')])
    expect((await server.read('base/out/empty.csv')).length).toBe(0)
  })
})

describe('azure-blob when things go wrong', () => {
  it('goes on with the blocks that are there, after the line was cut at 50 % and in another process', async () => {
    const proxy = await startCuttingProxy(server)
    onTestFinished(() => proxy.stop())
    const through = contextOf({ endpoint: `http://127.0.0.1:${proxy.port}/${server.account}` })
    const file = largeFile('cut.csv', 48 * MB)
    proxy.cutAfter(24 * MB)
    await expect((await open(through)).put(file)).rejects.toThrow(Unavailable)
    const next = contextOf()
    const delivery = await open(next)
    await delivery.put(file)
    expect(next.sent.filter(({ url }) => url.includes('comp=block&')).length).toBeLessThan(6)
    await delivery.commit(manifestOf([file]))
    expect(
      createHash('sha256')
        .update(await server.read('base/out/cut.csv'))
        .digest('hex'),
    ).toBe(file.sha256)
  })

  it('does not mix the blocks of two runs', async () => {
    const [first, second] = [largeFile('a.csv', 9 * MB), fileOf('a.csv', Buffer.alloc(9 * MB, 'b'))]
    await (await open(contextOf(), 'run_1')).put(first)
    await publish(contextOf(), [second], 'run_2')
    expect((await server.read('base/out/a.csv')).equals(Buffer.alloc(9 * MB, 'b'))).toBe(true)
    await expect((await open(contextOf(), 'run_1')).commit(manifestOf([first]))).rejects.toThrow(Unavailable)
  })

  it('does not overwrite what comes to stand there at the last moment', async () => {
    const file = fileOf('a.csv', 'ours')
    const made = contextOf()
    const plantBeforeCommit: typeof made.context.fetch = async (url, init) => {
      if (String(url).includes('comp=blocklist') && init?.method === 'PUT')
        await server.write('base/out/a.csv', 'theirs')
      return made.context.fetch(url, init)
    }
    const delivery = await open({ ...made, context: { ...made.context, fetch: plantBeforeCommit } })
    await delivery.put(file)
    await expect(delivery.commit(manifestOf([file]))).rejects.toThrow(DestinationInvalid)
    expect((await server.read('base/out/a.csv')).toString()).toBe('theirs')
  })

  it('replaces only what is as it wrote it', async () => {
    const old = fileOf('a.csv', 'old')
    await publish(contextOf(), [old])
    await publish(contextOf(), [fileOf('b.csv', 'b')]).catch(() => undefined)
    await server.write('base/out/a.csv', 'hey, other')
    const next = await open(contextOf(), 'run_2', [deliveredOf(old)])
    await expect(next.put(fileOf('a.csv', 'new'))).rejects.toThrow(/overwrites no files of others/)
  })

  it('finds what an unanswered commit did', async () => {
    const file = fileOf('a.csv', 'a')
    const made = contextOf()
    const loseAnswer: typeof made.context.fetch = async (url, init) => {
      const answer = await made.context.fetch(url, init)
      if (String(url).includes('comp=blocklist') && init?.method === 'PUT') throw new Unavailable('maybe', 'Broke off')
      return answer
    }
    const delivery = await open({ ...made, context: { ...made.context, fetch: loseAnswer } })
    await delivery.put(file)
    await expect(delivery.commit(manifestOf([file]))).rejects.toMatchObject({ sent: 'maybe' })
    await (await open(contextOf())).commit(manifestOf([file]))
    expect((await server.names()).toSorted()).toEqual(['base/out/a.csv', 'base/out/model.json'])
  })

  it('tells another program’s unfinished blob under the same name', async () => {
    const id = Buffer.from('short').toString('base64')
    expect((await server.ask('PUT', 'base/out/a.csv', { comp: 'block', blockid: id }, 'theirs')).status).toBe(201)
    const put = (await open(contextOf())).put(fileOf('a.csv', 'ours'))
    await expect(put).rejects.toThrow(/Another program has begun to write/)
  })

  it('stops when the signature ends in the middle of a run', async () => {
    const made = contextOf({ signIn: 'sas' }, { sas: server.sas('rcwd', 1500) })
    const delivery = await open(made)
    await delivery.put(fileOf('a.csv', 'a'))
    await expect
      .poll(
        () =>
          delivery.put(fileOf('b.csv', 'b')).then(
            () => undefined,
            (error: unknown) => error,
          ),
        { timeout: 10_000 },
      )
      .toBeInstanceOf(ConnectionRefused)
  })
})
