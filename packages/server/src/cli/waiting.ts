import type { Terminal } from './terminal.ts'

const TICK_MS = 1000
const LINE_EVERY_MS = 5000

/** Long work of which nobody knows how far it is: says that it goes on, and for how long already. */
export async function whileWaiting<T>(terminal: Terminal, what: string, work: Promise<T>): Promise<T> {
  const started = performance.now()
  const hasLine = terminal.isInteractive && !terminal.isJson
  let shown = false
  const timer = setInterval(
    () => {
      const seconds = Math.round((performance.now() - started) / 1000)
      if (hasLine) terminal.stderr.write(`\r${what} … ${seconds} s`)
      else terminal.note(`${what}: ${seconds} s`)
      shown = hasLine
    },
    hasLine ? TICK_MS : LINE_EVERY_MS,
  )
  try {
    return await work
  } finally {
    clearInterval(timer)
    if (shown) terminal.stderr.write('\r\u001b[K')
  }
}
