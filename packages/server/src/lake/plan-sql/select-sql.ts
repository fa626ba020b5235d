/**
 * What one source of a plan selects, as SQL. Everything else (the difference, the parts, the bodies) is a statement
 * around these. Rows are named by their key's text; the table's files are numbered, so that a later stage can go
 * through the table file by file and never needs all of it at once.
 */
import { join } from 'node:path'
import type { PlanColumn, PlanSource, Plan } from '../../domain/plan.ts'
import type { FieldType, PinnedTable } from '../../domain/table.ts'
import { compileRule } from '../rule-sql.ts'
import { parquetFiles, quoteName, quoteText, SQL_TYPE } from '../sql-text.ts'
import { columnValue, fieldValue, jsonObject, plainText } from './cell-sql.ts'

export type SelectedSource = Omit<PlanSource, 'ledger'>

export interface SelectContext {
  readonly root: string
  readonly now: string
  readonly delivers: Plan['delivers']
  /** Parquet of the rows that another row with the same identifiers stands for, where there are any. */
  readonly mergedPath: string | null
  /** Only identities in this Parquet file (`identifiers`, `key`) are looked at. */
  readonly onlyIn: { readonly path: string; readonly statuses: readonly string[] } | null
}

/** Cannot be a field's name, since names hold no control characters. */
const FILE_NUMBER = quoteName('\u0001file')

/** Number 0 is the first of `table.files`. */
const ROW_NAMES = { file: 'f', key: 'k', rawKey: 'r', consent: 'ok', newest: 'n' } as const

export const columnName = (index: number): string => `c${index}`

/** The columns by target name: re-ordering a mapping is no change. */
function byName(columns: readonly PlanColumn[]): readonly { readonly column: PlanColumn; readonly at: number }[] {
  return columns
    .map((column, at) => ({ column, at }))
    .toSorted((a, b) => (a.column.to < b.column.to ? -1 : a.column.to > b.column.to ? 1 : 0))
}

export function identifierColumns(source: SelectedSource): readonly PlanColumn[] {
  return byName(source.columns).flatMap(({ column }) => (column.identifier ? [column] : []))
}

/**
 * The canonical text of who or what a row is at the destination, over columns `identifiers` and `key` of an outbox or a
 * ledger: the identifiers where there are some, else the row key.
 */
export function identityOf(alias: string): string {
  return `coalesce(${alias}.identifiers, chr(1) || ${alias}.key)`
}

function keyField(source: SelectedSource): { readonly value: string; readonly type: FieldType } {
  const { key, fields } = source.table
  const type = fields.find(({ name }) => name === key)?.type
  if (type === undefined) throw new TypeError('a table without its key field')
  return { value: fieldValue(key, type), type }
}

/** Two rows can have the same identifiers, unless the table's own key is among them as it is. */
export function needsMerge(source: SelectedSource): boolean {
  const identifiers = identifierColumns(source)
  const isUnique = identifiers.some(
    ({ from, transforms, normal }) => from === source.table.key && transforms.length === 0 && normal === undefined,
  )
  return identifiers.length > 0 && !isUnique
}

/** Whether the rule joins other rows: then its result is kept, and not worked out again for each part. */
export function hasJoins(source: SelectedSource, root: string, now: string): boolean {
  if (source.where === null) return false
  return compileRule(source.where, source.table, source.related, now, root).joins !== ''
}

/** The table's rows with the number of the file that each stands in; only those of some files where `numbers` says so. */
function numberedRelation(table: PinnedTable, root: string, numbers?: readonly number[]): string {
  const wanted = table.files.flatMap((file, number) =>
    numbers === undefined || numbers.includes(number) ? [{ file, number }] : [],
  )
  if (wanted.length === 0) {
    const none = table.fields.map(({ name, type }) => `NULL::${SQL_TYPE[type]} AS ${quoteName(name)}`)
    return `(SELECT ${none.join(', ')}, 0 AS ${FILE_NUMBER} WHERE FALSE) t`
  }
  const files = wanted.map(
    ({ file, number }) => `SELECT *, ${number} AS ${FILE_NUMBER} FROM ${parquetFiles([join(root, file)])}`,
  )
  return `(${files.join(' UNION ALL ')}) t`
}

/** The rows of some files of the table by their target columns, whatever the plan's rule says of them. */
export function rowsOfFiles(source: SelectedSource, root: string, files: readonly number[]): string {
  return `SELECT ${rowColumns(source).join(', ')} FROM ${numberedRelation(source.table, root, files)}`
}

function rowColumns(source: SelectedSource): string[] {
  const key = keyField(source)
  return [
    `${plainText(key.value, key.type)} AS ${ROW_NAMES.key}`,
    ...source.columns.map((column, at) => `${columnValue(column)} AS ${columnName(at)}`),
  ]
}

/** All rows that the plan's rule selects, sendable or not. */
function selectedRows(source: SelectedSource, context: SelectContext, files?: readonly number[]): string {
  const rule =
    source.where === null
      ? { joins: '', condition: 'TRUE' }
      : compileRule(source.where, source.table, source.related, context.now, context.root)
  const { merge } = source
  const newest = merge.by === 'newest' ? `t.${quoteName(merge.field)}` : 'NULL'
  const list = [
    `t.${FILE_NUMBER} AS ${ROW_NAMES.file}`,
    `${keyField(source).value} AS ${ROW_NAMES.rawKey}`,
    `${newest} AS ${ROW_NAMES.newest}`,
    `${source.consentField === null ? 'TRUE' : `t.${quoteName(source.consentField)} IS TRUE`} AS ${ROW_NAMES.consent}`,
    ...rowColumns(source),
  ]
  const relation = numberedRelation(source.table, context.root, files)
  const rows = `SELECT ${list.join(', ')} FROM ${relation}${rule.joins} WHERE ${rule.condition}`
  if (context.onlyIn === null) return rows
  const { path, statuses } = context.onlyIn
  const only = `SELECT ${identityOf('o')} FROM ${parquetFiles([path])} o WHERE o.status IN (${statuses.map(quoteText).join(', ')})`
  return `SELECT b.* FROM (${rows}) b WHERE ${rowIdentity(source)} IN (${only})`
}

/** `identityOf` for a row of `selectedRows`. */
function rowIdentity(source: SelectedSource): string {
  return identifierColumns(source).length > 0 ? rowIdentifiers(source, 'b') : `chr(1) || b.${ROW_NAMES.key}`
}

/** The row key's text, from a row of `sendableCells`. */
export function rowKey(source: SelectedSource, alias: string): string {
  return plainText(`${alias}.${ROW_NAMES.rawKey}`, keyField(source).type)
}

/** The identifiers as JSON, from a row of `sendableCells`. */
export function rowIdentifiers(source: SelectedSource, alias: string): string {
  const values = byName(source.columns).filter(({ column }) => column.identifier)
  if (values.length === 0) return 'CAST(NULL AS VARCHAR)'
  return jsonObject(
    values.map(({ column, at }) => ({ name: column.to, type: column.type, value: `${alias}.${columnName(at)}` })),
  )
}

function identifierValues(source: SelectedSource): string[] {
  return byName(source.columns).flatMap(({ column, at }) => (column.identifier ? [`b.${columnName(at)}`] : []))
}

function identityHash(source: SelectedSource): string {
  const values = identifierValues(source)
  return `hash(${values.length === 0 ? `b.${ROW_NAMES.key}` : values.join(', ')})`
}

/**
 * All target columns in the order of their names, and the names themselves, so that a renamed or an added column is a
 * change; NULL has a hash of its own. The identity is in it, either as columns or as the key.
 */
function fingerprint(source: SelectedSource): string {
  const columns = byName(source.columns)
  const names = quoteText(JSON.stringify(columns.map(({ column }) => column.to.toWellFormed())))
  const values = columns.map(({ at }) => `b.${columnName(at)}`)
  const key = columns.some(({ column }) => column.identifier) ? [] : [`b.${ROW_NAMES.key}`]
  return `hash(${[names, ...key, ...values].join(', ')})`
}

/** A table's key has no NULL in it; a person may be known by any of several identifiers. */
function hasIdentity(source: SelectedSource, context: SelectContext): string {
  const values = identifierValues(source)
  if (values.length === 0) return 'TRUE'
  const word = context.delivers === 'table' ? ' AND ' : ' OR '
  return `(${values.map((value) => `${value} IS NOT NULL`).join(word)})`
}

function isSendable(source: SelectedSource, context: SelectContext): string {
  const erased = isErased(source)
  const other = `b.${ROW_NAMES.consent} AND ${hasIdentity(source, context)}`
  return erased === null ? other : `${other} AND NOT ${erased}`
}

/** Of people who are erased only the hash of the row's key is known. */
function isErased({ erased = [] }: SelectedSource): string | null {
  return erased.length === 0 ? null : `(sha256(b.${ROW_NAMES.key}) IN (${erased.map(quoteText).join(', ')}))`
}

/** How many rows the plan's rule selects: counted apart from everything else. */
export function countRead(source: SelectedSource, context: SelectContext): string {
  return `SELECT count(*) AS rows FROM (${selectedRows(source, context)})`
}

/** The hashes of identifiers that more than one row has. Unrelated identifiers may share one; `mergedRows` looks closer. */
export function repeatedIdentities(source: SelectedSource, context: SelectContext): string {
  const hashes = `SELECT ${identityHash(source)} AS h FROM (${selectedRows(source, context)}) b WHERE ${isSendable(source, context)}`
  return `SELECT h FROM (${hashes}) GROUP BY h HAVING count(*) > 1`
}

/**
 * Rows that another row with the same identifiers stands for: the newest by a field, or the one with the smallest key
 * by the value of the key's own type; ties and empty fields go to the smallest key.
 */
export function mergedRows(source: SelectedSource, context: SelectContext, repeatedPath: string): string {
  const newest = source.merge.by === 'newest' ? `b.${ROW_NAMES.newest} DESC NULLS LAST, ` : ''
  const order = `PARTITION BY ${identifierValues(source).join(', ')} ORDER BY ${newest}b.${ROW_NAMES.rawKey}`
  const candidates = `SELECT * FROM (${selectedRows(source, context)}) b
    WHERE ${isSendable(source, context)} AND ${identityHash(source)} IN (SELECT h FROM ${parquetFiles([repeatedPath])})`
  return `SELECT b.${ROW_NAMES.key} AS key, first_value(b.${ROW_NAMES.key}) OVER w AS stands_for
    FROM (${candidates}) b WINDOW w AS (${order}) QUALIFY row_number() OVER w > 1`
}

/** The rows that are selected and not sent, with the place where each ended. */
export function setAsideRows(source: SelectedSource, context: SelectContext): string {
  const erased = isErased(source)
  const first = erased === null ? '' : `WHEN ${erased} THEN 'erased' `
  const reason = `CASE ${first}WHEN b.${ROW_NAMES.consent} THEN 'no-identifier' ELSE 'consent' END`
  const suppressed = `SELECT b.${ROW_NAMES.key} AS key, 'suppressed' AS place, ${reason} AS reason, CAST(NULL AS VARCHAR) AS stands_for
    FROM (${selectedRows(source, context)}) b WHERE NOT (${isSendable(source, context)})`
  const merged =
    context.mergedPath === null
      ? ''
      : ` UNION ALL SELECT key, 'merged', 'same-identifiers', stands_for FROM ${parquetFiles([context.mergedPath])}`
  return `${suppressed}${merged}`
}

/**
 * Every row that would be sent, by its cells: `f`, `r`, the target columns, and the two hashes that the difference compares.
 * The texts of key and identifiers cost more than these, and most rows need none.
 */
export function sendableCells(source: SelectedSource, context: SelectContext, files?: readonly number[]): string {
  const merged =
    context.mergedPath === null
      ? ''
      : ` AND NOT EXISTS (SELECT 1 FROM ${parquetFiles([context.mergedPath])} m WHERE m.key = b.${ROW_NAMES.key})`
  const list = [
    `b.${ROW_NAMES.file}`,
    `b.${ROW_NAMES.rawKey}`,
    `${identityHash(source)} AS identity_hash`,
    `${fingerprint(source)} AS fingerprint`,
    ...source.columns.map((_, at) => `b.${columnName(at)}`),
  ]
  return `SELECT ${list.join(', ')} FROM (${selectedRows(source, context, files)}) b WHERE ${isSendable(source, context)}${merged}`
}

/** The same with `file`, `key` and `identifiers` written out. */
export function sendableRows(source: SelectedSource, context: SelectContext, files?: readonly number[]): string {
  const texts = `s.${ROW_NAMES.file} AS file, ${rowKey(source, 's')} AS key, ${rowIdentifiers(source, 's')} AS identifiers`
  return `SELECT ${texts}, s.* FROM (${sendableCells(source, context, files)}) s`
}

/** What `hash()` makes of a value of every type and of NULL: see `LedgerRef`. */
export const FINGERPRINT_PROBE = `SELECT CAST(hash('Zoë', CAST(7 AS BIGINT), CAST(0.1 AS DOUBLE), TRUE, DATE '2024-02-29',
  TIMESTAMP '2024-02-29 12:34:56.789', CAST(NULL AS VARCHAR), 'a text of more than twelve bytes') AS VARCHAR) AS probe`
