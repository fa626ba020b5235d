import type { OutgoingFile } from './files.ts'

/** Questions, renames and publications at once: enough to hide a slow line, few enough for any server. */
const CALLS_AT_ONCE = 8

/** A few at once. Waits for all that were begun before it fails, so that nothing goes on behind the caller's back. */
export async function inTurns<T, R>(items: readonly T[], call: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let start = 0; start < items.length; start += CALLS_AT_ONCE) {
    const settled = await Promise.allSettled(items.slice(start, start + CALLS_AT_ONCE).map((item) => call(item)))
    for (const outcome of settled) {
      if (outcome.status === 'rejected') throw outcome.reason
      results.push(outcome.value)
    }
  }
  return results
}

/**
 * Sends the pieces of a file, `atOnce` of them at a time, each read while the others are on their way; gives what each
 * answered, in order. After a failure nothing more is read, and what was begun is waited for.
 */
export async function inPieces<R>(
  file: OutgoingFile,
  pieceBytes: number,
  atOnce: number,
  send: (piece: Uint8Array, index: number) => Promise<R>,
): Promise<readonly R[]> {
  const answers: R[] = []
  const onTheWay = new Set<Promise<void>>()
  const failures: unknown[] = []
  let index = 0
  try {
    for await (const piece of file.read(pieceBytes)) {
      if (failures.length > 0) break
      const at = index++
      const sent: Promise<void> = send(piece, at).then(
        (answer) => {
          answers[at] = answer
          onTheWay.delete(sent)
        },
        (error: unknown) => {
          failures.push(error)
          onTheWay.delete(sent)
        },
      )
      onTheWay.add(sent)
      if (onTheWay.size >= atOnce) await Promise.race(onTheWay)
    }
  } finally {
    await Promise.all(onTheWay)
  }
  if (failures.length > 0) throw failures[0]
  return answers
}
