/** The real command, as somebody types it: its own process, its own exit code. */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../bin/patchbay.mjs', import.meta.url))

export interface Typed {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandPlace {
  readonly folder: string
  readonly environment?: Readonly<Record<string, string>>
  readonly stdin?: string
}

export async function type(args: readonly string[], place: CommandPlace): Promise<Typed> {
  const child = start(args, place)
  const ended = endOf(child)
  child.stdin?.end(place.stdin ?? '')
  return ended
}

export function start(args: readonly string[], { folder, environment = {} }: CommandPlace): ChildProcess {
  const { PATH = '', HOME = '' } = process.env
  return spawn(process.execPath, [PROGRAM, ...args], {
    cwd: folder,
    env: { PATH, HOME, PATCHBAY_LOG: 'silent', PATCHBAY_THREADS: '1', ...environment },
  })
}

export function endOf(child: ChildProcess): Promise<Typed> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (piece: Buffer) => (stdout += piece.toString('utf8')))
  child.stderr?.on('data', (piece: Buffer) => (stderr += piece.toString('utf8')))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
}
