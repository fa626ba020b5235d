import type { RunStatus } from '@patchbay/contract'
import { t } from '../messages/index.ts'
import type { Tone } from './status-badge.tsx'

export const RUN_TONE: Readonly<Record<RunStatus, Tone>> = {
  queued: 'waiting',
  running: 'busy',
  held: 'held',
  successful: 'good',
  'completed-with-rejects': 'warning',
  'failed-retrying': 'warning',
  failed: 'bad',
  canceled: 'quiet',
  skipped: 'quiet',
}

export function runStatusWords(status: RunStatus): string {
  return t(`run.status.${status}`)
}
