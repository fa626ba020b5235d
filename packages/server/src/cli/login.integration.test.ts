/** Signing in from the command line: the commands work on a server elsewhere, as the person who signed in. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endOf, start, type, type Typed } from '../test-support/command.ts'
import { copyTemplate } from '../test-support/test-store.ts'

const PASSWORD = 'a quiet river in may'

let folder: string
let server: ChildProcess
let said: { url: string; ownerLink: string }
beforeAll(async () => {
  folder = await copyTemplate()
  mkdirSync(join(folder, 'data'))
  renameSync(join(folder, 'control'), join(folder, 'data', 'control'))
  mkdirSync(join(folder, 'away'))
  writeFileSync(join(folder, 'password'), `${PASSWORD}\n`)
  server = start(['serve', '--json'], { folder, environment: { PORT: '0' } })
  said = await new Promise((resolve, reject) => {
    let text = ''
    server.stdout?.on('data', (piece: Buffer) => {
      text += piece.toString('utf8')
      if (text.includes('}\n')) resolve(JSON.parse(text) as typeof said)
    })
    server.once('close', () => reject(new Error('The server did not start')))
  })
})
afterAll(async () => {
  const ended = endOf(server)
  server.kill('SIGTERM')
  await ended
  rmSync(folder, { recursive: true, force: true })
})

/** In another folder, as another person would. */
const away = (...args: string[]): Promise<Typed> =>
  type(args, { folder: join(folder, 'away'), environment: { XDG_CONFIG_HOME: join(folder, 'config') } })

test('the owner link of the first start, then login, the commands, logout', async () => {
  const token = new URL(said.ownerLink).hash.slice(1)
  const claimed = await fetch(`${said.url}/api/v1/owner`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, name: 'Olga', email: 'olga@example.org', password: PASSWORD }),
  })
  expect(claimed.status).toBe(201)

  writeFileSync(join(folder, 'wrong'), 'another password')
  const wrong = await away('login', said.url, '--email', 'olga@example.org', '--password-file', join(folder, 'wrong'))
  expect(wrong.code).not.toBe(0)
  expect(wrong.stderr).toContain('do not belong together')
  expect(wrong.stderr).not.toContain('another password')

  const login = await away(
    'login',
    said.url,
    '--email',
    'olga@example.org',
    '--password-file',
    join(folder, 'password'),
  )
  expect(login).toMatchObject({ code: 0, stdout: expect.stringContaining('Olga') as string })
  const kept = join(folder, 'config', 'patchbay', 'session.json')
  expect(statSync(kept).mode & 0o777).toBe(0o600)
  expect(readFileSync(kept, 'utf8')).not.toContain(PASSWORD)

  const users = await away('user', 'list', '--json')
  expect(JSON.parse(users.stdout)).toMatchObject({ items: [{ name: 'Olga', isOwner: true }] })
  const invited = await away('user', 'invite', 'cem@example.org', '--role', 'Contributor')
  expect(invited.stdout).toContain(`${said.url}/invitation#`)
  expect((await away('user', 'remove', 'olga@example.org')).stderr).toContain('owner')

  expect((await away('logout')).stdout).toContain('Signed out')
  const cookie = { cookie: 'patchbay.session_token=gone' }
  expect((await fetch(`${said.url}/api/v1/me`, { headers: cookie })).status).toBe(401)
  expect((await away('logout')).stdout).toContain('Nobody was signed in')
})

test('a password goes nowhere over plain http but to this machine', async () => {
  const refused = await away('login', 'http://patchbay.example.com', '--email', 'a@b.cd')
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('https://')
})
