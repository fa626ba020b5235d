/** What a form of declared fields holds, and what is wrong with it. The fields are a connector's, and no connector is known here. */
import type { ConnectorField } from '@patchbay/contract'
import { t } from '../messages/index.ts'

export type FieldValue = string | number | boolean
export type FieldValues = Readonly<Record<string, FieldValue>>

/** The values to begin with: what is stored, else what the declaration says. */
export function firstValues(fields: readonly ConnectorField[], stored: FieldValues = {}): FieldValues {
  const values: Record<string, FieldValue> = {}
  for (const field of fields) {
    const value = stored[field.name] ?? ('default' in field ? field.default : undefined)
    if (value !== undefined) values[field.name] = value
    else if (field.kind === 'switch') values[field.name] = false
  }
  return values
}

/** A field that depends on a choice is there only with it. */
export function isShown(field: ConnectorField, values: FieldValues): boolean {
  return field.showWhen === undefined || values[field.showWhen.field] === field.showWhen.is
}

/** Only of the fields on show, and nothing that is empty. */
export function sentValues(fields: readonly ConnectorField[], values: FieldValues): FieldValues {
  return Object.fromEntries(
    fields
      .filter((field) => field.kind !== 'secret' && field.kind !== 'pin' && isShown(field, values))
      .flatMap(({ name }) => {
        const value = values[name]
        return value === undefined || value === '' ? [] : [[name, value] as const]
      }),
  )
}

/** What is wrong with each field, by name. The server decides; this only says it sooner. */
export function fieldProblems(
  fields: readonly ConnectorField[],
  values: FieldValues,
  isStored: (secret: string) => boolean,
): Readonly<Record<string, string>> {
  const problems: Record<string, string> = {}
  for (const field of fields) {
    if (!isShown(field, values) || field.kind === 'pin') continue
    const problem = problemOf(field, values[field.name], isStored)
    if (problem !== undefined) problems[field.name] = problem
  }
  return problems
}

function problemOf(
  field: ConnectorField,
  value: FieldValue | undefined,
  isStored: (secret: string) => boolean,
): string | undefined {
  if (value === undefined || value === '') {
    const isMissing = !field.optional && !(field.kind === 'secret' && isStored(field.name))
    return isMissing ? t('field.missing') : undefined
  }
  if (field.kind === 'number') {
    if (typeof value !== 'number') return t('field.number.not')
    if (field.min !== undefined && value < field.min) return t('field.number.min', { min: field.min })
    if (field.max !== undefined && value > field.max) return t('field.number.max', { max: field.max })
  }
  if (
    field.kind === 'text' &&
    field.pattern !== undefined &&
    !new RegExp(`^(?:${field.pattern})$`, 'u').test(String(value))
  )
    return t('field.pattern')
  return undefined
}

export function labelOf({ label, optional }: { readonly label: string; readonly optional: boolean }): string {
  return optional ? `${label} (${t('field.optional')})` : label
}
