/** Which fields an import makes of the columns it finds, and how their values are read. */
import { nearestName } from '../domain/nearest-name.ts'
import { Problem } from '../domain/problem.ts'
import type { FieldType, TableField } from '../domain/table.ts'
import type { DuckDb } from './duckdb.ts'
import type { ImportSource, OpenSource, SourceColumn } from './import-source.ts'
import { AS_TEXT, chooseForm, inferTypes, lenientReadings } from './infer-types.ts'
import type { Inferred } from './infer-types.ts'
import { quoteName } from './sql-text.ts'
import { valueSql } from './value-sql.ts'

/** What a type is inferred from at first; a later row that does not fit makes the import look at all of them. */
export const SAMPLE_ROWS = 20_000
const SAMPLE = 'sample'
const CELL_BYTES_MAX = 10_000_000
/** What the statement's `error()` says, with the column's place behind it. */
const MISFIT = 'misfit in column '

export interface PlannedColumn {
  readonly column: SourceColumn
  readonly type: FieldType
  /** Never NULL. */
  readonly isEmpty: string
  /** NULL where the cell is empty, or where `isChecked` and it holds something else. */
  readonly value: string
  readonly isChecked: boolean
  /** The type is given, by a person, the table or the file: a misfit is a bad line. Otherwise it makes the column text. */
  readonly isGiven: boolean
  readonly notes: readonly string[]
}

export interface GivenTypes {
  /** Chosen by a person, by field. */
  readonly types: Readonly<Record<string, FieldType>>
  /** What the table has; null for its first import. */
  readonly previous: readonly TableField[] | null
  readonly allowSchemaChange: boolean
  readonly dateOrder: ImportSource['dateOrder']
}

export interface SchemaChange {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly retyped: readonly { readonly field: string; readonly from: FieldType; readonly to: FieldType }[]
}

export async function planColumns(
  db: DuckDb,
  source: OpenSource,
  given: GivenTypes,
): Promise<readonly PlannedColumn[]> {
  checkGiven(source, given)
  const open = source.columns
    .filter((column) => givenType(column, given) === undefined && column.declared === undefined)
    .map((column) => withPrevious(column, given))
  // Cells are read as text once, and then looked at in many ways.
  await db.run(`CREATE OR REPLACE TABLE ${SAMPLE} AS SELECT * FROM ${source.relation} LIMIT ${SAMPLE_ROWS}`)
  const inferred = await inferTypes(db, SAMPLE, open, true, given.dateOrder)
  const planned: PlannedColumn[] = []
  for (const column of source.columns) {
    const at = open.findIndex(({ name }) => name === column.name)
    const [found, before] = [inferred[at], open[at]]
    const isOpen = found !== undefined && before !== undefined
    planned.push(isOpen ? plan(source, before, found, false) : await planGiven(db, source, column, given))
  }
  await db.run(`DROP TABLE ${SAMPLE}`)
  return planned
}

/** The inferred types once more, from all rows. */
export async function planAgain(
  db: DuckDb,
  source: OpenSource,
  planned: readonly PlannedColumn[],
  given: GivenTypes,
): Promise<readonly PlannedColumn[]> {
  const open = planned.filter(({ isGiven, type }) => !isGiven && type !== 'text').map(({ column }) => column)
  const inferred = await inferTypes(db, source.relation, open, false, given.dateOrder)
  return planned.map((before) => {
    const found = inferred[open.indexOf(before.column)]
    return found === undefined ? before : plan(source, before.column, found, false)
  })
}

/** A type that the table has binds; where it may change, only text does, which everything fits. */
function givenType({ name, declared }: SourceColumn, given: GivenTypes): FieldType | undefined {
  const { types, previous, allowSchemaChange } = given
  const before = previous?.find((field) => field.name === name)?.type
  const binds = !allowSchemaChange || (before === 'text' && declared === undefined)
  return chosenType(types, name) ?? (binds ? before : undefined)
}

/** What the table has is tried before everything else. */
function withPrevious(column: SourceColumn, { previous, dateOrder }: GivenTypes): SourceColumn {
  const before = previous?.find((field) => field.name === column.name)?.type
  if (before === undefined) return column
  const readings = lenientReadings(before, dateOrder)
  const [first] = readings
  return {
    ...column,
    candidates: [...readings, ...column.candidates],
    ...(first === undefined ? {} : { whenEmpty: first }),
  }
}

/** A column may be called `constructor`. */
function chosenType(types: GivenTypes['types'], name: string): FieldType | undefined {
  return Object.hasOwn(types, name) ? types[name] : undefined
}

async function planGiven(
  db: DuckDb,
  source: OpenSource,
  column: SourceColumn,
  given: GivenTypes,
): Promise<PlannedColumn> {
  const type = givenType(column, given)
  if (column.declared !== undefined && (type === undefined || type === column.declared.type)) {
    const { value, isValue, type: declaredType } = column.declared
    const isChecked = isValue !== 'TRUE'
    return {
      column,
      type: declaredType,
      isEmpty: `${quoteName(column.name)} IS NULL`,
      value: isChecked ? `CASE WHEN ${isValue} THEN ${value} END` : value,
      isChecked,
      isGiven: true,
      notes: [],
    }
  }
  if (type === undefined || type === 'text') return plan(source, column, { reading: AS_TEXT, note: null }, true)
  const readings = lenientReadings(type, given.dateOrder)
  const reading = await chooseForm(db, SAMPLE, column, readings)
  return plan(source, column, { reading, note: null }, true)
}

function plan(source: OpenSource, column: SourceColumn, { reading, note }: Inferred, isGiven: boolean): PlannedColumn {
  const { isEmpty, value } = valueSql(column.raw, reading)
  const notes = [column.note, note].filter((each) => each !== undefined && each !== null)
  const { type } = reading
  if (type !== 'text') return { column, type, isEmpty, value, isChecked: true, isGiven, notes }
  const isClean = `NOT contains(${value}, chr(0)) AND strlen(${value}) <= ${CELL_BYTES_MAX}`
  const isChecked = source.checksText
  // A text that is no text is a bad line in any case.
  return {
    column,
    type,
    isEmpty,
    value: isChecked ? `CASE WHEN ${isClean} THEN ${value} END` : value,
    isChecked,
    isGiven: true,
    notes,
  }
}

function checkGiven(source: OpenSource, { types, previous, allowSchemaChange }: GivenTypes): void {
  const names = source.columns.map(({ name }) => name)
  const unknown = Object.keys(types).find((name) => !names.includes(name))
  if (unknown !== undefined) {
    const nearest = nearestName(unknown, names)
    throw new Problem('invalid', `The file has no column "${unknown}"`, {
      path: `types.${unknown}`,
      cure: nearest === undefined ? `Its columns: ${names.slice(0, 20).join(', ')}.` : `Did you mean "${nearest}"?`,
    })
  }
  if (previous === null || allowSchemaChange) return
  const cure = 'Mend the file, or allow the table to change: exports that use the field may stop working.'
  const gone = previous.find(({ name }) => !names.includes(name))
  if (gone !== undefined) {
    const nearest = nearestName(
      gone.name,
      names.filter((name) => !previous.some((field) => field.name === name)),
    )
    const hint = nearest === undefined ? '' : `; it has "${nearest}", which is new`
    throw new Problem('invalid', `The file has no column "${gone.name}", which the table has${hint}`, {
      path: 'files',
      cure,
    })
  }
  for (const column of source.columns) {
    const before = previous.find(({ name }) => name === column.name)?.type
    const now = chosenType(types, column.name) ?? column.declared?.type
    if (before === undefined || now === undefined || before === now) continue
    throw new Problem('invalid', `"${column.name}" is ${now} in the file and ${before} in the table`, {
      path: 'files',
      cure,
    })
  }
}

export function schemaChange(previous: readonly TableField[], planned: readonly PlannedColumn[]): SchemaChange {
  const now = new Map(planned.map(({ column, type }) => [column.name, type]))
  return {
    added: [...now.keys()].filter((name) => !previous.some((field) => field.name === name)),
    removed: previous.map(({ name }) => name).filter((name) => !now.has(name)),
    retyped: previous.flatMap(({ name, type }) => {
      const to = now.get(name)
      return to === undefined || to === type ? [] : [{ field: name, from: type, to }]
    }),
  }
}

/** The select list of the import: a misfit ends the statement and names its column's place, never its value. */
export function selectList(planned: readonly PlannedColumn[]): string {
  return planned
    .map(({ column, isEmpty, isChecked, value }, index) => {
      const name = quoteName(column.name)
      if (!isChecked) return `${value} AS ${name}`
      return `coalesce(${value}, CASE WHEN ${isEmpty} THEN NULL ELSE error('${MISFIT}${index}') END) AS ${name}`
    })
    .join(',\n')
}

export function misfitColumn(rawMessage: string): number | undefined {
  const found = new RegExp(`${MISFIT}(\\d+)$`, 'm').exec(rawMessage)?.[1]
  return found === undefined ? undefined : Number(found)
}

/** The place of the first column whose given type the row does not fit; NULL when all fit. */
export function firstMisfit(planned: readonly PlannedColumn[]): string {
  const cases = planned.flatMap(({ isEmpty, value, isChecked, isGiven }, index) =>
    isChecked && isGiven ? [`WHEN CASE WHEN (${value}) IS NULL THEN NOT ${isEmpty} ELSE FALSE END THEN ${index}`] : [],
  )
  return cases.length === 0 ? 'NULL' : `CASE ${cases.join(' ')} END`
}

const NO_VALUE: Readonly<Record<FieldType, string>> = {
  text: 'holds a NUL character or is longer than 10 MB',
  integer: 'is no whole number of at most 64 bits',
  decimal: 'is no finite number',
  boolean: 'is neither true nor false',
  date: 'is no date between the years 1 and 9999',
  timestamp: 'is no date and time between the years 1 and 9999',
}

export function misfitReason(type: FieldType): string {
  return NO_VALUE[type]
}
