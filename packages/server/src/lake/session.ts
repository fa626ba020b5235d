/** One run's way to the lake: its own data engine, its own folder, and everything that it reads and writes there. */
import { dirname } from 'node:path'
import type { LedgerRef, Plan, PlanSource } from '../domain/plan.ts'
import type { StartDuckDb } from './duckdb.ts'
import { settleLedger, writeExceptions, writeRejects } from './session-answers.ts'
import { outOfRoom } from './out-of-room.ts'
import { countUnsendableRows, outboxBatches, writeSample } from './session-batches.ts'
import { diffSource } from './session-diff.ts'
import { RunFiles } from './session-files.ts'
import { countParts, Parts, writeModel } from './session-parts.ts'
import type { Lake } from './session-select.ts'
import type { LakeSession } from './session-types.ts'

export interface LakeOptions {
  /** The lake's folder. */
  readonly root: string
  readonly startDuckDb: StartDuckDb
  readonly memoryLimitMb: number
  readonly threads: number
}

/** Starts the run's data engine in a child process, which sees what the plan names and nothing else. Close it, whatever happens. */
export async function openLakeSession(options: LakeOptions, plan: Plan, signal: AbortSignal): Promise<LakeSession> {
  const files = await RunFiles.open(options.root, plan.runId)
  const db = await options.startDuckDb({
    read: [...new Set(plan.sources.flatMap((source) => readPaths(files, plan, source)))],
    write: [files.spill, files.folder],
    memoryLimitMb: options.memoryLimitMb,
    threads: options.threads,
    signal,
  })
  return sessionOver({ db, files, plan })
}

function readPaths(files: RunFiles, plan: Plan, source: PlanSource): string[] {
  const { ledger } = source
  const before = ledger?.kind === 'whole' ? [ledger.source.table, ...ledger.source.related] : []
  const tables = [source.table, ...source.related, ...before].flatMap((table) => table.files)
  const paths = tables.map((file) => dirname(files.absolute(file)))
  if (ledger?.kind === 'rows') paths.push(files.absolute(ledger.path))
  if (plan.retryOf !== null) paths.push(files.rejectsOf(plan.retryOf.runId, source.name))
  return paths
}

function sessionOver(lake: Lake): LakeSession {
  const parts = new Parts(lake)
  const told = <A extends readonly unknown[], T>(work: (...args: A) => T | Promise<T>) => {
    return async (...args: A): Promise<T> => {
      try {
        return await work(...args)
      } catch (error) {
        throw outOfRoom(error)
      }
    }
  }
  return {
    diff: told((source) => diffSource(lake, source)),
    async *batches(source, diff, limits, from) {
      try {
        yield* outboxBatches(lake, source, diff, limits, from)
      } catch (error) {
        throw outOfRoom(error)
      }
    },
    countParts,
    writePart: told((source, diff, part, format) => parts.write(source, diff, part, format)),
    writeModel: told((plan, files) => writeModel(lake, plan, files)),
    writeExceptions: told((source, key, exceptions) => writeExceptions(lake, source, key, exceptions)),
    settleLedger: told((source, diff, answered): Promise<LedgerRef | null> =>
      settleLedger(lake, source, diff, answered),
    ),
    writeRejects: told((source, diff, answered) => writeRejects(lake, source, diff, answered)),
    writeSample: told((source, diff, rows) => writeSample(lake, source, diff, rows)),
    countUnsendable: told((source, diff) => countUnsendableRows(lake, source, diff)),
    async close() {
      await lake.db.close()
      await parts.close()
      await lake.files.close()
    },
  }
}
