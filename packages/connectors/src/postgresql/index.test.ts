import { describe, expect, test } from 'vitest'
import { DatabaseError } from 'pg'
import { DestinationInvalid, Unavailable, type Mode } from '@patchbay/connector-sdk'
import { checkExistingTable, OWNED_MARK, type ExistingColumn, type ExistingTable } from './columns.ts'
import { ConnectionLost, translate, type Doing } from './errors.ts'
import { postgresql } from './index.ts'
import { checkColumnNames, checkTableName, nameFault, quote, quoteTable } from './names.ts'
import { shapeOf } from './table-test-support.ts'

describe('the definition', () => {
  test('is plain data that survives JSON', () => {
    expect(JSON.parse(JSON.stringify(postgresql.settings))).toEqual(postgresql.settings)
    expect(postgresql.destinations['table']?.delivers).toBe('table')
  })

  test('everything that says where, as whom and trusting whom drops the password when it changes', () => {
    const endpoints = Object.entries(postgresql.settings).filter(([, field]) => field.endpoint === true)
    expect(endpoints.map(([name]) => name)).toEqual(['host', 'port', 'database', 'user', 'tls', 'ca'])
  })

  test('there is no encryption without a checked certificate', () => {
    const { tls } = postgresql.settings
    expect(tls?.kind === 'choice' && tls.choices.map(({ value }) => value)).toEqual(['verify', 'none'])
  })
})

describe('names', () => {
  test.each(['a', 'Ünïcode 🙂', 'with "quotes"', "it's; drop table x --", 'line\nbreak', '.', 'x'.repeat(63)])(
    '%j is fine',
    (name) => {
      expect(nameFault(name)).toBeUndefined()
    },
  )

  test.each(['', 'a\0b', 'x'.repeat(64), 'ü'.repeat(32), '\ud800'])('%j is refused', (name) => {
    expect(() => checkTableName({ schema: 'public', table: name })).toThrow(DestinationInvalid)
    expect(() => checkTableName({ schema: name, table: 'a' })).toThrow(DestinationInvalid)
    expect(() => checkColumnNames(shapeOf({ [name]: 'text' }))).toThrow(DestinationInvalid)
  })

  test('the table of markers is nobody’s destination', () => {
    expect(() => checkTableName({ schema: 'public', table: 'patchbay_run' })).toThrow('its own notes')
  })

  test('columns that PostgreSQL has already are refused before anything is made', () => {
    expect(() => checkColumnNames(shapeOf({ ctid: 'text' }))).toThrow('"ctid"')
  })

  test('quotes are doubled', () => {
    expect(quote('a"b')).toBe('"a""b"')
    expect(quoteTable({ schema: 'p.q', table: 'a"' })).toBe('"p.q"."a"""')
  })
})

describe('an existing table', () => {
  const column = (name: string, baseType: string, changes: Partial<ExistingColumn> = {}): ExistingColumn => ({
    ...{ name, shownType: baseType, baseType, isRequired: false, hasDefault: false, isComputed: false },
    ...changes,
  })
  const table = (changes: Partial<ExistingTable> = {}): ExistingTable => ({
    ...{ kind: 'r', isOurs: true, hasRowSecurity: false, cascades: 0, missingRights: [] },
    ...{ columns: [column('id', 'int8'), column('name', 'text')], uniqueKeys: [['id']] },
    ...changes,
  })
  const shape = shapeOf({ id: 'integer', name: 'text' }, ['id'], true)
  const fault = (existing: ExistingTable, mode: Mode = 'upsert', wanted = shape): string | undefined => {
    try {
      checkExistingTable({ schema: 'public', table: 't' }, existing, wanted, mode)
      return undefined
    } catch (error) {
      expect(error).toBeInstanceOf(DestinationInvalid)
      return error instanceof Error ? error.message : undefined
    }
  }

  test.each(['append', 'upsert', 'mirror', 'replace'] as const)('that fits is taken by %s', (mode) => {
    expect(fault(table(), mode)).toBeUndefined()
  })

  test.each([
    ['a missing column', table({ columns: [column('id', 'int8')] }), 'ADD COLUMN "name" text'],
    [
      'a wrong type',
      table({ columns: [column('id', 'int8'), column('name', 'bytea')] }),
      '"name" of "public"."t" is bytea',
    ],
    [
      'a type that would round',
      table({ columns: [column('id', 'float8'), column('name', 'text')] }),
      'cannot take integer',
    ],
    [
      'a computed column',
      table({ columns: [column('id', 'int8'), column('name', 'text', { isComputed: true })] }),
      'computed by the table',
    ],
    [
      'a column that must be filled and is not sent',
      table({ columns: [...table().columns, column('extra', 'text', { isRequired: true })] }),
      'ALTER COLUMN "extra" DROP NOT NULL',
    ],
    ['no unique index', table({ uniqueKeys: [] }), 'CREATE UNIQUE INDEX ON "public"."t" ("id")'],
    ['a unique index on more than the key', table({ uniqueKeys: [['id', 'name']] }), 'CREATE UNIQUE INDEX'],
    ['a view', table({ kind: 'v' }), 'is not a table'],
    ['row-level security', table({ hasRowSecurity: true }), 'Row-level security'],
    ['a missing right', table({ missingRights: ['UPDATE'] }), 'GRANT SELECT, INSERT, UPDATE ON "public"."t"'],
  ])('%s is named with its cure', (_, existing, words) => {
    expect(fault(existing)).toContain(words)
  })

  test('extra columns that may stay empty are left alone', () => {
    const extra = column('extra', 'text', { isRequired: true, hasDefault: true })
    expect(fault(table({ columns: [...table().columns, column('other', 'bytea'), extra] }))).toBeUndefined()
  })

  test('the order of the key’s columns does not matter', () => {
    expect(fault(table({ uniqueKeys: [['name', 'id']] }), 'upsert', { ...shape, key: ['id', 'name'] })).toBeUndefined()
  })

  test('append wants no unique index, no UPDATE and no DELETE', () => {
    expect(fault(table({ uniqueKeys: [], missingRights: ['UPDATE', 'DELETE', 'SELECT'] }), 'append')).toBeUndefined()
  })

  test('replace refuses a table that is not marked, and one that others hang on', () => {
    expect(fault(table({ isOurs: false }), 'replace')).toContain(OWNED_MARK)
    expect(fault(table({ isOurs: false }), 'mirror')).toBeUndefined()
    expect(fault(table({ cascades: 1 }), 'replace')).toContain('ON DELETE CASCADE')
  })
})

describe('errors', () => {
  const answer = (code: string, more: Partial<DatabaseError> = {}): DatabaseError =>
    Object.assign(new DatabaseError('secret value', 1, 'error'), { code, detail: 'Key (a)=(secret value)', ...more })
  const told = (error: unknown, doing: Doing = { step: 'work' }): { code: string; message: string; all: Error } => {
    const all = translate(error, doing)
    return { code: 'code' in all ? String(all.code) : '', message: all.message, all }
  }

  test.each([
    ['28P01', 'connect', 'connection-refused'],
    ['28000', 'connect', 'connection-refused'],
    ['3D000', 'connect', 'settings-invalid'],
    ['42501', 'connect', 'connection-refused'],
    ['53300', 'connect', 'unavailable'],
    ['57P03', 'connect', 'unavailable'],
    ['25006', 'work', 'settings-invalid'],
    ['42501', 'work', 'destination-invalid'],
    ['53100', 'work', 'unavailable'],
    ['57P01', 'work', 'unavailable'],
    ['40P01', 'work', 'unavailable'],
    ['40001', 'commit', 'unavailable'],
    ['55P03', 'work', 'unavailable'],
    ['XX001', 'work', 'unavailable'],
    ['22003', 'work', 'destination-invalid'],
    ['P0001', 'work', 'destination-invalid'],
    ['U1234', 'work', 'destination-invalid'],
    ['23503', 'commit', 'destination-invalid'],
  ] as const)('%s while at %s is %s', (code, step, wanted) => {
    expect(told(answer(code), { step }).code).toBe(wanted)
  })

  test.each(['57P01', '08006', '53100', '58030', 'XX000', 'U1234'])('%s at the COMMIT may have been done', (code) => {
    expect(told(answer(code), { step: 'commit' }).all).toMatchObject({ code: 'unavailable', sent: 'maybe' })
  })

  test('a broken connection is "no" before the COMMIT and "maybe" at it', () => {
    expect(told(new ConnectionLost()).all).toMatchObject({ sent: 'no' })
    expect(told(new ConnectionLost(), { step: 'commit' }).all).toMatchObject({ sent: 'maybe' })
    expect(told(new ConnectionLost({ cause: answer('57P01') })).message).toContain('shutting down')
  })

  const copy = {
    relation: 'staging, t',
    columns: new Map([
      ['c1', 'id'],
      ['c10', 'age'],
      ['a: "b', 'odd'],
    ]),
  }
  test.each([
    ['COPY staging, t, line 3, column c10: "secret value"', ': column "age", line 3 of the file'],
    ['COPY staging, t, line 3, column c1: null input', ': column "id", line 3 of the file'],
    ['COPY staging, t, line 3, column a: "b: "secret value"', ': column "odd", line 3 of the file'],
    ['COPY staging, t, Zeile 12, Spalte c10: »secret value«', ': column "age", line 12 of the file'],
    ['COPY staging, t, line 7: "secret value"', ': line 7 of the file'],
    ['COPY staging, t, line 7, column unknown: "secret value"', ': line 7 of the file'],
    ['SQL function "f" statement 1\nCOPY staging, t, line 7', ': line 7 of the file'],
  ])('%s', (where, wanted) => {
    const { message } = told(answer('22P02', { where }), { step: 'work', copy })
    expect(message.endsWith(wanted), message).toBe(true)
  })

  test.each(['21000', '22P02', '23505', '23514', '42501', 'P0001', 'XX000', '57014'])(
    '%s tells no value of a row',
    (code) => {
      const all = translate(answer(code, { where: 'COPY staging, t, line 1, column c1: "secret value"' }), {
        step: 'work',
        copy,
      })
      expect(JSON.stringify([all.message, all.cause, Object.entries(all)])).not.toContain('secret')
    },
  )

  test('certificates that do not hold are told apart by the field to mend', () => {
    const tls = (code: string): Error =>
      translate(new ConnectionLost({ cause: Object.assign(new Error('no'), { code }) }), { step: 'connect' })
    expect(tls('SELF_SIGNED_CERT_IN_CHAIN')).toMatchObject({ field: 'ca' })
    expect(tls('ERR_TLS_CERT_ALTNAME_INVALID')).toMatchObject({ field: 'host' })
    expect(tls('CERT_HAS_EXPIRED')).toMatchObject({ field: 'tls', step: 'trusted' })
    expect(tls('ECONNRESET')).toBeInstanceOf(Unavailable)
  })

  test('an error of ours stays what it is', () => {
    const bug = new TypeError('a bug')
    expect(translate(bug, { step: 'work' })).toBe(bug)
  })
})
