/** Which type a column of texts has: the first candidate that every value fits, over a sample or over all rows. */
import { Problem } from '../domain/problem.ts'
import type { FieldType } from '../domain/table.ts'
import type { DuckDb } from './duckdb.ts'
import type { ImportSource, SourceColumn } from './import-source.ts'
import { DATE_FORMS, mayBe, valueSql } from './value-sql.ts'
import type { DateForm, Reading } from './value-sql.ts'

/** The engine's planning grows with the square of the expressions: few columns at a time over a sample, more where each pass costs. */
const COLUMNS_AT_A_TIME = 16
const COLUMNS_AT_A_TIME_OF_ALL = 100

export interface Inferred {
  readonly reading: Reading
  /** For a person, where the choice is not obvious. */
  readonly note: string | null
}

export const AS_TEXT: Reading = { type: 'text', form: 'iso', measure: 'strict' }

const STRICT: readonly Reading[] = [
  ...(['integer', 'decimal', 'boolean'] as const).map((type): Reading => ({ type, form: 'iso', measure: 'strict' })),
  ...DATE_FORMS.map((form): Reading => ({ type: 'date', form, measure: 'strict' })),
  ...DATE_FORMS.map((form): Reading => ({ type: 'timestamp', form, measure: 'strict' })),
]

/** What the texts of a small sample leave possible. Where all are empty, everything is. */
export function candidatesFor(texts: readonly string[], among: readonly Reading[] = STRICT): readonly Reading[] {
  return among.filter((reading) => texts.every((text) => text.trim() === '' || mayBe(text, reading)))
}

/** The ways to read a type that is given. */
export function lenientReadings(type: FieldType, dateOrder: ImportSource['dateOrder']): readonly Reading[] {
  if (type !== 'date' && type !== 'timestamp') return [{ type, form: 'iso', measure: 'lenient' }]
  return DATE_FORMS.filter((form) => isInOrder(form, dateOrder)).map((form) => ({ type, form, measure: 'lenient' }))
}

function isInOrder(form: DateForm, dateOrder: ImportSource['dateOrder']): boolean {
  if (form === 'dmy/') return dateOrder !== 'month-first'
  return form !== 'mdy/' || dateOrder !== 'day-first'
}

interface Tested {
  readonly reading: Reading
  readonly misfits: number
}

/** Over a sample, or over all rows. The result goes with `columns` by position. */
export async function inferTypes(
  db: DuckDb,
  relation: string,
  columns: readonly SourceColumn[],
  isSample: boolean,
  dateOrder: ImportSource['dateOrder'],
): Promise<readonly Inferred[]> {
  const size = isSample ? COLUMNS_AT_A_TIME : COLUMNS_AT_A_TIME_OF_ALL
  const results: Inferred[] = []
  for (let first = 0; first < columns.length; first += size) {
    const group = columns.slice(first, first + size)
    const tested = await testCandidates(db, relation, group)
    for (const [index, { filled, candidates }] of tested.entries()) {
      const { name = '', whenEmpty = AS_TEXT } = group[index] ?? {}
      results.push(filled === 0 ? { reading: whenEmpty, note: null } : choose(candidates, dateOrder, name))
    }
  }
  return results
}

/** Of the readings of a given type, the one with the fewest misfits: they become bad lines. */
export async function chooseForm(
  db: DuckDb,
  relation: string,
  column: SourceColumn,
  readings: readonly Reading[],
): Promise<Reading> {
  const [first = AS_TEXT, ...others] = readings
  if (others.length === 0) return first
  const [tested] = await testCandidates(db, relation, [{ ...column, candidates: readings }])
  const sorted = (tested?.candidates ?? []).toSorted((a, b) => a.misfits - b.misfits)
  const [best, second] = sorted
  if (best !== undefined && isTorn(best, second) && tested !== undefined && tested.filled > 0) {
    throw new Problem('invalid', `Day and month cannot be told apart in "${column.name}"`, {
      path: `types.${column.name}`,
      cure: 'Set the order of dates to day-first or month-first.',
    })
  }
  return best?.reading ?? first
}

function isTorn(best: Tested, second: Tested | undefined): boolean {
  const forms = [best.reading.form, second?.reading.form]
  return best.misfits === second?.misfits && forms.includes('dmy/') && forms.includes('mdy/')
}

async function testCandidates(
  db: DuckDb,
  from: string,
  columns: readonly SourceColumn[],
): Promise<readonly { readonly filled: number; readonly candidates: readonly Tested[] }[]> {
  const parts: string[] = []
  const add = (condition: string): number => parts.push(`count_if(${condition}) AS n${parts.length}`) - 1
  const places = columns.map(({ raw, candidates }) => ({
    filled: candidates.length === 0 ? undefined : add(`${raw} IS NOT NULL AND trim(${raw}) <> ''`),
    candidates: candidates.map((reading) => {
      const { isEmpty, value } = valueSql(raw, reading)
      return { reading, at: add(`CASE WHEN (${value}) IS NULL THEN NOT ${isEmpty} ELSE FALSE END`) }
    }),
  }))
  const [row = {}] = parts.length === 0 ? [] : await db.rows(`SELECT ${parts.join(', ')} FROM ${from}`)
  const figure = (at: number): number => Number(row[`n${at}`])
  return places.map(({ filled, candidates }) => ({
    filled: filled === undefined ? 0 : figure(filled),
    candidates: candidates.map(({ reading, at }) => ({ reading, misfits: figure(at) })),
  }))
}

function choose(candidates: readonly Tested[], dateOrder: ImportSource['dateOrder'], name: string): Inferred {
  const fitting = candidates.filter(({ misfits }) => misfits === 0).map(({ reading }) => reading)
  const [best] = fitting
  if (best === undefined) return { reading: AS_TEXT, note: null }
  if (best.form !== 'dmy/' && best.form !== 'mdy/') return { reading: best, note: null }
  const inOrder = fitting.filter(({ type, form }) => type === best.type && isInOrder(form, dateOrder))
  const [only] = inOrder
  if (only !== undefined && inOrder.length === 1) return { reading: only, note: null }
  return {
    reading: AS_TEXT,
    note: `"${name}" looks like dates, but day and month cannot be told apart: it stays text unless the order of dates is set.`,
  }
}
