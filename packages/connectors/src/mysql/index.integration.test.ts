/** Over Debian's MariaDB. MySQL itself is not among Debian's packages, so what is only its own has not been run. */
import { DestinationInvalid } from '@patchbay/connector-sdk'
import { checkConnector, type Trial } from '@patchbay/connector-sdk/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import { startMariadb, type MariadbServer } from '../../test-servers/mariadb.ts'
import { mysql } from './index.ts'
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
const NOBODY = ['2', null, null, null, null, null, null] as const

describe.skipIf(!requirement('mariadb').available)('mysql over MariaDB [needs mariadb-server]', () => {
  let server: MariadbServer
  beforeAll(async () => {
    server = await startMariadb()
  })
  afterAll(() => server.stop())
  const rowsOf = (table: string): Promise<readonly Record<string, unknown>[]> =>
    server.query(`SELECT * FROM \`${table}\` ORDER BY id`)

  it('does what every connector must', async () => {
    const trial: Trial = {
      settings: { host: server.host, port: server.port, user: server.user, database: server.database, tls: 'none' },
      secrets: { password: server.password },
      destinations: {
        table: {
          values: { table: 'checked' },
          mode: 'upsert',
          shape: CHANGES,
          lines: [linesOf(['added', ...ADA]), linesOf(['added', ...NOBODY])].map((line) => line.trimEnd()),
        },
      },
      stop: () => undefined,
    }
    const results = await checkConnector(mysql, { makeFake: () => Promise.resolve(trial) })
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('verifies step by step, and leaves only its table of markers', async () => {
    await server.query('CREATE DATABASE verified')
    const steps = await verify(contextOf(server, { database: 'verified' }))
    expect(steps.map(({ step, ok }) => [step, ok])).toEqual(
      ['resolved', 'reached', 'trusted', 'signed-in', 'may-write'].map((step) => [step, true]),
    )
    expect(
      await server.query('SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?', [
        'verified',
      ]),
    ).toEqual([{ name: 'patchbay_run' }])
    expect(await server.query('SELECT * FROM verified.patchbay_run')).toEqual([])
  })

  it('makes the table, and every value arrives as it is', async () => {
    expect(await deliver(contextOf(server), 'made', 'append', linesFile(linesOf(ADA, NOBODY)))).toEqual({
      ...{ added: 2, changed: 0, removed: 0 },
    })
    expect(await rowsOf('made')).toEqual([
      { id: '1', name: 'Ada', age: 36, spend: 12.5, vip: 1, born: '1815-12-10', seen: '2024-02-29 23:59:59.123456' },
      { id: '2', name: null, age: null, spend: null, vip: null, born: null, seen: null },
    ])
  })

  // prettier-ignore
  it('keeps odd texts apart from nothing', async () => {
    const texts = ['', 'NULL', 'null', '\\N', '\\', 'a\\nb', '"', '""', ',', 'a\nb', 'a\r\nb', ' x ', "O'Brien", 'ü 名 😀', 'Robert\'); DROP TABLE made;--', '\0', '\\"', '"\\', 'x,"y"\n', '-- #', '\t']
    const rows = texts.map((text, index) => [String(index), text, null, null, null, null, null])
    await deliver(contextOf(server), 'odd', 'append', linesFile(linesOf(...rows)))
    const stands = await server.query('SELECT id, name FROM odd ORDER BY CAST(id AS UNSIGNED)')
    expect(stands.map(({ name }) => name)).toEqual(texts)
  })

  it.each(['select', 'a b', 'ünï名', 'a`b', "quote'd", '"double"', 'semi;colon', 'back\\slash', '%s?', 'x'.repeat(64)])(
    'takes tables and columns called %j',
    async (name) => {
      const shape = { ...CHANGES, columns: [...CHANGES.columns, { name, type: 'text', nullable: true } as const] }
      const row = ['added', ...ADA, 'odd']
      await deliver(contextOf(server), name, 'upsert', linesFile(linesOf(row)), shape)
      await deliver(contextOf(server), name, 'upsert', linesFile(linesOf(['changed', ...ADA, 'odder'])), shape)
      expect((await rowsOf(name.replaceAll('`', '``')))[0]?.[name]).toBe('odder')
    },
  )

  it.each(['', 'x'.repeat(65), 'ends in a space ', 'a\0b', '😀', 'patchbay_run', 'PATCHBAY_RUN'])(
    'refuses the table name %j',
    (table) => {
      const destination = mysql.destinations['table']
      if (destination?.delivers !== 'table') throw new Error('It delivers no table')
      expect(() => destination.open(contextOf(server) as never, { table }, 'append')).toThrow(DestinationInvalid)
    },
  )

  it('upserts by key: neither case nor accents nor spaces at the end make two keys one', async () => {
    const keys = ['a', 'A', 'á', 'a ', ' a']
    const rows = keys.map((key) => ['added', key, key, 1, null, null, null, null])
    expect(await deliver(contextOf(server), 'keys', 'upsert', linesFile(linesOf(...rows)))).toMatchObject({ added: 5 })
    const next = [
      ['changed', 'A', 'changed', 2, null, null, null, null],
      ['added', 'b', 'new', 3, null, null, null, null],
      // Already there although it is told as added: an upsert.
      ['added', 'a ', 'again', 4, null, null, null, null],
    ]
    expect(await deliver(contextOf(server), 'keys', 'upsert', linesFile(linesOf(...next)))).toEqual({
      ...{ added: 2, changed: 1, removed: 0 },
    })
    const stands = await server.query('SELECT id, name FROM `keys`')
    expect(new Map(stands.map(({ id, name }) => [id, name]))).toEqual(
      new Map([
        ['a', 'a'],
        ['A', 'changed'],
        ['á', 'á'],
        ['a ', 'again'],
        [' a', ' a'],
        ['b', 'new'],
      ]),
    )
  })

  it('counts an upsert that changes nothing as done', async () => {
    const rows = linesFile(linesOf(['added', ...ADA]))
    await deliver(contextOf(server), 'same', 'upsert', rows)
    expect(await deliver(contextOf(server), 'same', 'upsert', rows)).toEqual({ added: 1, changed: 0, removed: 0 })
  })

  it('mirrors: deletes what left, and not what is others’', async () => {
    await deliver(contextOf(server), 'mirrored', 'mirror', linesFile(linesOf(['added', ...ADA], ['added', ...NOBODY])))
    await server.query("INSERT INTO mirrored (id, name) VALUES ('theirs', 'x')")
    const removed = ['removed', '1', null, null, null, null, null, null]
    const gone = ['removed', 'never there', null, null, null, null, null, null]
    expect(await deliver(contextOf(server), 'mirrored', 'mirror', linesFile(linesOf(removed, gone)))).toEqual({
      ...{ added: 0, changed: 0, removed: 2 },
    })
    expect((await rowsOf('mirrored')).map(({ id }) => id)).toEqual(['2', 'theirs'])
  })

  it('deletes and adds one key in one run', async () => {
    await deliver(contextOf(server), 'both', 'mirror', linesFile(linesOf(['added', ...ADA])))
    const changes = linesOf(
      ['removed', '1', null, null, null, null, null, null],
      ['added', '1', 'Eve', 1, null, null, null, null],
    )
    await deliver(contextOf(server), 'both', 'mirror', linesFile(changes))
    expect(await rowsOf('both')).toMatchObject([{ id: '1', name: 'Eve' }])
  })

  it('replaces its own table only, and readers have the old rows until the commit', async () => {
    const ctx = contextOf(server)
    await deliver(ctx, 'replaced', 'replace', linesFile(linesOf(ADA)))
    const delivery = open(ctx, 'replaced', 'replace')
    await delivery.begin(PEOPLE, newRunId())
    await delivery.load(linesFile(linesOf(NOBODY)))
    expect((await rowsOf('replaced')).map(({ id }) => id)).toEqual(['1'])
    await delivery.commit()
    expect((await rowsOf('replaced')).map(({ id }) => id)).toEqual(['2'])
    await server.query('CREATE TABLE foreign_one LIKE replaced')
    await server.query("ALTER TABLE foreign_one COMMENT = ''")
    await expect(deliver(ctx, 'foreign_one', 'replace', linesFile(linesOf(ADA)))).rejects.toThrow(/did not make/)
  })

  it('leaves a table whole that a run did not finish, and takes away one that it had made', async () => {
    const ctx = contextOf(server)
    await deliver(ctx, 'kept', 'append', linesFile(linesOf(ADA)))
    for (const table of ['kept', 'unmade']) {
      const delivery = open(ctx, table, 'append')
      await delivery.begin(PEOPLE, newRunId())
      await delivery.load(linesFile(linesOf(NOBODY)))
      await delivery.abandon()
    }
    expect((await rowsOf('kept')).map(({ id }) => id)).toEqual(['1'])
    expect(await server.query("SHOW TABLES LIKE 'unmade'")).toEqual([])
  })

  it('takes an empty file, and a run of no rows', async () => {
    expect(await deliver(contextOf(server), 'empty', 'append', linesFile(''))).toEqual({
      added: 0,
      changed: 0,
      removed: 0,
    })
    expect(
      await deliver(contextOf(server), 'empty', 'mirror', linesFile(''), CHANGES).catch((error: unknown) =>
        String(error),
      ),
    ).toMatch(/has no unique index on exactly `id`/)
    expect(await deliver(contextOf(server), 'empty_too', 'mirror', linesFile(''))).toEqual({
      added: 0,
      changed: 0,
      removed: 0,
    })
  })

  it('converts what an existing table holds in other types', async () => {
    await server.query(
      'CREATE TABLE typed (id varchar(20) NOT NULL PRIMARY KEY, name char(10), age smallint, spend decimal(10,2), vip varchar(5), born datetime, seen timestamp NULL, extra int NOT NULL DEFAULT 7)',
    )
    await deliver(contextOf(server), 'typed', 'upsert', linesFile(linesOf(['added', ...ADA])))
    expect(await rowsOf('typed')).toEqual([
      {
        id: '1',
        name: 'Ada',
        age: 36,
        spend: '12.50',
        vip: 'true',
        born: '1815-12-10 00:00:00',
        seen: expect.stringContaining('2024-02-') as string,
        extra: 7,
      },
    ])
  })

  it('delivers 1 M rows, whole', async () => {
    const line = (index: number): string =>
      `${index},name ${index},${index % 90},${index / 8},true,2020-01-01,2024-05-06T07:08:09.000000Z\n`
    const before = process.memoryUsage().rss
    expect(await deliver(contextOf(server), 'million', 'append', longFile(1_000_000, line))).toMatchObject({
      added: 1_000_000,
    })
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024)
    const [sums] = await server.query(
      'SELECT count(*) AS n, sum(CAST(id AS UNSIGNED)) AS ids, sum(spend) AS spend FROM million',
    )
    expect(sums).toMatchObject({ n: 1_000_000, ids: String(499_999_500_000), spend: 499_999_500_000 / 8 })
  }, 180_000)
})
