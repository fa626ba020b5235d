/** For what cannot be stopped itself, as a question to the name server or what others wait for too: it is left behind. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const giveUp = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', giveUp, { once: true })
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
  if (signal.aborted) giveUp()
  return promise
}
