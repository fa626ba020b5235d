/**
 * Who works on an export: one worker at a time, and nobody as soon as that worker is dead.
 *
 * With PostgreSQL it is a session advisory lock on a connection of the worker's own, which the server frees within
 * milliseconds of the process's death; with the embedded store there is one process, and a set in its memory. A lock alone
 * cannot stop a process that was stopped and wakes up again, so every write also names the run's epoch (`run-hold.ts`).
 */
import type { Store, Session } from '../store/open-store.ts'
import { endSessions, listHeldLocks } from '../store/run-watch.ts'

export interface Leases {
  /** Undefined while somebody else has it, or this worker itself. */
  acquire(name: string): Promise<Held | undefined>
  /** Of these, the ones that a living session holds; this worker's own among them. */
  heldOf(names: readonly string[]): Promise<ReadonlySet<string>>
  /** Takes everything away from a worker that has gone silent. */
  endWorker(workerId: string): Promise<void>
  close(): Promise<void>
}

export interface Held {
  free(): Promise<void>
  /** The connection broke: somebody else may have the lease by now. */
  onLost(listener: () => void): void
}

/** A delivery locks its export; a preview sends nothing, and only must not be worked on twice. */
export function leaseName(run: { readonly id: string; readonly exportId: string; readonly purpose: string }): string {
  return run.purpose === 'preview' ? run.id : run.exportId
}

export function openLeases(store: Store): Leases {
  return store.openSession === null ? embeddedLeases(store) : sharedLeases(store, store.openSession)
}

/** By store, since a test may run two workers over one. */
const held = new WeakMap<object, Set<string>>()

function embeddedLeases(store: Store): Leases {
  const names = held.get(store.db) ?? new Set<string>()
  held.set(store.db, names)
  return {
    acquire: (name) => {
      if (names.has(name)) return Promise.resolve(undefined)
      names.add(name)
      const free = (): Promise<void> => {
        names.delete(name)
        return Promise.resolve()
      }
      return Promise.resolve({ free, onLost: () => undefined })
    },
    heldOf: (asked) => Promise.resolve(new Set(asked.filter((name) => names.has(name)))),
    endWorker: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}

function sharedLeases(store: Store, openSession: () => Promise<Session>): Leases {
  /** The session would be given its own lock a second time, so what it has is also kept here. */
  const mine = new Map<string, (() => void)[]>()
  let session: Promise<Session> | undefined
  const connect = (): Promise<Session> => {
    session ??= openSession().then(
      (opened) => {
        opened.onEnd(() => {
          session = undefined
          const lost = [...mine.values()].flat()
          mine.clear()
          for (const listener of lost) listener()
        })
        return opened
      },
      (error: unknown) => {
        session = undefined
        throw error
      },
    )
    return session
  }
  return {
    acquire: async (name) => {
      if (mine.has(name)) return undefined
      const listeners: (() => void)[] = []
      mine.set(name, listeners)
      try {
        const connection = await connect()
        const lock = 'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked'
        const [row] = await connection.query<{ locked: boolean }>(lock, [name])
        if (row?.locked !== true || mine.get(name) !== listeners) {
          if (mine.get(name) === listeners) mine.delete(name)
          return undefined
        }
        return {
          free: async () => {
            if (mine.get(name) !== listeners) return
            mine.delete(name)
            // Where the connection is broken, so is the lock.
            await connection.query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [name]).catch(() => undefined)
          },
          onLost: (listener) => void listeners.push(listener),
        }
      } catch (error) {
        if (mine.get(name) === listeners) mine.delete(name)
        throw error
      }
    },
    heldOf: (names) => listHeldLocks(store.db, names),
    endWorker: (workerId) => endSessions(store.db, workerId),
    close: async () => {
      const open = session
      session = undefined
      mine.clear()
      await open?.then((connection) => connection.close()).catch(() => undefined)
    },
  }
}
