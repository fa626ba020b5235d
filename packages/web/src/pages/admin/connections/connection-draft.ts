/** What the set-up pane holds until it is saved. */
import type { Connection, ConnectorField, Connector } from '@patchbay/contract'
import { firstValues, sentValues, type FieldValues } from '../../../ui/field-values.ts'

export interface Draft {
  readonly name: string
  /** Settings and what was typed for secrets, by field. */
  readonly values: FieldValues
  readonly pins: Readonly<Record<string, string>>
  readonly sharing: Connection['sharing']
  readonly policy: Connection['policy']
}

export function firstDraft(connector: Connector, stored: Connection | undefined): Draft {
  return {
    name: stored?.name ?? '',
    values: firstValues(connector.settings, stored?.settings),
    pins: storedPins(connector.settings, stored),
    sharing: stored?.sharing ?? { with: 'administrators' },
    policy: stored?.policy ?? { fields: 'all', hashed: [] },
  }
}

/** Where or as whom differs from what is stored: what was secret or trusted there is of no use here, and is not sent. */
export function isMoved({ settings }: Connector, draft: Draft, stored: Connection | undefined): boolean {
  if (stored === undefined) return false
  return settings.some(
    (field) =>
      field.endpoint &&
      field.kind !== 'pin' &&
      field.kind !== 'secret' &&
      (draft.values[field.name] ?? '') !== (stored.settings[field.name] ?? defaultOf(field) ?? ''),
  )
}

export function secretsOf(connector: Connector, { values }: Draft): Readonly<Record<string, string>> {
  const names = connector.settings.filter(({ kind }) => kind === 'secret').map(({ name }) => name)
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = values[name]
      return typeof value === 'string' && value !== '' ? [[name, value] as const] : []
    }),
  )
}

/** All that a check depends on: what was verified is no longer when this text differs. */
export function checkedPart(connector: Connector, draft: Draft): string {
  return JSON.stringify([sentValues(connector.settings, draft.values), secretsOf(connector, draft), draft.pins])
}

/** What an edit sends: only settings that differ, and null for those that are gone. */
export function changedSettings(
  connector: Connector,
  draft: Draft,
  stored: Connection,
): Readonly<Record<string, string | number | boolean | null>> {
  const now = sentValues(connector.settings, draft.values)
  const changes: Record<string, string | number | boolean | null> = {}
  for (const { name, kind } of connector.settings) {
    if (kind === 'pin' || kind === 'secret') continue
    const after = now[name]
    if (after === stored.settings[name]) continue
    changes[name] = after ?? null
  }
  return changes
}

function storedPins(fields: readonly ConnectorField[], stored: Connection | undefined) {
  const names = fields.filter(({ kind }) => kind === 'pin').map(({ name }) => name)
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = stored?.settings[name]
      return value === undefined ? [] : [[name, String(value)] as const]
    }),
  )
}

function defaultOf(field: ConnectorField) {
  return 'default' in field ? field.default : undefined
}
