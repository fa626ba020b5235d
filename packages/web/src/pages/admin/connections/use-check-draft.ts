import type { Checked, Connection, Connector } from '@patchbay/contract'
import { useMutation } from '@tanstack/react-query'
import { client } from '../../../api/client.ts'
import { troubleOf } from '../../../api/problem.ts'
import { sentValues } from '../../../ui/field-values.ts'
import { checkedPart, secretsOf, type Draft } from './connection-draft.ts'

export interface CheckDraft {
  readonly start: (draft: Draft) => void
  readonly isBusy: boolean
  /** Of the draft as it stands: what was found out about another one is not shown. */
  readonly resultOf: (draft: Draft) => Checked | undefined
  readonly isGood: (draft: Draft) => boolean
  readonly errorOf: (draft: Draft) => unknown
  /** By field: what the failing step, or a refusal, says of it. */
  readonly problemsOf: (draft: Draft) => Readonly<Record<string, string>>
}

/** Verifies what was typed before it is saved. Stored secrets take part only while it goes to the same place as the same account. */
export function useCheckDraft(connector: Connector, stored: Connection | undefined, moved: boolean): CheckDraft {
  const check = useMutation({
    mutationFn: (draft: Draft) =>
      client.connections.checkDraft({
        body: {
          connectorId: connector.id,
          settings: sentValues(connector.settings, draft.values),
          secrets: secretsOf(connector, draft),
          pins: pinsFor(draft, stored, moved),
          ...(stored === undefined || moved ? {} : { secretsOf: stored.id }),
        },
      }),
  })
  const isAbout = (draft: Draft) =>
    check.variables !== undefined && checkedPart(connector, check.variables) === checkedPart(connector, draft)
  const resultOf = (draft: Draft) => (isAbout(draft) ? check.data : undefined)
  const errorOf = (draft: Draft) => (isAbout(draft) ? check.error : null)
  return {
    start: (draft) => check.mutate(draft),
    isBusy: check.isPending,
    resultOf,
    errorOf,
    isGood: (draft) => resultOf(draft)?.ok === true,
    problemsOf(draft) {
      const failed = resultOf(draft)?.steps.find(({ ok }) => !ok)
      if (failed?.field !== undefined) return { [failed.field]: failed.message ?? '' }
      const error = errorOf(draft)
      if (error === null) return {}
      const { path, what } = troubleOf(error)
      const [, field] = /^(?:settings|secrets)\.([\w-]+)/.exec(path) ?? []
      return field === undefined ? {} : { [field]: what }
    },
  }
}

/** What was trusted at the old place is not taken to a new one; what was trusted just now is. */
function pinsFor({ pins }: Draft, stored: Connection | undefined, moved: boolean): Draft['pins'] {
  if (!moved) return pins
  return Object.fromEntries(Object.entries(pins).filter(([field, value]) => stored?.settings[field] !== value))
}
