import { readFile } from 'node:fs/promises'
import { API_ROOT } from '@patchbay/contract'
import type { Command } from 'commander'
import { Problem } from '../domain/problem.ts'
import { SECRET_PREFIX } from '../settings.ts'
import { askOnce, unreadable } from './client.ts'
import { action, type Options, type Outcome, type Run } from './command.ts'
import { text } from './given.ts'
import { forgetSignedIn, readSignedIn, writeSignedIn } from './signed-in.ts'

const PASSWORD = `${SECRET_PREFIX}PASSWORD`

export function addLoginCommands(program: Command): void {
  program
    .command('login <url>')
    .description('Sign in to a server elsewhere; every command works on it then, until patchbay logout')
    .requiredOption('--email <address>', 'with which you sign in')
    .option('--password-file <file>', `a file with the password; else ${PASSWORD} is read, or it is asked for`)
    .action(action(login))

  program
    .command('logout')
    .description('Sign out of that server; commands work on the data folder again')
    .action(
      action(async ({ terminal, environment }) => {
        const signedIn = await readSignedIn(environment)
        await forgetSignedIn(environment)
        if (signedIn !== undefined) {
          const headers = { cookie: signedIn.cookie }
          // A server that is gone has no session left to end.
          await askOnce(signedIn.url, `${API_ROOT}/session`, { method: 'DELETE', headers }).catch(() => undefined)
        }
        terminal.answer({ url: signedIn?.url ?? null }, () =>
          signedIn === undefined ? 'Nobody was signed in' : `Signed out of ${signedIn.url}`,
        )
        return undefined
      }),
    )
}

async function login(run: Run, [given = '']: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, environment } = run
  const url = readUrl(given)
  const email = text(options, 'email') ?? ''
  const password = await readPassword(run, text(options, 'passwordFile'))
  const response = await askOnce(url, `${API_ROOT}/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  })
  const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>
  if (!response.ok) {
    const said = (name: string, otherwise: string): string => {
      const value = answer[name]
      return typeof value === 'string' ? value : otherwise
    }
    const detail = said('detail', `${url} answered ${response.status} and is no Patchbay`)
    throw new Problem('not-allowed', detail, { cure: said('cure', 'Check the address') })
  }
  const cookie = response.headers
    .getSetCookie()
    .map((one) => one.split(';', 1)[0])
    .join('; ')
  await writeSignedIn(environment, { url, cookie, email })
  terminal.answer({ url, name: answer['name'], role: answer['role'] }, () =>
    [
      `Signed in to ${url} as ${String(answer['name'])} (${String(answer['role'])})`,
      'Every command works on it now; end it with: patchbay logout',
    ].join('\n'),
  )
  return undefined
}

function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isLocal = url !== undefined && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
  // Over plain http anybody on the way reads the password.
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal)) return url.origin
  throw new Problem('invalid', 'This is not an address to which a password may be sent', {
    path: 'url',
    cure: 'Give it as https://patchbay.example.com; plain http only reaches this machine',
  })
}

async function readPassword({ terminal, environment }: Run, file: string | undefined): Promise<string> {
  if (file !== undefined) {
    return (await readFile(file, 'utf8').catch(unreadable('--password-file', file))).replace(/\r?\n$/, '')
  }
  return environment[PASSWORD] ?? terminal.askSecret('Password: ')
}
