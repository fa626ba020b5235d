import { Problem } from '../domain/problem.ts'
import { DuckDbError } from './duckdb-error.ts'

/** What an operator can mend while the run waits, in words that may be shown; any other error as it is. */
export function outOfRoom(error: unknown): unknown {
  const say = (message: string, cure: string): Problem => new Problem('unavailable', message, { cure, cause: error })
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const kind = error instanceof DuckDbError ? error.kind : undefined
  if (kind === 'disk-full' || code === 'ENOSPC' || code === 'EDQUOT')
    return say('There is no more room on the disk of the data folder', 'Make room: the run is tried again by itself')
  if (kind === 'out-of-memory')
    return say('The run needs more memory than it may take', 'Raise PATCHBAY_MEMORY_MB and start Patchbay again')
  if (kind === 'ended') return say('The data engine was ended from outside', 'The run is tried again by itself')
  return error
}
