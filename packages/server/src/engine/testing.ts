import type { RowAnswer, RowDelivery, RowKey } from '@patchbay/connector-sdk'
import { DEFAULT_FORMAT, DEFAULT_GUARD } from '../domain/export.ts'
import type { ConnectionId, ExportId, RunId, TableId } from '../domain/ids.ts'
import type { Plan } from '../domain/plan.ts'
import {
  LeaseLost,
  type EnginePorts,
  type JournalEntry,
  type JournalKey,
  type LakeSession,
  type Lease,
  type OpenDestination,
  type OutboxBatch,
  type Permission,
  type RowException,
  type RunDiff,
  type RunOutcome,
  type Settlement,
  type SourceDiff,
} from './ports.ts'
import { journalText } from './delivering.ts'
import { runExport } from './run-export.ts'

/**
 * A run over an outbox in memory, for tests of the engine alone: a clock that jumps over sleeps, a journal that survives a
 * "crash" (a second `runExport` over the same world), and a ledger that is the set of accepted sequence numbers.
 */
export class TestWorld {
  readonly lease: Lease = { runId: 'run_test' as RunId, epoch: 1 }
  readonly journal = new Map<string, JournalEntry>()
  readonly exceptions = new Map<string, readonly RowException[]>()
  readonly slept: number[] = []
  readonly plan: Plan
  readonly diff: RunDiff
  readonly rows: number
  nowMs = Date.UTC(2026, 0, 1)
  settlement: Settlement | null = null
  held: string | null = null
  savedPlan: Plan | null = null
  savedDiff: RunDiff | null = null
  approvedDigest: string | null = null
  permission: (key: JournalKey) => Permission = () => ({ go: true })
  isLeaseLost = false
  accepted: number[] = []

  constructor(rows: number, change: Partial<SourceDiff> = {}, plan: Partial<Plan> = {}) {
    this.rows = rows
    const source: SourceDiff = {
      source: 'people',
      read: rows,
      unchanged: 0,
      merged: 0,
      suppressed: 0,
      uncertainBefore: 0,
      added: rows,
      changed: 0,
      removed: 0,
      ledgerRows: 0,
      vanishing: 0,
      fingerprintsStale: false,
      outboxPath: 'runs/run_test/people/outbox.parquet',
      digest: `d${rows}`,
      ...change,
    }
    this.diff = { sources: [source], digest: 'unused' }
    this.plan = {
      runId: this.lease.runId,
      exportId: 'exp_test' as ExportId,
      exportRevision: 1,
      connectionId: 'con_test' as ConnectionId,
      connectorId: 'test',
      destinationType: 'list',
      destination: {},
      delivers: 'rows',
      mode: 'upsert',
      repeat: { kind: 'harmless' },
      format: DEFAULT_FORMAT,
      guard: DEFAULT_GUARD,
      rowsPerRunMax: null,
      now: '2026-01-01T00:00:00.000Z',
      retryOf: null,
      sources: [
        {
          name: 'people',
          table: { id: 'tbl_test' as TableId, name: 'people', version: 1, key: 'id', fields: [], files: [], rows },
          columns: [],
          where: null,
          related: [],
          consentField: null,
          merge: { by: 'smallest-key' },
          ledger: null,
        },
      ],
      ...plan,
    }
  }

  ports(destination: () => OpenDestination): EnginePorts {
    return {
      clock: {
        now: () => new Date(this.nowMs),
        sleep: async (milliseconds, signal) => {
          // A pause of no length still lets other work run, as a real timer does.
          await new Promise((resolve) => setImmediate(resolve))
          signal.throwIfAborted()
          this.slept.push(milliseconds)
          this.nowMs += milliseconds
        },
      },
      random: () => 0.5,
      failpoint: () => undefined,
      destinations: { open: () => Promise.resolve(destination()) },
      lake: { open: () => Promise.resolve(this.#lake()) },
      runs: {
        load: () =>
          Promise.resolve({
            plan: this.savedPlan,
            diff: this.savedDiff,
            purpose: 'deliver' as const,
            approvedDigest: this.approvedDigest,
            journal: [...this.journal.values()],
            delivered: [],
          }),
        makePlan: () => Promise.resolve(this.plan),
        savePlan: (_, plan) => this.#write(() => (this.savedPlan = plan)),
        saveDiff: (_, diff) => this.#write(() => (this.savedDiff = diff)),
        setStage: () => this.#write(() => undefined),
        intend: async (_, entry) => {
          await this.#write(() => undefined)
          const permission = this.permission(entry)
          if (!permission.go) return permission
          const known = this.journal.get(journalText(entry))
          if (known === undefined) {
            this.journal.set(journalText(entry), {
              ...entry,
              state: 'intended',
              accepted: 0,
              rejected: 0,
              uncertain: 0,
              exceptionsPath: null,
              file: entry.file ?? null,
              intendedAt: new Date(this.nowMs),
              jobs: {},
            })
          }
          return permission
        },
        answer: (_, entry) =>
          this.#write(() => {
            const known = this.journal.get(journalText(entry))
            if (known === undefined) throw new Error('Answered before it was intended')
            this.journal.set(journalText(entry), { ...known, ...entry, state: 'answered' })
          }),
        withdraw: (_, key) =>
          this.#write(() => {
            if (this.journal.get(journalText(key))?.state === 'intended') this.journal.delete(journalText(key))
          }),
        keepJob: (_, key, id, job) =>
          this.#write(() => {
            const known = this.journal.get(journalText(key))
            if (known === undefined) throw new Error('A job of a batch that was never intended')
            this.journal.set(journalText(key), { ...known, jobs: { ...known.jobs, [id]: job } })
          }),
        hold: (_, reason) => this.#write(() => (this.held = reason)),
        settle: (_, settlement) => this.#write(() => (this.settlement = settlement)),
      },
    }
  }

  #write(change: () => unknown): Promise<void> {
    if (this.isLeaseLost) return Promise.reject(new LeaseLost('taken over'))
    change()
    return Promise.resolve()
  }

  #lake(): LakeSession {
    const refuse = (): never => {
      throw new Error('Not a part of this test')
    }
    const rows = this.rows
    return {
      diff: () => {
        const [source] = this.diff.sources
        if (source === undefined) throw new Error('The world has one source')
        return Promise.resolve(source)
      },
      batches: (_, __, limits) => batchesOf(rows, limits.rowsPerBatch),
      countParts: () => 1,
      writePart: (_, __, part) =>
        Promise.resolve({
          name: `part-${part.number}`,
          path: `/spool/part-${part.number}`,
          rows,
          sizeBytes: 1,
          sha256: '0'.repeat(64),
          async *read() {
            yield await Promise.resolve(new Uint8Array(1))
          },
        }),
      writeModel: refuse,
      writeExceptions: (_, key, exceptions) => {
        this.exceptions.set(journalText(key), exceptions)
        return Promise.resolve(journalText(key))
      },
      settleLedger: (_, __, answered) => {
        const excepted = new Set([...this.exceptions.values()].flat().map((row) => row.seq))
        this.accepted = answered
          .flatMap((entry) => Array.from({ length: entry.last - entry.first + 1 }, (___, index) => entry.first + index))
          .filter((seq) => !excepted.has(seq))
        return Promise.resolve({ kind: 'rows' as const, path: 'l', rows: this.accepted.length, fingerprintProbe: 'p' })
      },
      writeRejects: () => Promise.resolve(),
      writeSample: () => Promise.resolve(),
      countUnsendable: () => Promise.resolve([]),
      close: () => Promise.resolve(),
    }
  }

  /** All exceptions by row, in order. */
  exceptionsBySeq(): readonly RowException[] {
    return [...this.exceptions.values()].flat().toSorted((a, b) => a.seq - b.seq)
  }
}

export function keyOf(seq: number): RowKey {
  return `k${seq}` as RowKey
}

async function* batchesOf(rows: number, rowsPerBatch: number): AsyncIterable<OutboxBatch> {
  for (let first = 1; first <= rows; first += rowsPerBatch) {
    const last = Math.min(rows, first + rowsPerBatch - 1)
    const seqs = Array.from({ length: last - first + 1 }, (_, index) => first + index)
    const json = seqs.map((seq) => JSON.stringify({ change: 'added', key: keyOf(seq), fields: { n: seq } }))
    yield await Promise.resolve({
      id: `run_test-people-${first}-${last}`,
      source: 'people',
      first,
      last,
      size: seqs.length,
      sizeBytes: json.join('').length,
      keys: seqs.map(keyOf),
      json,
      changes: json.map((text) => JSON.parse(text) as never),
    })
  }
}

type Deliver = RowDelivery['deliver']

export function rowsDestination(
  deliver: Deliver,
  options: Partial<Extract<OpenDestination, { delivers: 'rows' }>> = {},
): Extract<OpenDestination, { delivers: 'rows' }> & { closed: string[] } {
  const closed: string[] = []
  return {
    delivers: 'rows',
    mode: 'upsert',
    limits: { rowsPerBatch: 10, bytesPerBatch: 1_000_000, batchesInFlight: 3 },
    closed,
    close: () => Promise.resolve(),
    ...options,
    delivery: {
      deliver,
      close: (outcome) => {
        closed.push(outcome)
        return Promise.resolve()
      },
      ...options.delivery,
    },
  }
}

export function accept(keys: readonly RowKey[]): RowAnswer[] {
  return keys.map((key) => ({ key, status: 'accepted' }))
}

export const never = (): AbortSignal => new AbortController().signal

/** One execution of the world's run. */
export function run(
  world: TestWorld,
  destination: OpenDestination,
  signal = never(),
  isLastExecution = false,
): Promise<RunOutcome> {
  return runExport(
    world.lease,
    world.ports(() => destination),
    signal,
    isLastExecution,
  )
}
