import { createHash } from 'node:crypto'
import type { RunId } from '../domain/ids.ts'
import { eventStream, pause, type ServerEvent } from './event-stream.ts'
import type { Call } from './handler.ts'
import type { HttpPorts } from './ports.ts'
import { showRun } from './run-answer.ts'

const LOOK_MS = 500
/** Every so many looks, whether whoever follows still may. */
const LOOKS_A_RIGHT = 2
/** Every so many looks, how long it will still take: that changes although nothing happens. */
const LOOKS_AN_ESTIMATE = 4

export function followRun(ports: HttpPorts, id: RunId, call: Call): ReadableStream<Uint8Array> {
  return eventStream([call.signal, ports.stopping], (signal) => changesOf(ports, id, call, signal))
}

async function* changesOf(
  { db }: HttpPorts,
  runId: RunId,
  call: Call,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent | 'nothing'> {
  let sent = call.lastEventId
  for (let look = 0; !signal.aborted; look += 1) {
    if (look % LOOKS_A_RIGHT === 0 && (await call.again()) === undefined) {
      yield { event: 'end', data: { reason: 'not-allowed' } }
      return
    }
    const run = await showRun(db, runId)
    // By what has happened, not by the clock: the estimate moves although nothing does.
    const { progress: _estimate, ...happened } = run
    const id = createHash('sha256').update(JSON.stringify(happened)).digest('base64url').slice(0, 16)
    const isEstimated = run.progress !== null && look % LOOKS_AN_ESTIMATE === 0
    if (id !== sent || isEstimated) yield { event: 'run', id, data: run }
    else yield 'nothing'
    sent = id
    if (run.finishedAt !== null || run.status === 'held') {
      yield { event: 'end', data: { reason: run.status === 'held' ? 'held' : 'over' } }
      return
    }
    await pause(LOOK_MS, signal)
  }
}
