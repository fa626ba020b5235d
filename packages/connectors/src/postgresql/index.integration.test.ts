import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DestinationInvalid, Unavailable } from '@patchbay/connector-sdk'
import { assertConnector } from '@patchbay/connector-sdk/testing'
import { requirement } from '../../../../checks/requirement.ts'
import { startPostgresql, type PostgresqlServer } from '../../test-servers/postgresql.ts'
import { postgresql } from './index.ts'
import { contextOf, deliver, fileOf, linesOf, longFile, newRunId, open, shapeOf, verify } from './table-test-support.ts'
import type { PostgresqlContext } from './session.ts'

describe.skipIf(!requirement('postgresql').available)('tables of a real server [needs postgresql]', () => {
  let server: PostgresqlServer
  let ctx: PostgresqlContext
  beforeAll(async () => {
    server = await startPostgresql()
    ctx = contextOf(server)
  })
  afterAll(() => server?.stop())

  const all = (table: string, order = '1'): Promise<Record<string, unknown>[]> =>
    server.query(`SELECT * FROM ${table} ORDER BY ${order}`)
  const people = shapeOf({ id: 'integer', name: 'text' }, ['id'], true)
  const plain = shapeOf({ id: 'integer', name: 'text' })

  test('passes what every connector must', async () => {
    const { password, host, port, user, database } = server
    const results = await assertConnector(postgresql, {
      makeFake: () =>
        Promise.resolve({
          settings: { host, port, user, database, schema: 'public', tls: 'none' },
          secrets: { password },
          destinations: {
            table: { values: { table: 'conforming' }, shape: people, lines: ['added,1,a', 'added,2,b', 'added,3,""'] },
          },
          stop: () => undefined,
        }),
    })
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  describe('append', () => {
    test('makes the table and adds to it, run by run, file by file', async () => {
      const delivery = open(ctx, 'appended', 'append')
      const runId = newRunId()
      expect(await delivery.isCommitted(runId)).toBeUndefined()
      await delivery.begin(plain, runId)
      expect(await delivery.load(fileOf('1,a\n2,b\n'))).toBe(2)
      expect(await delivery.load(fileOf('3,c\n'))).toBe(1)
      expect(await delivery.load(fileOf(''))).toBe(0)
      expect(await delivery.commit()).toEqual({ added: 3, changed: 0, removed: 0 })
      expect(await delivery.isCommitted(runId)).toEqual({ added: 3, changed: 0, removed: 0 })
      await deliver(ctx, 'appended', 'append', plain, fileOf('1,again\n'))
      expect((await all('appended', 'id, name')).map((row) => row['name'])).toEqual(['a', 'again', 'b', 'c'])
    })

    test('leaves nothing when abandoned, not even the table, and ends without one of the steps', async () => {
      const delivery = open(ctx, 'abandoned', 'append')
      await delivery.abandon()
      await delivery.begin(plain, newRunId())
      await delivery.load(fileOf('1,a\n'))
      await delivery.abandon()
      await delivery.abandon()
      expect(await server.query("SELECT to_regclass('abandoned') AS it")).toEqual([{ it: null }])
      await expect(delivery.commit()).rejects.toThrow('begin was not called')
    })

    test('tells NULL from empty text, and keeps every odd character of values', async () => {
      const odd = [
        null,
        '',
        ' ',
        '"',
        '""',
        ',',
        '\n',
        '\r\n',
        '\\',
        '\\N',
        '\\.',
        'NULL',
        "'",
        '\t',
        '🙂',
        '\u00a0\u202e',
        'a\n\\.\nb',
      ]
      const random = fc.sample(fc.string({ unit: 'binary' }), { numRuns: 500, seed: 7 })
      const values = [...odd, ...random.map((text) => text.toWellFormed().replaceAll('\0', ''))]
      const shape = shapeOf({ id: 'integer', value: 'text' })
      const rows = values.map((value, index) => [index, value] as const)
      await deliver(ctx, 'odd_values', 'append', shape, fileOf(linesOf(rows), rows.length))
      expect((await all('odd_values')).map((row) => row['value'])).toEqual(values)
    })

    test('has every type arrive as it was, digits and moments alike', async () => {
      const shape = shapeOf({ i: 'integer', d: 'decimal', b: 'boolean', day: 'date', at: 'timestamp' })
      const lines = [
        '9223372036854775807,12345678901234567890.123456789,true,2024-02-29,2024-03-31 02:30:00.123456',
        '-9223372036854775808,-0.1,false,0001-01-01,2024-03-31T02:30:00Z',
        ',,,,2024-03-31T02:30:00+02:00',
        '0,1e3,false,9999-12-31,1969-12-31 23:59:59',
      ]
      await deliver(ctx, 'typed', 'append', shape, fileOf(`${lines.join('\n')}\n`))
      const rows = await server.query(
        `SELECT i::text, d::text, b, day::text, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS at FROM typed ORDER BY i`,
      )
      expect(rows).toEqual([
        { i: '-9223372036854775808', d: '-0.1', b: false, day: '0001-01-01', at: '2024-03-31 02:30:00.000000' },
        { i: '0', d: '1000', b: false, day: '9999-12-31', at: '1969-12-31 23:59:59.000000' },
        {
          ...{ i: '9223372036854775807', d: '12345678901234567890.123456789', b: true },
          ...{ day: '2024-02-29', at: '2024-03-31 02:30:00.123456' },
        },
        { i: null, d: null, b: null, day: null, at: '2024-03-31 00:30:00.000000' },
      ])
    })

    test('one million rows arrive, each once and whole', async () => {
      const shape = shapeOf({ id: 'integer', email: 'text', city: 'text', amount: 'decimal' })
      const file = longFile(1_000_000, (id) => `${id},user${id}@example.org,"City, ${id % 100}",${id / 100}\n`)
      expect(await deliver(ctx, 'million', 'append', shape, file)).toMatchObject({ added: 1_000_000 })
      const [sums] = await server.query(
        `SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids, min(id)::int AS low, max(id)::int AS high,
           count(*) FILTER (WHERE email = 'user' || id || '@example.org' AND city = 'City, ' || id % 100 AND amount = id / 100.0)::int AS good
         FROM million`,
      )
      expect(sums).toEqual({ rows: 1_000_000, ids: 1_000_000, low: 0, high: 999_999, good: 1_000_000 })
    })
  })

  describe('names', () => {
    test.each([
      'with "quotes"',
      "it's; drop table x --",
      'select',
      'A.b',
      'line\nbreak',
      '🙂'.repeat(15),
      '\\',
      '%s $1',
      ' ',
    ])('a table and columns called %j', async (name) => {
      const shape = shapeOf(
        { [name]: 'integer', change: 'text', c1: 'text', [`${name.slice(0, 20)}2`]: 'text' },
        [name],
        true,
      )
      await deliver(ctx, name, 'mirror', shape, fileOf('added,1,a,b,c\nadded,2,a,b,c\n'))
      await deliver(ctx, name, 'mirror', shape, fileOf('removed,1,,,\nchanged,2,x,y,z\n'))
      const quoted = `"${name.replaceAll('"', '""')}"`
      const rows = await server.query(`SELECT * FROM ${quoted}`)
      expect(rows.map((row) => Object.values(row))).toEqual([['2', 'x', 'y', 'z']])
      const bad = deliver(ctx, name, 'mirror', shape, fileOf('changed,3,x,y,z\nchanged,secret,x,y,z\n'))
      await expect(bad).rejects.toThrow(`column ${JSON.stringify(name)}, line 2 of the file`)
      const direct = { ...shape, key: [], withChange: false }
      await expect(deliver(ctx, name, 'append', direct, fileOf('4,x,y,z\nsecret,x,y,z\n'))).rejects.toThrow(
        `column ${JSON.stringify(name)}, line 2 of the file`,
      )
    })
  })

  describe('upsert and mirror', () => {
    test('upsert adds and overwrites by key, and leaves other rows and other columns alone', async () => {
      await server.query("CREATE TABLE upserted (name text, note text DEFAULT 'theirs', id int UNIQUE)")
      await server.query("INSERT INTO upserted (id, name) VALUES (1, 'one'), (2, 'two'), (3, 'three')")
      const outcome = await deliver(ctx, 'upserted', 'upsert', people, fileOf('changed,2,TWO\nadded,4,four\n'))
      expect(outcome).toEqual({ added: 1, changed: 1, removed: 0 })
      expect(await all('upserted', 'id')).toEqual([
        { id: 1, name: 'one', note: 'theirs' },
        { id: 2, name: 'TWO', note: 'theirs' },
        { id: 3, name: 'three', note: 'theirs' },
        { id: 4, name: 'four', note: 'theirs' },
      ])
    })

    test('2 % of a table change', async () => {
      const rows = 100_000
      await deliver(
        ctx,
        'two_percent',
        'upsert',
        people,
        longFile(rows, (id) => `added,${id},name ${id}\n`),
      )
      const changes = longFile(rows / 50, (index) => `changed,${index * 50},new ${index}\n`)
      expect(await deliver(ctx, 'two_percent', 'upsert', people, changes)).toMatchObject({ changed: rows / 50 })
      const [sums] = await server.query(
        `SELECT count(*)::int AS rows, count(*) FILTER (WHERE name LIKE 'new %')::int AS changed,
           count(*) FILTER (WHERE name = 'new ' || id / 50 AND id % 50 = 0 OR name = 'name ' || id AND id % 50 > 0)::int AS good FROM two_percent`,
      )
      expect(sums).toEqual({ rows, changed: rows / 50, good: rows })
    })

    test('mirror deletes the rows whose keys it is given, and no other', async () => {
      await deliver(ctx, 'mirrored', 'mirror', people, fileOf('added,1,a\nadded,2,b\nadded,3,c\n'))
      await server.query("INSERT INTO mirrored VALUES (100, 'foreign')")
      const outcome = await deliver(ctx, 'mirrored', 'mirror', people, fileOf('removed,1,\nremoved,77,\nchanged,2,B\n'))
      expect(outcome).toEqual({ added: 0, changed: 1, removed: 2 })
      expect((await all('mirrored')).map((row) => row['name'])).toEqual(['B', 'c', 'foreign'])
    })

    test('a key of two columns, one of them text', async () => {
      const shape = shapeOf({ a: 'text', b: 'integer', c: 'text' }, ['b', 'a'], true)
      await deliver(ctx, 'two_keys', 'mirror', shape, fileOf('added,x,1,one\nadded,x,2,two\nadded,"",1,three\n'))
      await deliver(ctx, 'two_keys', 'mirror', shape, fileOf('removed,x,1,\nchanged,"",1,THREE\n'))
      expect((await all('two_keys')).map((row) => row['c'])).toEqual(['THREE', 'two'])
    })

    test('a table of nothing but its key', async () => {
      const shape = shapeOf({ id: 'integer' }, ['id'], true)
      await deliver(ctx, 'only_key', 'mirror', shape, fileOf('added,1\nadded,2\n'))
      expect(await deliver(ctx, 'only_key', 'mirror', shape, fileOf('removed,1\nadded,2\nadded,3\n'))).toMatchObject({
        added: 2,
      })
      expect(await all('only_key')).toEqual([{ id: '2' }, { id: '3' }])
    })

    test('an empty file, and no file at all, change nothing and leave their marker', async () => {
      expect(await deliver(ctx, 'mirrored', 'mirror', people, fileOf(''))).toEqual({ added: 0, changed: 0, removed: 0 })
      const delivery = open(ctx, 'never_loaded', 'upsert')
      const runId = newRunId()
      await delivery.begin(people, runId)
      await delivery.commit()
      expect(await delivery.isCommitted(runId)).toEqual({ added: 0, changed: 0, removed: 0 })
      expect(await all('never_loaded')).toEqual([])
    })

    test('a key that is NULL, one that stands twice, and one that differs only for the export are refused', async () => {
      await expect(deliver(ctx, 'bad_keys', 'upsert', people, fileOf('added,,a\n'))).rejects.toThrow(
        'column "id", line 1',
      )
      await expect(deliver(ctx, 'bad_keys', 'upsert', people, fileOf('added,1,a\nadded,1,b\n'))).rejects.toThrow(
        '23505',
      )
      await deliver(ctx, 'bad_keys', 'upsert', people, fileOf('added,1,a\n'))
      await expect(deliver(ctx, 'bad_keys', 'upsert', people, fileOf('changed,1,a\nchanged,1,b\n'))).rejects.toThrow(
        '21000',
      )
      expect(await all('bad_keys')).toEqual([{ id: '1', name: 'a' }])
    })

    test('a trigger that holds rows back makes the run fail', async () => {
      await deliver(ctx, 'held_back', 'upsert', people, fileOf('added,1,a\n'))
      await server.query(`CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER hold BEFORE INSERT ON held_back FOR EACH ROW EXECUTE FUNCTION hold()`)
      await expect(deliver(ctx, 'held_back', 'upsert', people, fileOf('added,2,b\n'))).rejects.toThrow(
        'took 0 of 1 rows',
      )
    })

    test('what is neither added, changed nor removed is a bug and rolls back', async () => {
      await expect(deliver(ctx, 'mirrored', 'mirror', people, fileOf('deleted,1,x\n'))).rejects.toThrow('neither added')
    })
  })

  describe('replace', () => {
    test('puts new content in place of the old, also none', async () => {
      await deliver(ctx, 'replaced', 'replace', plain, fileOf('1,a\n2,b\n'))
      expect(await deliver(ctx, 'replaced', 'replace', plain, fileOf('2,B\n3,C\n'))).toMatchObject({ added: 2 })
      expect((await all('replaced')).map((row) => row['name'])).toEqual(['B', 'C'])
      await deliver(ctx, 'replaced', 'replace', plain, fileOf(''))
      expect(await all('replaced')).toEqual([])
    })

    test('readers see the old rows until the commit, and wait for nothing', async () => {
      await deliver(ctx, 'replaced', 'replace', plain, fileOf('1,old\n'))
      const delivery = open(ctx, 'replaced', 'replace')
      await delivery.begin(plain, newRunId())
      await delivery.load(fileOf('1,new\n'))
      expect(await all('replaced')).toEqual([{ id: '1', name: 'old' }])
      await delivery.commit()
      expect(await all('replaced')).toEqual([{ id: '1', name: 'new' }])
    })

    test('never deletes rows of a table that Patchbay did not make, until it is handed over', async () => {
      await server.query(
        "CREATE TABLE foreign_table (id bigint, name text); INSERT INTO foreign_table VALUES (1, 'theirs')",
      )
      const failed = deliver(ctx, 'foreign_table', 'replace', plain, fileOf('2,ours\n'))
      await expect(failed).rejects.toThrow(DestinationInvalid)
      await expect(failed).rejects.toThrow('COMMENT ON TABLE "public"."foreign_table" IS \'patchbay:owned\'')
      expect(await all('foreign_table')).toEqual([{ id: '1', name: 'theirs' }])
      await server.query("COMMENT ON TABLE foreign_table IS 'Ours since May. patchbay:owned'")
      await deliver(ctx, 'foreign_table', 'replace', plain, fileOf('2,ours\n'))
      expect(await all('foreign_table')).toEqual([{ id: '2', name: 'ours' }])
    })

    test('a table of the same name made anew by somebody else is theirs', async () => {
      await deliver(ctx, 'remade', 'replace', plain, fileOf('1,a\n'))
      await server.query('DROP TABLE remade; CREATE TABLE remade (id bigint, name text)')
      await expect(deliver(ctx, 'remade', 'replace', plain, fileOf('1,a\n'))).rejects.toThrow('did not make')
    })

    test('does not delete rows of other tables through their foreign keys', async () => {
      const keyed = { ...plain, key: ['id'] }
      await deliver(ctx, 'parents', 'replace', keyed, fileOf('1,a\n'))
      await server.query('CREATE TABLE children (parent bigint REFERENCES parents ON DELETE CASCADE)')
      await expect(deliver(ctx, 'parents', 'replace', keyed, fileOf('1,a\n'))).rejects.toThrow('ON DELETE CASCADE')
    })
  })

  describe('an existing table', () => {
    test.each([
      ['id bigint PRIMARY KEY', 'has no column "name"'],
      ['id bigint PRIMARY KEY, name bytea', 'is bytea and cannot take text'],
      ['id bigint, name text', 'CREATE UNIQUE INDEX'],
      ['id bigint, name text, UNIQUE (id) DEFERRABLE', 'CREATE UNIQUE INDEX'],
      ['id bigint, name text, PRIMARY KEY (id, name)', 'CREATE UNIQUE INDEX'],
      ['id bigint PRIMARY KEY, name text GENERATED ALWAYS AS (id::text) STORED', 'computed'],
      ['id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text', 'computed'],
      ['id bigint PRIMARY KEY, name text, more int NOT NULL', 'DROP NOT NULL'],
    ])('(%s) is refused', async (columns, words) => {
      await server.query(`DROP TABLE IF EXISTS existing; CREATE TABLE existing (${columns})`)
      const failed = deliver(ctx, 'existing', 'upsert', people, fileOf('added,1,a\n'))
      await expect(failed).rejects.toThrow(DestinationInvalid)
      await expect(failed).rejects.toThrow(words)
    })

    test.each([
      'id int PRIMARY KEY, name varchar(20)',
      'id numeric PRIMARY KEY, name jsonb',
      'id text PRIMARY KEY, name mood',
      'id positive PRIMARY KEY, name uuid',
      'id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text',
      'id bigint PRIMARY KEY, name text, more int NOT NULL DEFAULT 1',
    ])('(%s) is taken', async (columns) => {
      await server.query(`DROP TABLE IF EXISTS existing; DROP TYPE IF EXISTS mood; DROP DOMAIN IF EXISTS positive;
        CREATE TYPE mood AS ENUM ('7'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TABLE existing (${columns})`)
      const name = columns.includes('uuid') ? '00000000-0000-0000-0000-000000000007' : '7'
      expect(await deliver(ctx, 'existing', 'upsert', people, fileOf(`added,1,${name}\n`))).toMatchObject({ added: 1 })
      expect(await deliver(ctx, 'existing', 'append', plain, fileOf(`2,${name}\n`))).toMatchObject({ added: 1 })
    })

    test('a partitioned table is taken, a view is not', async () => {
      await server.query(`CREATE TABLE parted (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);
        CREATE TABLE parted_1 PARTITION OF parted DEFAULT; CREATE VIEW viewed AS SELECT * FROM parted`)
      expect(await deliver(ctx, 'parted', 'mirror', people, fileOf('added,1,a\n'))).toMatchObject({ added: 1 })
      await expect(deliver(ctx, 'viewed', 'append', plain, fileOf('1,a\n'))).rejects.toThrow('is not a table')
    })

    test('a bad value tells column, line and condition, never the value, and nothing is written', async () => {
      await server.query('DROP TABLE existing; CREATE TABLE existing (id int PRIMARY KEY, name varchar(5))')
      for (const [line, words] of [
        ['99999999999,a', 'SQLSTATE 22003, numeric_value_out_of_range): column "id", line 2 of the file'],
        ['3,Mustermann', 'SQLSTATE 22001, string_data_right_truncation): column "name", line 2 of the file'],
        ['Mustermann,a', 'SQLSTATE 22P02, invalid_text_representation): column "id", line 2 of the file'],
        ['3,a,Mustermann', 'SQLSTATE 22P04, bad_copy_file_format): line 2 of the file'],
      ] as const) {
        for (const mode of ['append', 'upsert'] as const) {
          const text = mode === 'append' ? `1,a\n${line}\n` : `added,1,a\nadded,${line}\n`
          const error = await deliver(ctx, 'existing', mode, mode === 'append' ? plain : people, fileOf(text)).catch(
            (e) => e,
          )
          expect(error).toBeInstanceOf(DestinationInvalid)
          expect(error.message).toContain(words)
          expect(`${error.message}${String(error.cause)}${error.stack}`).not.toMatch(/Mustermann|99999999999/)
        }
      }
      expect(await all('existing')).toEqual([])
    })

    test('a rule of the table that is checked at the COMMIT tells its name', async () => {
      await server.query(`CREATE TABLE teams (id bigint PRIMARY KEY); CREATE TABLE members (id bigint PRIMARY KEY, name text,
        CONSTRAINT in_a_team FOREIGN KEY (id) REFERENCES teams DEFERRABLE INITIALLY DEFERRED)`)
      const failed = deliver(ctx, 'members', 'append', plain, fileOf('1,a\n'))
      await expect(failed).rejects.toThrow(DestinationInvalid)
      await expect(failed).rejects.toThrow('"in_a_team"')
    })
  })

  describe('two runs at once', () => {
    test('make one table between them and both arrive', async () => {
      const one = deliver(
        ctx,
        'at_once',
        'mirror',
        people,
        longFile(20_000, (id) => `added,${id},one\n`),
      )
      const two = deliver(
        ctx,
        'at_once',
        'mirror',
        people,
        longFile(20_000, (id) => `added,${39_000 - id},two\n`),
      )
      await Promise.all([one, two])
      expect(await server.query('SELECT count(*)::int AS rows FROM at_once')).toEqual([{ rows: 39_001 }])
    })

    test('of the same id: the second is refused, and asks to look at the first', async () => {
      const runId = newRunId()
      await deliver(ctx, 'once', 'append', plain, fileOf('1,a\n'), runId)
      const again = deliver(ctx, 'once', 'append', plain, fileOf('1,a\n'), runId)
      await expect(again).rejects.toThrow(Unavailable)
      await expect(again).rejects.toMatchObject({ sent: 'maybe' })
      expect(await all('once')).toEqual([{ id: '1', name: 'a' }])
    })
  })

  describe('a role with the rights that README.md grants', () => {
    const blocks = [
      ...readFileSync(new URL('README.md', import.meta.url), 'utf8').matchAll(/```sql\n([\s\S]*?)```/g),
    ].map((match) => (match[1] ?? '').replace(' crm ', ' patchbay '))
    const role = (): PostgresqlContext =>
      contextOf(server, { user: 'patchbay_export', password: 'a long random password', schema: 'export' })

    test('does everything in its own schema', async () => {
      await server.query('REVOKE ALL ON DATABASE patchbay FROM PUBLIC')
      for (const block of blocks.slice(0, 2)) await server.query(block)
      expect((await verify(role())).every((step) => step.ok)).toBe(true)
      for (const mode of ['upsert', 'mirror', 'append', 'replace'] as const) {
        const isStaged = mode === 'upsert' || mode === 'mirror'
        for (const _ of [1, 2]) {
          const delivery = open(role(), `by_${mode}`, mode, 'export')
          const runId = newRunId()
          await delivery.begin(isStaged ? people : plain, runId)
          await delivery.load(fileOf(isStaged ? 'added,1,a\n' : '1,a\n'))
          await delivery.commit()
          expect(await delivery.isCommitted(runId)).toMatchObject({ added: 1 })
        }
      }
    })

    test('may not write elsewhere, and is told what to grant', async () => {
      await server.query('CREATE TABLE theirs (id bigint PRIMARY KEY, name text)')
      await expect(deliver(role(), 'anything', 'append', plain, fileOf('1,a\n'))).rejects.toThrow(
        'GRANT SELECT, INSERT, DELETE ON "public"."patchbay_run"',
      )
      await server.query(
        'CREATE TABLE export.theirs (id bigint PRIMARY KEY, name text); GRANT INSERT, SELECT ON export.theirs TO patchbay_export',
      )
      const write = open(role(), 'theirs', 'mirror', 'export')
      await expect(write.begin(people, newRunId())).rejects.toThrow(
        'GRANT SELECT, INSERT, UPDATE, DELETE ON "export"."theirs"',
      )
    })

    test('without CREATE it writes to the tables that are there, and makes none', async () => {
      await server.query('DROP SCHEMA export CASCADE; CREATE SCHEMA export')
      expect((await verify(role())).at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'schema' })
      await server.query(blocks[2] ?? '')
      expect((await verify(role())).at(-1)).toMatchObject({
        step: 'may-write',
        ok: true,
        detail: expect.stringContaining('existing'),
      })
      await server.query(
        'CREATE TABLE export.customers (id bigint PRIMARY KEY, name text); GRANT INSERT, DELETE ON export.customers TO patchbay_export',
      )
      await server.query(blocks[3] ?? '')
      const delivery = open(role(), 'customers', 'replace', 'export')
      await delivery.begin(plain, newRunId())
      await delivery.load(fileOf('1,a\n'))
      await delivery.commit()
      await expect(open(role(), 'new', 'append', 'export').begin(plain, newRunId())).rejects.toThrow('may not make it')
      await server.query(
        'REVOKE TEMPORARY ON DATABASE patchbay FROM patchbay_export; GRANT ALL ON export.customers TO patchbay_export',
      )
      await expect(open(role(), 'customers', 'upsert', 'export').begin(people, newRunId())).rejects.toThrow(
        'GRANT TEMPORARY',
      )
    })

    test('a schema that is not there', async () => {
      await expect(open(ctx, 'any', 'append', 'nowhere').begin(plain, newRunId())).rejects.toMatchObject({
        field: 'schema',
      })
      expect((await verify(contextOf(server, { schema: 'nowhere' }))).at(-1)).toMatchObject({
        ok: false,
        field: 'schema',
      })
    })
  })
})
