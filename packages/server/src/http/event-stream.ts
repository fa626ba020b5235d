/** Server-sent events: a stream that goes on until whoever follows leaves, may no longer follow, or the server stops. */
import { setTimeout as sleep } from 'node:timers/promises'

export interface ServerEvent {
  readonly event: string
  /** What `Last-Event-ID` says when whoever follows comes back. */
  readonly id?: string
  readonly data: unknown
}

/** A line that says nothing keeps proxies from closing what is only quiet. */
const BEAT_MS = 15_000

/** `signals` end it. What `follow` yields is sent; what it throws breaks the stream off, and whoever follows comes back. */
export function eventStream(
  signals: readonly AbortSignal[],
  follow: (signal: AbortSignal) => AsyncIterable<ServerEvent | 'nothing'>,
): ReadableStream<Uint8Array> {
  const left = new AbortController()
  const signal = AbortSignal.any([...signals, left.signal])
  const encoder = new TextEncoder()
  let events: AsyncIterator<ServerEvent | 'nothing'> | undefined
  let sentAt = performance.now()
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode('retry: 2000\n\n'))
    },
    async pull(controller) {
      try {
        events ??= follow(signal)[Symbol.asyncIterator]()
        for (;;) {
          const { done, value } = await events.next()
          if (done === true || signal.aborted) {
            controller.close()
            return
          }
          if (value === 'nothing' && performance.now() - sentAt < BEAT_MS) continue
          sentAt = performance.now()
          controller.enqueue(encoder.encode(value === 'nothing' ? ': still here\n\n' : textOf(value)))
          return
        }
      } catch (error) {
        if (signal.aborted) controller.close()
        else controller.error(error)
      }
    },
    async cancel() {
      left.abort()
      await events?.return?.()
    },
  })
}

/** JSON has no line breaks of its own, so an event is three lines and never more. */
function textOf({ event, id, data }: ServerEvent): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}

/** Resolves early, and without an error, when the signal ends it. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined)
}
