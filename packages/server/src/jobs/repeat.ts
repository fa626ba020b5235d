/** Work that is looked for every so often, until it is stopped; what goes on then is waited for. */
export interface Repeating {
  stop(): Promise<void>
}

export function repeat(
  everyMs: number,
  work: (signal: AbortSignal) => Promise<void>,
  onError: (error: unknown) => void,
): Repeating {
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let wake: () => void = () => undefined
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
      timer = setTimeout(resolve, everyMs)
    })
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await work(stopping.signal).catch((error: unknown) => {
        if (!stopping.signal.aborted) onError(error)
      })
      if (!stopping.signal.aborted) await pause()
    }
  }
  const ended = loop()
  return {
    async stop() {
      stopping.abort(new Error('This server is stopping'))
      clearTimeout(timer)
      wake()
      await ended
    },
  }
}
