/**
 * Starts a server of a test on a free port of loopback, over a temporary folder, and waits until it listens. It leaves no
 * process and no folder behind, even where the process that started it is killed: a small shell holds the server and ends
 * it when its input closes.
 */
import { spawn, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface GuardedServer {
  readonly folder: string
  readonly port: number
  log(): string
  /** Stops it and removes its folder. */
  stop(): Promise<void>
  /** Ends the server at once (`crash`) or as it ends by itself, and starts it anew over the same folder and port. */
  restart(how?: 'crash'): Promise<void>
}

export interface ServerProgram {
  readonly name: string
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
  /** Before the first start, in the empty folder. */
  readonly prepare?: (folder: string) => void
  readonly command: (folder: string, port: number) => readonly [string, ...string[]]
}

const STARTS_WITHIN_MS = 60_000

export async function startGuarded(program: ServerProgram): Promise<GuardedServer> {
  const folder = mkdtempSync(join(tmpdir(), `patchbay-${program.name}-`))
  if (program.owner !== undefined) chownSync(folder, program.owner.uid, program.owner.gid)
  const log = (): string => (existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8') : '')
  try {
    program.prepare?.(folder)
    const port = await freePort()
    let end = await start(program, folder, port, log)
    return {
      folder,
      port,
      log,
      stop: async () => {
        await end('stop')
        rmSync(folder, { recursive: true, force: true })
      },
      restart: async (how) => {
        await end(how ?? 'restart')
        end = await start(program, folder, port, log)
      },
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

async function start(
  { command, owner, name }: ServerProgram,
  folder: string,
  port: number,
  log: () => string,
): Promise<(word: string) => Promise<void>> {
  const options: SpawnOptions = { ...owner, cwd: folder, stdio: ['pipe', 'ignore', 'ignore'] }
  const guard = spawn('/bin/sh', ['-c', GUARD, 'sh', folder, ...command(folder, port)], options)
  const end = async (word: string): Promise<void> => {
    const exited = guard.exitCode === null ? once(guard, 'exit') : undefined
    guard.stdin?.end(`${word}\n`)
    await exited
  }
  const latest = Date.now() + STARTS_WITHIN_MS
  while (guard.exitCode === null && Date.now() < latest) {
    if (await listens(port)) return end
    await sleep(50)
  }
  const said = log().split('\n').slice(-20).join('\n')
  await end('stop')
  throw new Error(`${name} did not start:\n${said}`)
}

const GUARD = `
folder=$1
shift
"$@" >>"$folder/log" 2>&1 </dev/null &
server=$!
trap '' INT TERM HUP
read word
case "$word" in crash) kill -KILL $server ;; *) kill -TERM $server ;; esac
wait $server
case "$word" in restart|crash) ;; *) rm -rf "$folder" ;; esac
exit 0
`

/** Free at the moment of asking: another process may take it first, and then the start fails and says so. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('No free port')
  return address.port
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** A server that refuses to run as root runs as this user; as any other user it runs as that user. */
export function unprivilegedOwner(name: string): ServerProgram['owner'] {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const entry = users.find(([user]) => user === name) ?? users.find(([user]) => user === 'nobody')
  if (entry === undefined) throw new Error(`Neither a user ${name} nor a user nobody to run it as`)
  return { uid: Number(entry[2]), gid: Number(entry[3]) }
}
