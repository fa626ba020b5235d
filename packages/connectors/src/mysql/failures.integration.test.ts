import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConnectionRefused, DestinationInvalid, Unavailable } from '@patchbay/connector-sdk'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import { startCuttingProxy } from '../../test-servers/cutting-proxy.ts'
import { startMariadb, type MariadbServer } from '../../test-servers/mariadb.ts'
import { openSession } from './session.ts'
import {
  CHANGES,
  contextOf,
  deliver,
  linesFile,
  linesOf,
  longFile,
  newRunId,
  open,
  PEOPLE,
  verify,
} from './table-test-support.ts'

const ADA = ['1', 'Ada', 36, 12.5, true, '1815-12-10', '2024-02-29T23:59:59.123456Z'] as const
const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

/** Stands between the driver and the server. What it gives for a piece is sent back to the client in the server's place. */
async function startProxy(
  server: MariadbServer,
  answer: (piece: Buffer, link: { readonly client: Socket; readonly far: Socket }) => Buffer | 'drop' | undefined,
): Promise<{ readonly port: number; readonly fromClient: Buffer[] }> {
  const fromClient: Buffer[] = []
  const sockets = new Set<Socket>()
  const listener = createServer((client) => {
    const far = connect(server.port, server.host)
    for (const socket of [client, far]) sockets.add(socket.on('error', () => undefined))
    client.on('data', (piece: Buffer) => {
      fromClient.push(piece)
      const given = answer(piece, { client, far })
      if (given === 'drop') return
      if (given === undefined) far.write(piece)
      else client.write(given)
    })
    far.on('data', (piece) => client.write(piece))
    far.on('close', () => client.destroy())
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return { port: address.port, fromClient }
}

/** "Send me this file", as the protocol says it. */
function fileRequest(name: string): Buffer {
  const body = Buffer.concat([Buffer.from([0xfb]), Buffer.from(name)])
  return Buffer.concat([Buffer.from([body.length, 0, 0, 1]), body])
}

describe.skipIf(!requirement('mariadb').available)('mysql when things go wrong [needs mariadb-server]', () => {
  let server: MariadbServer
  beforeAll(async () => {
    server = await startMariadb({ tls: true })
    await server.query("CREATE USER reader@'%' IDENTIFIED BY 'r'")
    await server.query("GRANT SELECT ON patchbay.* TO reader@'%'")
    await server.query("CREATE USER nobody@'%' IDENTIFIED BY 'n'")
    await server.query("CREATE USER writer@'%' IDENTIFIED BY 'w'")
    await server.query(
      "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, CREATE TEMPORARY TABLES ON patchbay.* TO writer@'%'",
    )
  })
  afterAll(() => server.stop())

  it.each([
    [{ password: 'wrong' }, 'signed-in', 'password'],
    [{ user: 'nobody', password: 'n' }, 'signed-in', 'database'],
    [{ user: 'reader', password: 'r' }, 'may-write', 'user'],
    [{ database: 'none' }, 'signed-in', 'database'],
    [{ port: 1 }, 'reached', undefined],
  ])('Verify says which field to mend: %o', async (change, step, field) => {
    const last = (await verify(contextOf(server, change))).at(-1)
    expect(last).toMatchObject({ step, ok: false, ...(field !== undefined && { field }) })
    expect(JSON.stringify(last)).not.toContain('wrong')
  })

  it('needs no more rights than its page lists', async () => {
    const ctx = contextOf(server, { user: 'writer', password: 'w' })
    expect((await verify(ctx)).at(-1)).toEqual({ step: 'may-write', ok: true })
    for (const mode of ['append', 'replace', 'upsert', 'mirror'] as const) {
      const row = mode === 'append' || mode === 'replace' ? ADA : ['added', ...ADA]
      await deliver(ctx, `rights_${mode}`, mode, linesFile(linesOf(row)))
      if (mode !== 'append') await deliver(ctx, `rights_${mode}`, mode, linesFile(linesOf(row)))
    }
  })

  it('speaks TLS, and trusts the pasted authority for the name in the certificate only', async () => {
    const tls = { host: 'localhost', tls: 'verify', ca: server.ca ?? '' } as const
    expect((await verify(contextOf(server, tls))).map(({ ok }) => ok)).toEqual([true, true, true, true, true])
    const session = await openSession(contextOf(server, tls))
    const [row] = await session.query<{ Value: string }>("SHOW STATUS LIKE 'Ssl_cipher'")
    expect(row?.Value).toMatch(/^TLS_/)
    await session.close()
    expect((await verify(contextOf(server, { ...tls, ca: '' }))).at(-1)).toMatchObject({ step: 'trusted', field: 'ca' })
    expect((await verify(contextOf(server, { ...tls, host: '127.0.0.1' }))).at(-1)).toMatchObject({
      ok: false,
      field: 'host',
    })
    expect((await verify(contextOf(server, { ...tls, host: 'ip6-localhost' }))).at(-1)).toMatchObject({ ok: false })
  })

  it('sends no password to a server that pretends to speak no TLS', async () => {
    const plain = await startMariadb()
    onTestFinished(() => plain.stop())
    const steps = await verify(contextOf(plain, { host: 'localhost', tls: 'verify', ca: server.ca ?? '' }))
    expect(steps.at(-1)).toMatchObject({ step: 'trusted', ok: false, field: 'tls' })
  })

  it('gives a server no file of this machine, whatever it asks for', async () => {
    for (const at of ['VERSION()', 'LOAD DATA']) {
      const proxy = await startProxy(server, (piece) => (piece.includes(at) ? fileRequest('/etc/passwd') : undefined))
      const ctx = contextOf(server, { port: proxy.port })
      const error = await caught(deliver(ctx, 'asked', 'append', linesFile(linesOf(ADA))))
      expect(error).toBeInstanceOf(ConnectionRefused)
      expect(String(error)).toMatch(/asked for a file of this machine/)
      expect(Buffer.concat(proxy.fromClient).toString('latin1')).not.toMatch(/root:|1815-12-10/)
    }
  })

  // prettier-ignore
  it.each([
    ['an integer', ['1', 'x', 'secret-value', 1, true, null, null], 'age', /1366/],
    ['a number that is too large', ['1', 'x', '99999999999999999999', 1, true, null, null], 'age', /1264/],
    ['a date', ['1', 'x', 1, 1, true, '2023-02-30', null], 'born', /1265|1292/],
    ['a moment', ['1', 'x', 1, 1, true, null, 'secret-value'], 'seen', /1265|1292/],
    ['a boolean', ['1', 'x', 1, 1, 'secret-value', null, null], 'vip', /1366/],
    ['no key', [null, 'x', 1, 1, true, null, null], 'id', /1263|1048/],
    ['a key that is too long', ['x'.repeat(600), 'x', 1, 1, true, null, null], 'id', /1265|1406/],
    ['too few cells', ['1', 'x'], undefined, /1261/],
  ] as const)('refuses %s, says where, and keeps nothing of the run', async (_what, row, column, code) => {
    for (const mode of ['replace', 'upsert'] as const) {
      await deliver(contextOf(server), 'strict', mode, linesFile(mode === 'replace' ? linesOf(ADA) : linesOf(['added', ...ADA])))
      const rows = mode === 'replace' ? linesOf(ADA, row) : linesOf(['added', ...ADA], ['added', ...row])
      const error = await caught(deliver(contextOf(server), 'strict', mode, linesFile(rows)))
      expect(error).toBeInstanceOf(DestinationInvalid)
      expect(String(error)).toMatch(code)
      if (column !== undefined) expect(String(error)).toContain(`column "${column}"`)
      expect(String(error)).toContain('line 2 of the file')
      expect(String(error)).not.toContain('secret-value')
      expect(await server.query('SELECT id FROM strict')).toEqual([{ id: '1' }])
    }
  })

  it('refuses two rows of one key, and a row that another unique index holds against', async () => {
    const twice = linesOf(['added', ...ADA], ['added', ...ADA])
    await expect(deliver(contextOf(server), 'doubled', 'upsert', linesFile(twice))).rejects.toThrow(DestinationInvalid)
    await server.query(
      'CREATE TABLE one_name (id varchar(9) PRIMARY KEY, name varchar(9) UNIQUE, age int, spend double, vip tinyint, born date, seen datetime(6))',
    )
    await server.query("INSERT INTO one_name (id, name) VALUES ('theirs', 'Ada')")
    const error = await caught(deliver(contextOf(server), 'one_name', 'upsert', linesFile(linesOf(['added', ...ADA]))))
    expect(String(error)).toMatch(/unique index allows one \(1062\)/)
    expect(await server.query('SELECT id, age FROM one_name')).toEqual([{ id: 'theirs', age: null }])
  })

  it('refuses tables that are none, or know no transactions', async () => {
    await server.query('CREATE TABLE crashing (id varchar(9) PRIMARY KEY, name text) ENGINE = MyISAM')
    await server.query('CREATE OR REPLACE VIEW seen_only AS SELECT 1 AS id')
    await expect(deliver(contextOf(server), 'crashing', 'append', linesFile(''))).rejects.toThrow(
      /knows no transactions/,
    )
    await expect(deliver(contextOf(server), 'seen_only', 'append', linesFile(''))).rejects.toThrow(/not a table/)
  })

  it('says so when the server takes no local rows', async () => {
    const strict = await startMariadb({ settings: { 'local-infile': '0' } })
    onTestFinished(() => strict.stop())
    const last = (await verify(contextOf(strict))).at(-1)
    expect(last).toMatchObject({ step: 'may-write', ok: false })
    expect(JSON.stringify(last)).toMatch(/local_infile = ON/)
  })

  it('rolls back and says "no" when the line is cut at 50 %', async () => {
    const proxy = await startCuttingProxy(server)
    onTestFinished(() => proxy.stop())
    await deliver(contextOf(server), 'cut', 'append', linesFile(linesOf(ADA)))
    proxy.cutAfter(5_000_000)
    const line = (index: number): string => `k${index},${'x'.repeat(90)},1,1,true,,\n`
    const error = await caught(
      deliver(contextOf(server, { port: proxy.port }), 'cut', 'append', longFile(100_000, line)),
    )
    expect(error).toBeInstanceOf(Unavailable)
    expect(error).toMatchObject({ sent: 'no' })
    await expect.poll(() => server.query('SELECT count(*) AS n FROM cut')).toEqual([{ n: 1 }])
  })

  it.each(['before the server has it', 'after the server did it'])(
    'finds out what an unanswered COMMIT did: cut %s',
    async (when) => {
      const isBefore = when.startsWith('before')
      const proxy = await startProxy(server, (piece, { client, far }) => {
        if (!piece.toString('latin1').endsWith('\u0003COMMIT')) return undefined
        if (!isBefore) far.write(piece)
        far.once('data', () => undefined)
        client.destroy()
        return 'drop'
      })
      const table = isBefore ? 'lost_before' : 'lost_after'
      const runId = newRunId()
      const delivery = open(contextOf(server, { port: proxy.port }), table, 'append')
      await delivery.begin(PEOPLE, runId)
      await delivery.load(linesFile(linesOf(ADA)))
      await expect(delivery.commit()).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
      // Where the COMMIT never came, the first session still lives at the server, and is ended.
      const outcome = await open(contextOf(server), table, 'append').isCommitted(runId)
      expect(outcome).toEqual(isBefore ? undefined : { added: 1, changed: 0, removed: 0 })
      expect(await server.query(`SELECT count(*) AS n FROM ${table}`)).toEqual([{ n: isBefore ? 0 : 1 }])
      if (!isBefore)
        await expect(deliver(contextOf(server), table, 'append', linesFile(''), PEOPLE, runId)).rejects.toThrow(
          /committed already/,
        )
    },
    60_000,
  )

  it('tells nothing of a run that never was', async () => {
    expect(await open(contextOf(server), 'any', 'append').isCommitted('never')).toBeUndefined()
  })

  it('ends with the signal, also in the middle of a file', async () => {
    const controller = new AbortController()
    const ctx = contextOf(server, {}, controller.signal)
    let pieces = 0
    const between = async (): Promise<void> => {
      if (++pieces === 3) controller.abort(new Error('canceled'))
      await Promise.resolve()
    }
    const file = longFile(100_000, (index) => `${index},x,1,1,true,,\n`, between)
    await expect(deliver(ctx, 'canceled', 'append', file)).rejects.toThrow('canceled')
    await expect.poll(async () => (await server.query('SELECT count(*) AS n FROM canceled'))[0]?.['n']).toBe(0)
  })

  it('waits for another run into the same table, and does not see it half', async () => {
    const ctx = contextOf(server)
    await deliver(ctx, 'queued', 'upsert', linesFile(linesOf(['added', ...ADA])))
    const [first, second] = [open(ctx, 'queued', 'upsert'), open(ctx, 'queued', 'upsert')]
    for (const delivery of [first, second]) {
      await delivery.begin(CHANGES, newRunId())
      await delivery.load(linesFile(linesOf(['added', '7', 'x', 1, 1, true, null, null])))
    }
    await Promise.all([first.commit(), second.commit()])
    expect(await server.query('SELECT count(*) AS n FROM queued')).toEqual([{ n: 2 }])
  })

  it('keeps what was committed when the server crashes, and nothing else', async () => {
    const own = await startMariadb()
    onTestFinished(() => own.stop())
    const ctx = contextOf(own)
    await deliver(ctx, 'crashed', 'append', linesFile(linesOf(ADA)))
    const delivery = open(ctx, 'crashed', 'append')
    await delivery.begin(PEOPLE, newRunId())
    await delivery.load(linesFile(linesOf(ADA)))
    await own.restart('crash')
    await expect(delivery.commit()).rejects.toBeInstanceOf(Unavailable)
    expect(await own.query('SELECT count(*) AS n FROM crashed')).toEqual([{ n: 1 }])
  }, 60_000)
})

describe.skipIf(!requirement('mariadb').available || !canMount())('mysql on a full disk [needs root and mount]', () => {
  it('says so, and keeps what was there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-small-disk-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=190m', 'tmpfs', folder])
    onTestFinished(() => {
      execFileSync('umount', ['-l', folder])
      rmSync(folder, { recursive: true })
    })
    const server = await startMariadb({ dataFolder: folder, settings: { 'innodb-log-file-size': '8M' } })
    onTestFinished(() => server.stop())
    const ctx = contextOf(server)
    await deliver(ctx, 'small', 'append', linesFile(linesOf(ADA)))
    const line = (index: number): string => `${index},${'x'.repeat(2000)},1,1,true,,\n`
    const error = await caught(deliver(ctx, 'small', 'append', longFile(150_000, line)))
    expect(error).toBeInstanceOf(Unavailable)
    expect(String(error)).toMatch(/disk is full|disk of the server is/)
    expect(await server.query('SELECT count(*) AS n FROM small')).toEqual([{ n: 1 }])
  }, 120_000)
})

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false
  const path = mkdtempSync(join(tmpdir(), 'patchbay-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' })
    execFileSync('umount', [path])
    return true
  } catch {
    return false
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}
