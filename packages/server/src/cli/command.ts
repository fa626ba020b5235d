/** What every command is given, and the straight line around each: open, do, close, say what became of it. */
import type { Client } from '@patchbay/contract'
import type { Command } from 'commander'
import { processEnvironment, readSettings, type Settings } from '../settings.ts'
import { openSession, type Session } from './client.ts'
import { EXIT, failureOf, type ExitCode } from './exit-code.ts'
import { printable } from './printable.ts'
import { readSignedIn } from './signed-in.ts'
import { openTerminal, type Terminal } from './terminal.ts'

export interface Run {
  readonly terminal: Terminal
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly workingFolder: string
  readonly interrupt: Interrupt
  /** Read at first use, so that `--help` works whatever they are. */
  readonly settings: () => Settings
  /** Opens the way to the API for as long as `use` takes. */
  readonly withSession: <T>(use: (client: Client, session: Session) => Promise<T>) => Promise<T>
}

/** ^C, and the polite end of a process. The first asks, the second leaves. */
export interface Interrupt {
  readonly signal: AbortSignal
  /** Until `use` has ended, the first one calls this in place of ending everything. */
  during<T>(first: () => void, use: () => Promise<T>): Promise<T>
}

/** A command's own outcome; nothing means that all is well. */
export type Outcome = ExitCode | undefined

/** Commander calls this with the arguments, the options and the command, in this order. */
export function action(run: (run: Run, args: readonly string[], options: Options) => Promise<Outcome>) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command
    const options = command.optsWithGlobals<Options>()
    // Commander gives an argument that may be repeated as a list.
    const args = given.slice(0, -2).flatMap((arg) => (Array.isArray(arg) ? (arg as string[]) : [arg as string]))
    const terminal = openTerminal(options['json'] === true)
    process.exitCode = await toEnd(terminal, (context) => run(context, args, options))
  }
}

export type Options = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

async function toEnd(terminal: Terminal, work: (run: Run) => Promise<Outcome>): Promise<number> {
  const interrupt = openInterrupt()
  const environment = processEnvironment()
  const workingFolder = process.cwd()
  let known: Settings | undefined
  const settings = (): Settings => (known ??= readSettings(environment, workingFolder))
  const run: Run = {
    terminal,
    environment,
    workingFolder,
    interrupt,
    settings,
    async withSession(use) {
      const session = await openSession(settings(), await readSignedIn(environment))
      try {
        return await use(session.client, session)
      } finally {
        await session.close()
      }
    },
  }
  try {
    return (await work(run)) ?? EXIT.done
  } catch (error) {
    if (interrupt.signal.aborted) return 130
    return tellFailure(terminal, error)
  } finally {
    interrupt.close()
  }
}

export function tellFailure(terminal: Pick<Terminal, 'isJson' | 'note'>, error: unknown): ExitCode {
  const failure = failureOf(error)
  if (failure === undefined) {
    const frames = error instanceof Error ? (error.stack ?? error.message) : 'something that is no error was thrown'
    const detail = 'Patchbay could not do this, because of a mistake in Patchbay itself'
    if (terminal.isJson)
      terminal.note(JSON.stringify({ error: { code: 'bug', path: '', detail, cure: 'Report it', frames } }))
    else terminal.note(`Error: ${detail}. Please report this:\n${frames}`)
    return EXIT.bug
  }
  const { exitCode, ...said } = failure
  if (terminal.isJson) terminal.note(JSON.stringify({ error: said }))
  else {
    terminal.note(`Error: ${printable(said.detail)}`)
    if (said.path !== '' && !said.detail.startsWith(said.path)) terminal.note(`  where:      ${printable(said.path)}`)
    if (said.cure !== '') terminal.note(`  what to do: ${printable(said.cure)}`)
  }
  return exitCode
}

function openInterrupt(): Interrupt & { readonly close: () => void } {
  const ended = new AbortController()
  let first: (() => void) | undefined
  const onSignal = (): void => {
    if (first !== undefined) {
      const call = first
      first = undefined
      call()
    } else if (ended.signal.aborted) process.exit(130)
    else ended.abort(new Error('interrupted'))
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal)
  return {
    signal: ended.signal,
    async during(call, use) {
      first = call
      try {
        return await use()
      } finally {
        first = undefined
      }
    },
    close() {
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal)
    },
  }
}

/** All pages of a list. */
export async function readAll<T>(
  page: (query: { readonly cursor?: string; readonly limit: number }) => Promise<{ items: T[]; next: string | null }>,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  do {
    const { items: more, next } = await page({ limit: 500, ...(cursor === undefined ? {} : { cursor }) })
    items.push(...more)
    cursor = next ?? undefined
  } while (cursor !== undefined)
  return items
}
