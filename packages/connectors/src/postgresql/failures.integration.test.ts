import { readFileSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { ConnectionRefused, SettingsInvalid, Unavailable, type OutgoingFile } from '@patchbay/connector-sdk'
import { requirement } from '../../../../checks/requirement.ts'
import { startPostgresql, type PostgresqlServer } from '../../test-servers/postgresql.ts'
import { beginTransaction } from './delivery.ts'
import { openSession, type PostgresqlContext } from './session.ts'
import {
  contextOf,
  deliver,
  fileOf,
  isCommit,
  longFile,
  newRunId,
  open,
  shapeOf,
  startProxy,
  verify,
  type Proxy,
} from './table-test-support.ts'

describe.skipIf(!requirement('postgresql').available)('PostgreSQL at its worst [needs postgresql]', () => {
  let server: PostgresqlServer
  let proxy: Proxy | undefined
  beforeAll(async () => {
    server = await startPostgresql({ tls: true })
    await server.query(`CREATE ROLE loose LOGIN PASSWORD 'l'; ALTER ROLE loose SET synchronous_commit = off;
      ALTER ROLE loose SET statement_timeout = '5s'; ALTER ROLE loose SET TimeZone = 'Asia/Tokyo'`)
  })
  afterEach(async () => {
    await proxy?.close()
    proxy = undefined
  })
  afterAll(() => server?.stop())

  const plain = shapeOf({ id: 'integer', name: 'text' })
  const keyed = shapeOf({ id: 'integer', name: 'text' }, ['id'], true)
  const countOf = async (table: string): Promise<unknown> =>
    (await server.query(`SELECT count(*)::int AS rows FROM ${table}`))[0]?.['rows']
  /** No session of ours is left at the server, whatever became of it. */
  const allGone = (): Promise<void> =>
    vi.waitFor(
      async () => {
        const rows = await server.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'patchbay'")
        expect(rows).toEqual([])
      },
      { timeout: 30_000, interval: 100 },
    )

  describe('the way in', () => {
    test('opens no socket but the ones that ctx.connect gave', async () => {
      const dial = vi.spyOn(Socket.prototype, 'connect')
      try {
        for (const tls of ['none', 'verify']) {
          const ctx = contextOf(server, tls === 'none' ? {} : { tls: 'verify', ca: server.ca ?? '' })
          dial.mockClear()
          const steps = await verify(ctx)
          expect(steps.map(({ step, ok }) => [step, ok])).toEqual([
            ['resolved', true],
            ['reached', true],
            ['trusted', true],
            ['signed-in', true],
            ['may-write', true],
          ])
          expect(ctx.dialed.length).toBe(1)
          expect(dial.mock.instances.every((socket) => ctx.dialed.includes(socket as Duplex))).toBe(true)
          await vi.waitFor(() => expect(ctx.dialed.every((socket) => socket.destroyed)).toBe(true))
        }
      } finally {
        dial.mockRestore()
      }
    })

    test('by TLS with the own authority, a run is encrypted', async () => {
      const ctx = contextOf(server, { tls: 'verify', ca: server.ca ?? '' })
      const session = await openSession(ctx)
      const { rows } = await session.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
      expect(rows).toEqual([{ ssl: true }])
      await session.close()
      expect(
        await deliver(
          ctx,
          'over_tls',
          'append',
          plain,
          longFile(20_000, (id) => `${id},a\n`),
        ),
      ).toMatchObject({ added: 20_000 })
    })

    test('a certificate that does not hold ends it before the password is sent', async () => {
      const other = await startPostgresql({ tls: true })
      try {
        for (const [settings, field] of [
          [{ tls: 'verify' as const }, 'ca'],
          [{ tls: 'verify' as const, ca: other.ca ?? '' }, 'ca'],
          [{ tls: 'verify' as const, ca: 'nonsense' }, 'ca'],
        ] as const) {
          const ctx = contextOf(server, settings)
          const password = vi.spyOn(ctx.settings.password, 'reveal')
          await expect(openSession(ctx)).rejects.toMatchObject({ code: 'connection-refused', step: 'trusted' })
          expect(password).not.toHaveBeenCalled()
          expect((await verify(ctx)).at(-1)).toMatchObject({ step: 'trusted', ok: false, field })
        }
      } finally {
        await other.stop()
      }
    })

    test('a certificate for another name is refused', async () => {
      const ctx = contextOf(server, { tls: 'verify', ca: server.ca ?? '', host: '127.0.0.2' })
      const here = { ...ctx, connect: ({ port }: { port: number }) => ctx.connect({ host: '127.0.0.1', port }) }
      expect((await verify(here)).at(-1)).toMatchObject({ step: 'trusted', ok: false, field: 'host' })
    })

    test('a server without TLS is refused', async () => {
      const bare = await startPostgresql()
      try {
        expect((await verify(contextOf(bare, { tls: 'verify' }))).at(-1)).toMatchObject({
          step: 'trusted',
          field: 'tls',
        })
      } finally {
        await bare.stop()
      }
    })

    test('a password in clear text goes over TLS only', async () => {
      await server.query(`CREATE ROLE clear LOGIN PASSWORD 'clear'`)
      const [found] = await server.query('SHOW hba_file')
      const path = String(found?.['hba_file'])
      writeFileSync(path, `host all clear 127.0.0.1/32 password\n${readFileSync(path, 'utf8')}`)
      await server.query('SELECT pg_reload_conf()')
      const user = { user: 'clear', password: 'clear' }
      const ctx = contextOf(server, user)
      const reveal = vi.spyOn(ctx.settings.password, 'reveal')
      await expect(openSession(ctx)).rejects.toThrow('clear text')
      expect(reveal).not.toHaveBeenCalled()
      await (await openSession(contextOf(server, { ...user, tls: 'verify', ca: server.ca ?? '' }))).close()
    })

    test.each([
      [{ password: 'wrong' }, ConnectionRefused, 'password', 'signed-in'],
      [{ password: '' }, ConnectionRefused, 'password', 'signed-in'],
      [{ user: 'nobody' }, ConnectionRefused, 'password', 'signed-in'],
      [{ user: 'no_login', password: 'x' }, ConnectionRefused, 'user', 'signed-in'],
      [{ database: 'nowhere' }, SettingsInvalid, 'database', 'signed-in'],
    ])('%j is refused at its field', async (changes, kind, field, step) => {
      await server.query(
        "DO $$ BEGIN CREATE ROLE no_login PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
      )
      const ctx = contextOf(server, changes)
      const failed = openSession(ctx)
      await expect(failed).rejects.toBeInstanceOf(kind)
      await expect(failed).rejects.toMatchObject({ field })
      expect((await verify(ctx)).at(-1)).toMatchObject({ step, ok: false, field })
    })

    test('a server that is full asks for another try', async () => {
      await server.query("CREATE ROLE narrow LOGIN PASSWORD 'n' CONNECTION LIMIT 1")
      const ctx = contextOf(server, { user: 'narrow', password: 'n' })
      const first = await openSession(ctx)
      await expect(openSession(ctx)).rejects.toMatchObject({ code: 'unavailable', sent: 'no' })
      await first.close()
    })

    test('a peer that speaks something else, or nothing, is unavailable', async () => {
      proxy = await startProxy(server, (_, link) => {
        link.client.end('HTTP/1.1 400 Bad Request\r\n\r\n')
        return false
      })
      await expect(openSession(contextOf(server, { port: proxy.port }))).rejects.toMatchObject({ code: 'unavailable' })
    })

    test('a standby is named as what it is', async () => {
      await server.query(
        'CREATE ROLE reader LOGIN SUPERUSER PASSWORD $$r$$; ALTER ROLE reader SET default_transaction_read_only = on',
      )
      const steps = await verify(contextOf(server, { user: 'reader', password: 'r' }))
      expect(steps.at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'host' })
    })
  })

  describe('a cut in the middle', () => {
    test.each([0, 100_000, 3_000_000])(
      'of COPY after %i bytes: nothing is written, and nothing was sent for good',
      async (bytes) => {
        let seen = 0
        proxy = await startProxy(server, (piece, link) => {
          seen += piece.includes('COPY ') ? 1 : seen > 0 ? piece.length : 0
          if (seen > bytes) link.server.destroy()
          return true
        })
        const delivery = open(contextOf(server, { port: proxy.port }), 'cut_copy', 'append')
        const runId = newRunId()
        await delivery.begin(plain, runId)
        const failed = delivery.load(longFile(500_000, (id) => `${id},name ${id}\n`))
        await expect(failed).rejects.toBeInstanceOf(Unavailable)
        await expect(failed).rejects.toMatchObject({ sent: 'no' })
        await delivery.abandon()
        expect(await open(contextOf(server), 'cut_copy', 'append').isCommitted(runId)).toBeUndefined()
        await allGone()
        expect(await server.query("SELECT to_regclass('cut_copy') AS it")).toEqual([{ it: null }])
      },
    )

    test('a file that cannot be read to its end leaves nothing', async () => {
      const broken: OutgoingFile = {
        ...fileOf('1,a\n'),
        async *read() {
          yield Buffer.from('1,a\n')
          throw new Error('the spool is gone')
        },
      }
      await expect(deliver(contextOf(server), 'unread', 'append', plain, broken)).rejects.toThrow('the spool is gone')
      await allGone()
      expect(await server.query("SELECT to_regclass('unread') AS it")).toEqual([{ it: null }])
    })

    test.each(['fast', 'immediate'] as const)(
      'by a restart of the server (%s): unavailable, and the next run is well',
      async (how) => {
        const ctx = contextOf(server)
        await deliver(ctx, `restarted_${how}`, 'append', plain, fileOf('1,a\n'))
        const delivery = open(ctx, `restarted_${how}`, 'append')
        await delivery.begin(plain, newRunId())
        await delivery.load(fileOf('2,b\n'))
        const restarted = server.restart(how)
        await vi.waitFor(() => expect(ctx.dialed.at(-1)?.destroyed).toBe(true))
        await expect(delivery.load(fileOf('3,c\n'))).rejects.toMatchObject({ code: 'unavailable', sent: 'no' })
        await restarted
        await deliver(ctx, `restarted_${how}`, 'append', plain, fileOf('4,d\n'))
        expect(await countOf(`restarted_${how}`)).toBe(2)
      },
    )

    test('by an administrator who ends the session', async () => {
      const delivery = open(contextOf(server), 'ended', 'append')
      await delivery.begin(plain, newRunId())
      await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'patchbay'")
      await expect(delivery.load(fileOf('1,a\n'))).rejects.toMatchObject({ code: 'unavailable', sent: 'no' })
    })
  })

  describe('around the COMMIT', () => {
    /** Delivers one row through a proxy that breaks at the COMMIT, and expects an answer that leaves it open. */
    const breakAtCommit = async (
      table: string,
      runId: string,
      atCommit: (link: { client: Socket; server: Socket }, piece: Buffer) => boolean,
    ): Promise<void> => {
      proxy = await startProxy(server, (piece, link) =>
        isCommit(piece) && piece.length < 100 ? atCommit(link, piece) : true,
      )
      await deliver(contextOf(server), table, 'mirror', keyed, fileOf('added,1,first\n'))
      const delivery = open(contextOf(server, { port: proxy.port }), table, 'mirror')
      await delivery.begin(keyed, runId)
      await delivery.load(fileOf('added,2,second\n'))
      const failed = delivery.commit()
      await expect(failed).rejects.toBeInstanceOf(Unavailable)
      await expect(failed).rejects.toMatchObject({ sent: 'maybe' })
      await delivery.abandon()
    }
    const ask = (table: string, runId: string): Promise<unknown> =>
      open(contextOf(server), table, 'mirror').isCommitted(runId)

    test('the answer is lost: it was committed', async () => {
      const runId = newRunId()
      await breakAtCommit('answer_lost', runId, (link) => {
        link.server.removeAllListeners('data').once('data', () => link.client.destroy())
        return true
      })
      expect(await ask('answer_lost', runId)).toEqual({ added: 1, changed: 0, removed: 0 })
      expect(await countOf('answer_lost')).toBe(2)
    })

    test('the COMMIT is lost: it was not committed', async () => {
      const runId = newRunId()
      await breakAtCommit('commit_lost', runId, (link) => {
        link.server.destroy()
        return false
      })
      expect(await ask('commit_lost', runId)).toBeUndefined()
      expect(await countOf('commit_lost')).toBe(1)
    })

    test('a COMMIT that still works is waited for', async () => {
      await deliver(contextOf(server), 'slow_commit', 'mirror', keyed, fileOf('added,0,zero\n'))
      await slowCommits('slow_commit', 1.5)
      const runId = newRunId()
      await breakAtCommit('slow_commit', runId, (link, piece) => {
        link.server.write(piece)
        link.client.destroy()
        return false
      })
      expect(await ask('slow_commit', runId)).toEqual({ added: 1, changed: 0, removed: 0 })
      expect(await countOf('slow_commit')).toBe(3)
    })

    test('a COMMIT that does not end is ended, and what is answered stays true', async () => {
      await deliver(contextOf(server), 'stuck_commit', 'mirror', keyed, fileOf('added,0,zero\n'))
      await slowCommits('stuck_commit', 60)
      const runId = newRunId()
      // The socket to the server stays open, so that the server cannot notice by itself.
      await breakAtCommit('stuck_commit', runId, (link, piece) => {
        link.server.write(piece)
        link.client.destroy()
        return false
      })
      expect(await ask('stuck_commit', runId)).toBeUndefined()
      await allGone()
      expect(await ask('stuck_commit', runId)).toBeUndefined()
      expect(await countOf('stuck_commit')).toBe(2)
    })

    test('a COMMIT that is still on its way comes too late once the question was answered', async () => {
      const runId = newRunId()
      let late: () => void = () => undefined
      await breakAtCommit('late_commit', runId, (link, piece) => {
        late = () => link.server.write(piece)
        link.client.destroy()
        return false
      })
      expect(await ask('late_commit', runId)).toBeUndefined()
      late()
      await allGone()
      expect(await ask('late_commit', runId)).toBeUndefined()
      expect(await countOf('late_commit')).toBe(1)
    })

    test('a second worker that takes the run over waits for the first, and does not do it twice', async () => {
      await deliver(contextOf(server), 'taken_over', 'mirror', keyed, fileOf('added,0,zero\n'))
      await slowCommits('taken_over', 1)
      const runId = newRunId()
      await breakAtCommit('taken_over', runId, (link, piece) => {
        link.server.write(piece)
        link.client.destroy()
        return false
      })
      await expect(open(contextOf(server), 'taken_over', 'mirror').begin(keyed, runId)).rejects.toMatchObject({
        sent: 'maybe',
      })
      expect(await ask('taken_over', runId)).toMatchObject({ added: 1 })
    })

    /** Each COMMIT that touched the table takes its time. */
    async function slowCommits(table: string, seconds: number): Promise<void> {
      await server.query(`CREATE FUNCTION slow_${table}() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN IF NEW.id = 2 THEN PERFORM pg_sleep(${seconds}); END IF; RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION slow_${table}()`)
    }
  })

  describe('cancel', () => {
    test.each(['load', 'merge', 'wait for a lock'] as const)(
      'in the middle of a %s ends within a second, and rolls back',
      async (when) => {
        const table = `canceled_${when.replaceAll(' ', '_')}`
        await deliver(contextOf(server), table, 'mirror', keyed, fileOf('added,0,zero\n'))
        if (when === 'merge')
          await server.query(`CREATE FUNCTION slow_merge() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NEW; END';
          CREATE TRIGGER slow BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION slow_merge()`)
        const canceler = new AbortController()
        const delivery = open(contextOf(server, {}, canceler.signal), table, 'mirror')
        await delivery.begin(keyed, newRunId())
        const holder = open(contextOf(server), table, 'replace')
        if (when === 'wait for a lock') await holder.begin(plain, newRunId())
        const work =
          when === 'load'
            ? delivery.load(endless())
            : delivery.load(fileOf('added,1,a\n')).then(() => delivery.commit())
        const failed = work.catch((error: unknown) => error)
        await sleep(300)
        const start = performance.now()
        canceler.abort(new Error('stop it'))
        expect(await failed).toMatchObject({ message: 'stop it' })
        expect(performance.now() - start).toBeLessThan(1000)
        await delivery.abandon()
        await holder.abandon()
        // Also the server gives up soon: it looks for its client every two seconds.
        await allGone()
        expect(await countOf(table)).toBe(1)
      },
    )

    test('before it began: nothing is dialed', async () => {
      const ctx = contextOf(server, {}, AbortSignal.abort(new Error('stop it')))
      await expect(open(ctx, 'never', 'append').begin(plain, newRunId())).rejects.toThrow('stop it')
      expect(ctx.dialed).toEqual([])
    })

    /** Lines without end, slowly: the load is never finished by itself. */
    function endless(): OutgoingFile {
      return {
        ...fileOf(''),
        async *read() {
          for (let id = 1; ; id++) {
            yield Buffer.from(`added,${id},a\n`)
            await sleep(5)
          }
        },
      }
    }
  })

  test('the settings of a run hold for its transaction alone, also where a pooler hands the session on', async () => {
    const session = await openSession(contextOf(server, { user: 'loose', password: 'l' }))
    const read = async (): Promise<readonly unknown[]> => {
      const names = [
        'TimeZone',
        'lock_timeout',
        'statement_timeout',
        'synchronous_commit',
        'client_connection_check_interval',
      ]
      const { rows } = await session.query<{ value: string }>(
        'SELECT current_setting(n) AS value FROM unnest($1::text[]) WITH ORDINALITY w (n, i) ORDER BY i',
        [names],
      )
      return rows.map(({ value }) => value)
    }
    const before = await read()
    await beginTransaction(session)
    expect(await read()).toEqual(['UTC', '1min', '6h', 'on', '2s'])
    await session.query('ROLLBACK')
    expect(await read()).toEqual(before)
    await session.close()
  })

  test('sockets that are not of node:net work as well, and TLS over them', async () => {
    const ctx = contextOf(server, { tls: 'verify', ca: server.ca ?? '' })
    const wrapped: PostgresqlContext = {
      ...ctx,
      connect: async (address) => {
        const socket = await ctx.connect(address)
        return Duplex.from({ readable: socket, writable: socket })
      },
    }
    expect(
      await deliver(
        wrapped,
        'wrapped',
        'append',
        plain,
        longFile(20_000, (id) => `${id},a\n`),
      ),
    ).toMatchObject({
      added: 20_000,
    })
    await allGone()
  })
})
