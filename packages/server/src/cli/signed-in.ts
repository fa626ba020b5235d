/**
 * Where `patchbay login` remembers the server and the session: a file of the person at the terminal, which nobody else may
 * read. The cookie in it is a secret; the password is kept nowhere.
 */
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { Problem } from '../domain/problem.ts'

export interface SignedIn {
  readonly url: string
  readonly cookie: string
  readonly email: string
}

type Environment = Readonly<Record<string, string | undefined>>

function pathOf(environment: Environment): string {
  const folder = environment['XDG_CONFIG_HOME'] ?? join(environment['HOME'] ?? homedir(), '.config')
  return join(folder, 'patchbay', 'session.json')
}

export async function readSignedIn(environment: Environment): Promise<SignedIn | undefined> {
  const path = pathOf(environment)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const { url, cookie, email } = JSON.parse(text) as Partial<SignedIn>
    if (url !== undefined && cookie !== undefined && email !== undefined) return { url, cookie, email }
  } catch {
    // Told below.
  }
  throw new Problem('invalid', `${path} is not what patchbay login wrote`, {
    path,
    cure: 'Run patchbay logout, and sign in again',
  })
}

export async function writeSignedIn(environment: Environment, session: SignedIn): Promise<void> {
  const path = pathOf(environment)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, JSON.stringify(session), { mode: 0o600 })
  await chmod(`${path}.new`, 0o600)
  await rename(`${path}.new`, path)
}

export async function forgetSignedIn(environment: Environment): Promise<void> {
  await rm(pathOf(environment), { force: true })
}
