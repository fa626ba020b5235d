/** What a source must be so that its statements can be made. Whatever is wrong is told before a row is read. */
import type { Plan } from '../domain/plan.ts'
import { Problem } from '../domain/problem.ts'
import { CHANGE_COLUMN } from './plan-sql/rows-sql.ts'
import type { SelectedSource } from './plan-sql/select-sql.ts'

export function checkSource(source: SelectedSource, { mode, delivers }: Pick<Plan, 'mode' | 'delivers'>): void {
  const { name, columns, table } = source
  const refuse = (path: string, message: string, cure: string): never => {
    throw new Problem('invalid', `${name}: ${message}`, { path, cure })
  }
  if (columns.length === 0) refuse('fields', 'nothing is mapped', 'Map at least one field.')
  const fieldOf = (field: string, path: string): FieldType =>
    table.fields.find((candidate) => candidate.name === field)?.type ??
    refuse(path, `the table ${table.name} has no field "${field}"`, 'Choose another field, or bring the old one back.')

  fieldOf(table.key, 'table')
  const seen = new Set<string>()
  for (const { from, to } of columns) {
    const path = `fields.${to}`
    fieldOf(from, path)
    // Files and databases do not tell names apart by case; JSON does.
    const same = delivers === 'rows' ? to : to.toLowerCase()
    if (seen.has(same)) refuse(path, `two fields are called "${to}"`, 'Give each field a name of its own.')
    seen.add(same)
  }
  const withChange = delivers !== 'rows' && hasChangeColumn(mode)
  if (withChange && seen.has(CHANGE_COLUMN)) {
    const why = `"${CHANGE_COLUMN}" is the name of the column that says what became of a row`
    refuse(`fields.${CHANGE_COLUMN}`, why, 'Give the field another name, or choose the mode append or replace.')
  }
  const needsIdentifier = mode === 'mirror' || (delivers === 'table' && mode === 'upsert')
  if (needsIdentifier && !columns.some(({ identifier }) => identifier)) {
    refuse('fields', `the mode ${mode} needs a field that identifies a row`, 'Mark a field as identifier.')
  }
  if (source.consentField !== null && fieldOf(source.consentField, 'consentField') !== 'boolean') {
    refuse('consentField', 'the consent field is not true or false', 'Choose a boolean field.')
  }
  if (source.merge.by === 'newest') fieldOf(source.merge.field, 'merge.field')
}

type FieldType = SelectedSource['table']['fields'][number]['type']

/** Files and tables say of each row what became of it, where there is more than one answer. */
export function hasChangeColumn(mode: Plan['mode']): boolean {
  return mode === 'upsert' || mode === 'mirror'
}
