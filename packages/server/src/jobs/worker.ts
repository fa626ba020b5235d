/**
 * Takes runs from the queue and carries them out, so many at a time. What keeps a run safe stands elsewhere (the lease, the
 * epoch, the journal); here is the care for time: a heartbeat, a look for cancel requests and for runs whose worker died,
 * retries with a growing delay, and an orderly end.
 */
import { Canceled, LeaseLost, ShuttingDown, type Lease, type RunOutcome } from '../engine/ports.ts'
import type { RunId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import type { Store } from '../store/open-store.ts'
import { beat, lockRun, putOff, readAttempts, takeRun, type Hold } from '../store/run-hold.ts'
import { listCancelRequests, listRunning } from '../store/run-watch.ts'
import type { Tx } from '../store/schema.ts'
import { finishRun } from './finish-run.ts'
import { leaseName, openLeases, type Held, type Leases } from './lease.ts'
import type { Queue } from './queue.ts'

export type ExecuteRun = (lease: Lease, signal: AbortSignal, isLastExecution: boolean) => Promise<RunOutcome>

export interface WorkerOptions {
  readonly store: Store
  readonly queue: Queue
  /** The engine over its ports: `runExport`. */
  readonly executeRun: ExecuteRun
  /** Runs at a time. */
  readonly concurrency: number
  /** Trouble that no run's row can tell: the log's business. Ids and kinds, never values. */
  readonly onError: (error: unknown, runId: RunId | null) => void
  readonly randomBytes: (size: number) => Uint8Array
  /** The proof stops the process here: while a run is being claimed. */
  readonly failpoint?: (name: 'claim') => void
  readonly timing?: Partial<WorkerTiming>
}

export interface WorkerTiming {
  /** How often the queue is looked at when nobody wakes the worker. */
  readonly pollMs: number
  /** How often runs are looked at that are to stop, or that nobody works on. */
  readonly watchMs: number
  readonly beatMs: number
  /** A worker that has not given a sign for so long is taken for hung, and loses its sessions. */
  readonly silentMs: number
  /** Delays before the second, third and fourth try of a run. */
  readonly retryMs: readonly number[]
}

const TIMING: WorkerTiming = {
  pollMs: 500,
  watchMs: 250,
  beatMs: 4000,
  silentMs: 12_000,
  retryMs: [60_000, 300_000, 900_000],
}

const ANCHOR_MS = 1000

export interface Worker {
  /** Runs that this worker is at. */
  readonly running: () => readonly RunId[]
  /** Takes nothing new, lets batches in flight be answered, and frees what it holds, for whoever is next. */
  stop(): Promise<void>
}

interface Current {
  readonly hold: Hold
  readonly held: Held
  readonly control: AbortController
  readonly ended: Promise<void>
}

export function startWorker(options: WorkerOptions): Worker {
  const leases = openLeases(options.store)
  const worker = new RunWorker(options, leases)
  return {
    running: () => worker.runIds(),
    stop: async () => {
      await worker.stop()
      await leases.close()
    },
  }
}

class RunWorker {
  readonly #options: WorkerOptions
  readonly #timing: WorkerTiming
  readonly #leases: Leases
  readonly #current = new Map<RunId, Current>()
  readonly #loops: Promise<void>[]
  readonly #stopping = new AbortController()
  readonly #unlisten: () => void
  #wakeUp: () => void = () => undefined

  constructor(options: WorkerOptions, leases: Leases) {
    this.#options = options
    this.#timing = { ...TIMING, ...options.timing }
    this.#leases = leases
    this.#unlisten = options.queue.onWake(() => this.#wakeUp())
    this.#loops = [
      this.#repeat(this.#timing.pollMs, () => this.#takeFromQueue(), true),
      this.#repeat(this.#timing.watchMs, () => this.#watch(), false),
      this.#repeat(this.#timing.beatMs, () => this.#beat(), false),
      this.#repeat(ANCHOR_MS, () => options.store.anchorAudit(), false),
    ]
  }

  runIds(): readonly RunId[] {
    return [...this.#current.keys()]
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new ShuttingDown('This worker is shutting down'))
    this.#unlisten()
    for (const { control } of this.#current.values()) control.abort(this.#stopping.signal.reason)
    // The heartbeat has ended; what is left to do takes less time than being taken for hung.
    await Promise.all(this.#loops)
    await Promise.all([...this.#current.values()].map(({ ended }) => ended))
  }

  async #repeat(everyMs: number, work: () => Promise<void>, isWoken: boolean): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await work()
      } catch (error) {
        this.#options.onError(error, null)
      }
      await this.#pause(everyMs, isWoken)
    }
  }

  #pause(milliseconds: number, isWoken: boolean): Promise<void> {
    const { signal } = this.#stopping
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, milliseconds)
      signal.addEventListener('abort', end)
      if (isWoken) this.#wakeUp = end
    })
  }

  #isFree(): boolean {
    return this.#current.size < this.#options.concurrency && !this.#stopping.signal.aborted
  }

  /** Nothing is taken over a store that was put back from a backup, until a person has looked. */
  async #takeFromQueue(): Promise<void> {
    while (this.#isFree() && !(await this.#options.store.isRestored())) {
      if (!(await this.#claim((tx) => this.#nextFromQueue(tx)))) return
    }
  }

  /** Runs that say they are running, and nobody is at them: their worker died, or is hung. */
  async #watch(): Promise<void> {
    const { store } = this.#options
    for (const { id, by } of await listCancelRequests(store.db, this.runIds())) {
      this.#current.get(id)?.control.abort(new Canceled(`Canceled by ${by}`))
    }
    if (!this.#isFree() || (await store.isRestored())) return
    const running = (await listRunning(store.db, this.#timing.silentMs)).filter(({ id }) => !this.#current.has(id))
    if (running.length === 0) return
    const held = await this.#leases.heldOf(running.map(leaseName))
    for (const run of running) {
      if (!this.#isFree()) return
      const isHeld = held.has(leaseName(run))
      if (isHeld && !run.isSilent) continue
      if (isHeld && run.holder !== null && run.holder !== store.workerId) await this.#leases.endWorker(run.holder)
      await this.#claim(() => Promise.resolve({ runId: run.id, from: ['running'] as const, done: undefined }))
    }
  }

  async #beat(): Promise<void> {
    const { db } = this.#options.store
    for (const { hold, control } of this.#current.values()) {
      if (!(await beat(db, hold))) control.abort(new LeaseLost('Another worker has taken over this run'))
    }
  }

  async #nextFromQueue(tx: Tx): Promise<Claim | undefined> {
    const { queue } = this.#options
    const [job] = await queue.take(tx, 1)
    if (job === undefined) return undefined
    return { runId: job.runId, from: ['queued', 'failed-retrying'], done: () => queue.done(tx, job) }
  }

  /**
   * Makes one run this worker's: job, lease, epoch and status in one transaction. False when there was nothing to claim.
   */
  async #claim(find: (tx: Tx) => Promise<Claim | undefined>): Promise<boolean> {
    const { store, queue, failpoint } = this.#options
    let held: Held | undefined
    try {
      const found = await store.db.transaction().execute(async (tx) => {
        const claim = await find(tx)
        if (claim === undefined) return undefined
        const run = await lockRun(tx, claim.runId)
        if (run === undefined || !claim.from.some((status) => status === run.status)) {
          await claim.done?.()
          return { hold: undefined }
        }
        held = await this.#leases.acquire(leaseName(run))
        if (held === undefined) {
          // Its last holder is not quite gone: this job is done, and another one asks again in a second.
          if (claim.done !== undefined) await queue.send(tx, run.id, new Date(Date.now() + 1000))
          await claim.done?.()
          return { hold: undefined }
        }
        const hold = await takeRun(tx, run.id, store.workerId)
        await claim.done?.()
        failpoint?.('claim')
        return { hold }
      })
      if (found?.hold !== undefined && held !== undefined) this.#start(found.hold, held)
      return found !== undefined
    } catch (error) {
      await held?.free()
      throw error
    }
  }

  #start(hold: Hold, held: Held): void {
    const control = new AbortController()
    held.onLost(() => control.abort(new LeaseLost('The connection that held the lease broke')))
    if (this.#stopping.signal.aborted) control.abort(this.#stopping.signal.reason)
    const ended = this.#carryOut(hold, control.signal)
      .catch((error: unknown) => this.#options.onError(error, hold.runId))
      .then(async () => {
        this.#current.delete(hold.runId)
        await held.free()
        this.#wakeUp()
      })
    this.#current.set(hold.runId, { hold, held, control, ended })
  }

  async #carryOut(hold: Hold, signal: AbortSignal): Promise<void> {
    const { store, executeRun, onError } = this.#options
    const attempts = await readAttempts(store.db, hold)
    if (attempts === undefined) return
    const isLastExecution = attempts >= this.#timing.retryMs.length
    try {
      const outcome = await executeRun(hold, signal, isLastExecution)
      if (outcome.retryable) await this.#tryLater(hold, attempts, outcome.reason)
    } catch (error) {
      // Lost: it is somebody else's. Shutting down: it stays as it is, and the next worker goes on with it.
      if (error instanceof LeaseLost || error instanceof ShuttingDown) return
      onError(error, hold.runId)
      await this.#tryLater(hold, attempts, reasonOf(error))
    }
  }

  async #tryLater(hold: Hold, attempts: number, reason: string | null): Promise<void> {
    const { store, queue, randomBytes } = this.#options
    const delayMs = this.#timing.retryMs[attempts]
    await store.db.transaction().execute(async (tx) => {
      if (delayMs === undefined) {
        // Nothing of it was settled: the next run of the export goes on with this one first.
        const end = { status: 'failed', reason, counts: null, settled: false } as const
        await finishRun(tx, queue, hold, end, randomBytes)
        return
      }
      const later = await putOff(tx, hold, { status: 'failed-retrying', reason, delayMs })
      if (later !== undefined) await queue.send(tx, hold.runId, later.dueAt)
    })
  }
}

interface Claim {
  readonly runId: RunId
  /** The statuses from which it may be taken. */
  readonly from: readonly ('queued' | 'failed-retrying' | 'running')[]
  /** Takes its job off the queue; undefined where there is none. */
  readonly done: (() => Promise<void>) | undefined
}

/** A `Problem` may be shown; of any other error only its kind. */
function reasonOf(error: unknown): string {
  if (error instanceof Problem) return `${error.message}. ${error.cure}`
  const kind = error instanceof Error ? (errorCode(error) ?? error.name) : typeof error
  return `Patchbay could not go on (${kind}); see the log with the run's id`
}

/** A file system's or a database's short code, such as ENOSPC. */
function errorCode(error: Error): string | undefined {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}
