import type { Connection } from '@patchbay/contract'
import { t } from '../../../messages/index.ts'
import type { Tone } from '../../../ui/status-badge.tsx'

export const HEALTH_TONE: Readonly<Record<Connection['health'], Tone>> = {
  healthy: 'good',
  failing: 'bad',
  unknown: 'quiet',
}

export function sharingWords(sharing: Connection['sharing']): string {
  return sharing.with === 'named' ? t('sharing.named', { count: sharing.users.length }) : t(`sharing.${sharing.with}`)
}

export function policyWords({ fields, hashed, consentField, rowsPerRunMax }: Connection['policy']): readonly string[] {
  return [
    typeof fields === 'string'
      ? t(`policy.fields.${fields}`)
      : t('policy.fields.only', { fields: fields.only.join(', ') }),
    ...(hashed.length === 0 ? [] : [t('policy.hashed.says', { fields: hashed.join(', ') })]),
    ...(consentField === undefined ? [] : [t('policy.consent.says', { field: consentField })]),
    ...(rowsPerRunMax === undefined ? [] : [t('policy.rows.says', { count: rowsPerRunMax })]),
  ]
}
