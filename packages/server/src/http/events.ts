import { PERMISSIONS_OF, type contract, type Permission } from '@patchbay/contract'
import type { Identity } from '../access/identity.ts'
import { currentPlace, holdsPlace, readChanges, type ChangeKind, type ChangePlace } from '../store/change.ts'
import { eventStream, pause, type ServerEvent } from './event-stream.ts'
import type { Call, Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'

/** The feed is looked at so often, and the rights of whoever follows as well. */
const LOOK_MS = 1000

const NEEDED: Readonly<Record<ChangeKind, Permission>> = {
  export: 'export.read',
  segment: 'segment.read',
  table: 'table.read',
  connection: 'connection.read',
  run: 'run.read',
}

export function makeEventHandlers(ports: HttpPorts): Handlers<typeof contract.events> {
  return {
    follow: (_input, call) =>
      Promise.resolve(eventStream([call.signal, ports.stopping], (signal) => followChanges(ports, call, signal))),
  }
}

async function* followChanges(
  { db }: HttpPorts,
  call: Call,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent | 'nothing'> {
  const left = placeOf(call.lastEventId)
  let place = await currentPlace(db)
  if (left !== undefined && (await holdsPlace(db, left))) place = left
  // What was missed cannot be told any more; whoever follows reads everything anew.
  else yield { event: call.lastEventId === undefined ? 'ready' : 'reset', id: idOf(place), data: {} }
  while (!signal.aborted) {
    const identity = await call.again()
    if (identity === undefined) return
    const changes = await readChanges(db, place)
    const seen = new Set<string>()
    for (const change of changes) {
      place = change.place
      const { kind, id, what } = change
      // Several changes of one thing at once are one: what it is now is read by whoever wants to know.
      const key = `${kind} ${id} ${what}`
      if (!maySee(identity, kind) || seen.has(key)) continue
      seen.add(key)
      yield { event: 'change', id: idOf(place), data: { kind, id, what } }
    }
    if (changes.length > 0) continue
    yield 'nothing'
    await pause(LOOK_MS, signal)
  }
}

function maySee(identity: Identity, kind: ChangeKind): boolean {
  return identity.role !== null && PERMISSIONS_OF[identity.role].has(NEEDED[kind])
}

function idOf({ tx, seq }: ChangePlace): string {
  return `${tx}-${seq}`
}

function placeOf(id: string | undefined): ChangePlace | undefined {
  const [, tx, seq] = /^(\d{1,18})-(\d{1,18})$/.exec(id ?? '') ?? []
  return tx === undefined || seq === undefined ? undefined : { tx, seq }
}
