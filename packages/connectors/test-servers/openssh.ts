/**
 * A real OpenSSH server for tests, benches and proofs: SFTP only, by key only, on a free port of loopback, everything in a
 * temporary folder of its own. It runs as an ordinary user (as `nobody` where root starts it), so that what the account
 * may not do is refused as on a real server. It leaves no process and no folder behind, even where the process that
 * started it is killed: a small shell holds the server and ends it when its input closes.
 *
 * Passwords cannot be tried with it: without root, sshd cannot check them. `fake-ssh.ts` is for that.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface OpensshServer {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly user: string
  /** Fingerprint of the host key as OpenSSH prints it: `SHA256:…`. */
  readonly hostKey: string
  /** An Ed25519 key in OpenSSH's format, without passphrase, that the account accepts. */
  readonly privateKey: string
  /** Where the account arrives, on this machine's disk. */
  readonly folder: string
  /** Lets one more key in: a line as in `authorized_keys`. */
  authorize(publicKey: string): void
  /** Gives a file or folder of this machine to the account. */
  give(path: string): void
  /** The server's log so far. */
  log(): string
  stop(): Promise<void>
}

const PROGRAM = '/usr/sbin/sshd'

export async function startOpenssh(lines: readonly string[] = []): Promise<OpensshServer> {
  const owner = unprivilegedOwner()
  const top = mkdtempSync(join(tmpdir(), 'patchbay-openssh-'))
  const at = (name: string): string => join(top, name)
  let guard: ChildProcess | undefined
  const give = (path: string): void => {
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
  }
  try {
    give(top)
    chmodSync(top, 0o755)
    mkdirSync(at('home'))
    for (const key of ['host_key', 'user_key'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', at(key)])
    writeFileSync(at('authorized_keys'), readFileSync(at('user_key.pub')))
    const port = await freePort()
    const config = [
      'ListenAddress 127.0.0.1',
      `Port ${port}`,
      `HostKey ${at('host_key')}`,
      `AuthorizedKeysFile ${at('authorized_keys')}`,
      `PidFile ${at('pid')}`,
      'StrictModes no',
      // Without it, sshd takes every account for locked whose shadow entry it may not read.
      'UsePAM yes',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'MaxStartups 1000',
      'MaxSessions 100',
      'LogLevel VERBOSE',
      `Subsystem sftp internal-sftp -d ${at('home')}`,
      ...lines,
    ]
    writeFileSync(at('sshd_config'), `${config.join('\n')}\n`)
    writeFileSync(at('log'), '')
    for (const name of ['home', 'host_key', 'authorized_keys', 'sshd_config', 'log']) give(at(name))

    const log = (): string => (existsSync(at('log')) ? readFileSync(at('log'), 'utf8') : '')
    guard = spawn('/bin/sh', ['-c', GUARD, 'sh', PROGRAM, top], {
      ...(owner !== undefined && { uid: owner.uid, gid: owner.gid }),
      cwd: top,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    await ready(guard, log)
    const held = guard
    const printed = execFileSync('ssh-keygen', ['-l', '-f', at('host_key.pub')], { encoding: 'utf8' })
    return {
      host: '127.0.0.1',
      port,
      user: owner?.name ?? userInfo().username,
      hostKey: printed.split(' ')[1] ?? '',
      privateKey: readFileSync(at('user_key'), 'utf8'),
      folder: at('home'),
      authorize: (publicKey) => appendFileSync(at('authorized_keys'), `${publicKey.trim()}\n`),
      give,
      log,
      stop: async () => {
        if (held.exitCode === null && held.signalCode === null) {
          const exited = once(held, 'exit')
          held.stdin?.end()
          await exited
        }
        rmSync(top, { recursive: true, force: true })
      },
    }
  } catch (error) {
    guard?.stdin?.end()
    rmSync(top, { recursive: true, force: true })
    throw error
  }
}

/** Starts the server, and waits for the end of its input, which comes with the death of the process that started us too. */
const GUARD = `
"$1" -D -f "$2/sshd_config" -E "$2/log" </dev/null >/dev/null 2>>"$2/log" &
server=$!
trap '' INT TERM HUP
read word
kill $server
wait $server
rm -rf "$2"
`

/** Whom to run the server as; undefined for oneself. */
function unprivilegedOwner(): { readonly name: string; readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  const entry = users.map((line) => line.split(':')).find(([name]) => name === 'nobody')
  if (entry === undefined) throw new Error('No user nobody to run OpenSSH as')
  return { name: 'nobody', uid: Number(entry[2]), gid: Number(entry[3]) }
}

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

async function ready(guard: ChildProcess, log: () => string): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (log().includes('Server listening on')) return
    if (guard.exitCode !== null) break
    await sleep(25)
  }
  throw new Error(`OpenSSH did not start:\n${log().split('\n').slice(-20).join('\n')}`)
}
