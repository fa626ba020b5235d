/**
 * What stops a session that is nobody's mistake: no room on the disk, or in memory. Told as a `Problem` that names the cure;
 * the run is tried again later, and goes on where it was. Everything else passes as it is.
 */
import { Problem } from '../domain/problem.ts'
import { DuckDbError } from './duckdb-error.ts'
import type { LakeSession } from './session-types.ts'

export function tellFaults(session: LakeSession): LakeSession {
  return {
    diff: (...given) => told(session.diff(...given)),
    batches: (...given) => toldStream(session.batches(...given)),
    countParts: (...given) => session.countParts(...given),
    writePart: (...given) => told(session.writePart(...given)),
    writeModel: (...given) => told(session.writeModel(...given)),
    writeExceptions: (...given) => told(session.writeExceptions(...given)),
    settleLedger: (...given) => told(session.settleLedger(...given)),
    writeRejects: (...given) => told(session.writeRejects(...given)),
    writeSample: (...given) => told(session.writeSample(...given)),
    close: () => session.close(),
  }
}

async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw problemOf(error) ?? error
  }
}

async function* toldStream<T>(source: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* source
  } catch (error) {
    throw problemOf(error) ?? error
  }
}

function problemOf(error: unknown): Problem | undefined {
  const isFull = error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
  const kind = error instanceof DuckDbError ? error.kind : undefined
  if (isFull || kind === 'disk-full') {
    return new Problem('unavailable', 'There is no more room on the disk of the data folder', {
      cure: 'Make room: the run goes on by itself',
      cause: error,
    })
  }
  if (kind === 'out-of-memory') {
    return new Problem('unavailable', 'The data engine has not enough memory for this run', {
      path: 'PATCHBAY_MEMORY_MB',
      cure: 'Raise PATCHBAY_MEMORY_MB',
      cause: error,
    })
  }
  return undefined
}
