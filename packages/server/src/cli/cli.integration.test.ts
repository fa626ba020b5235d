/** The command line as it is typed, over a running server and without one: the same answers, and exit codes that mean something. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endOf, start, type, type Typed } from '../test-support/command.ts'
import { copyTemplate } from '../test-support/test-store.ts'

const CUSTOMERS =
  'id,email,country,spend\n1,ana@example.com,Brazil,10\n2,leon@example.com,Germany,20\n3,fran@example.com,Brazil,30\n'

/** Without what a server does by itself meanwhile: it looks at connections, and writes down that rows were shown. */
function lasting(stdout: string): unknown {
  const value = JSON.parse(stdout, (key, part: unknown) => (key === 'checkedAt' ? undefined : part)) as object
  const items = 'items' in value && Array.isArray(value.items) ? (value.items as { action?: string }[]) : undefined
  return items === undefined ? value : { ...value, items: items.filter(({ action }) => action !== 'rows.shown') }
}

let folder: string
let server: ChildProcess | undefined
beforeAll(async () => {
  folder = await copyTemplate()
  // The template is a data folder; here it stands in ./data of the folder in which the commands are typed.
  mkdirSync(join(folder, 'data'))
  renameSync(join(folder, 'control'), join(folder, 'data', 'control'))
  writeFileSync(join(folder, 'customers.csv'), CUSTOMERS)
  writeFileSync(join(folder, 'rule.json'), '{"on": {"field": "country"}, "equals": "Brazil"}')
})
afterAll(async () => {
  await stopServer()
  rmSync(folder, { recursive: true, force: true })
})

const patchbay = (...args: string[]): Promise<Typed> => type(args, { folder })

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr, code } = await patchbay(...args, '--json')
  try {
    return JSON.parse(stdout) as Record<string, unknown>
  } catch (error) {
    throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`, { cause: error })
  }
}

async function startServer(): Promise<void> {
  const child = start(['serve', '--json'], { folder, environment: { PORT: '0' } })
  server = child
  await new Promise<void>((resolve, reject) => {
    let said = ''
    child.stdout?.on('data', (piece: Buffer) => {
      said += piece.toString('utf8')
      if (said.includes('}\n')) resolve()
    })
    child.once('close', () => reject(new Error('The server did not start')))
  })
}

async function stopServer(): Promise<void> {
  if (server === undefined) return
  const ended = endOf(server)
  server.kill('SIGTERM')
  server = undefined
  expect((await ended).code).toBe(0)
}

describe('without a server', () => {
  test('a table is imported, and says what it became', async () => {
    const { code, stdout } = await patchbay(
      'table',
      'import',
      'customers.csv',
      '--key',
      'id',
      '--profile',
      '--tag',
      'email=personal,identifier',
    )
    expect(code).toBe(0)
    expect(stdout).toContain('Imported 3 rows as version 1 of customers')
    expect(stdout).toMatch(/email +text +personal, identifier/)
  })

  test('a segment, a connection and an export, then a preview and a run', async () => {
    expect((await json('segment', 'add', 'Brazil', '--rule', 'rule.json'))['members']).toBe(2)
    const path = join(folder, 'data', 'files')
    const added = await patchbay('connection', 'add', 'Folder', '--connector', 'local-folder', '--set', `path=${path}`)
    expect(added).toMatchObject({ code: 0, stderr: expect.stringContaining('✓ may-write') as string })
    const target = await json(
      ...['export', 'add', 'Brazil out', '--connection', 'Folder', '--segment', 'Brazil', '--mode', 'mirror'],
      ...[
        '--field',
        'mail=email:trim,lowercase',
        '--field',
        'spend=spend',
        '--identifier',
        'mail',
        '--destination',
        'folder=out',
      ],
    )
    expect(target).toMatchObject({ name: 'Brazil out', mode: 'mirror', destination: { folder: 'out' } })
    const preview = await patchbay('export', 'preview', 'Brazil out')
    expect(preview.code).toBe(0)
    expect(preview.stdout).toContain('nothing was sent')
    expect(preview.stdout).toContain('ana@example.com')
    expect(existsSync(join(path, 'out'))).toBe(false)
    const run = await json('export', 'run', 'Brazil out')
    expect(run).toMatchObject({ status: 'successful', counts: { read: 2, added: 2, accepted: 2 } })
    expect(readdirSync(join(path, 'out'))).toContain('model.json')
  })

  test('a run that is held ends with 3, and its approval with 0', async () => {
    const rule = '{"on": {"field": "country"}, "equals": "Nowhere"}'
    const edited = await type(['segment', 'edit', 'Brazil', '--rule', '-'], { folder, stdin: rule })
    expect(edited.code).toBe(0)
    const held = await patchbay('export', 'run', 'Brazil out')
    expect(held).toMatchObject({ code: 3, stdout: expect.stringContaining('the source is empty') as string })
    const [, id = '', digest = ''] = /patchbay run approve (\S+) --digest (\S+)/.exec(held.stderr) ?? []
    expect((await patchbay('run', 'approve', id, '--digest', 'other')).code).toBe(2)
    const approved = await patchbay('run', 'approve', id, '--digest', digest)
    expect(approved).toMatchObject({ code: 0, stdout: expect.stringContaining('successful') as string })
    await type(['segment', 'edit', 'Brazil', '--rule', 'rule.json'], { folder })
  })

  test('a schedule is set, shown and turned off', async () => {
    const set = await json(
      'export',
      'schedule',
      'Brazil out',
      '--weekly',
      'mon,thu@06:30',
      '--time-zone',
      'Europe/Vienna',
    )
    expect(set['slots']).toHaveLength(5)
    const { stdout } = await patchbay('export', 'schedule', 'Brazil out', '--off')
    expect(stdout).toContain('every Monday, Thursday at 06:30 (Europe/Vienna), off')
  })

  test('two commands at once wait for each other', async () => {
    const both = await Promise.all([patchbay('table', 'list'), patchbay('segment', 'list')])
    expect(both.map(({ code }) => code)).toEqual([0, 0])
  })

  test('a backup is put back elsewhere, and nothing runs until that is confirmed', async () => {
    expect((await patchbay('backup', 'copy.pbk')).code).toBe(0)
    const sealed = readFileSync(join(folder, 'copy.pbk'), 'latin1')
    for (const word of ['ana@example.com', 'Brazil', 'manifest', 'Folder']) expect(sealed).not.toContain(word)
    expect((await patchbay('backup', 'copy.pbk')).code).toBe(2)
    const environment = {
      PATCHBAY_DATA: join(folder, 'restored'),
      PATCHBAY_KEY_FILE: join(folder, 'data', 'patchbay.key'),
      PATCHBAY_FILE_ROOTS: join(folder, 'data', 'files'),
    }
    const there = { folder, environment }
    expect((await type(['restore', 'copy.pbk'], there)).code).toBe(0)
    expect((await type(['restore', 'copy.pbk'], there)).code).toBe(2)
    expect((await type(['doctor'], there)).code).toBe(1)
    expect((await type(['export', 'run', 'Brazil out'], there)).code).toBe(5)
    expect((await type(['restore', '--confirm'], there)).code).toBe(0)
    expect((await type(['audit', 'verify'], there)).code).toBe(0)
    const preview = JSON.parse((await type(['export', 'preview', 'Brazil out', '--json'], there)).stdout) as object
    expect(preview).toMatchObject({ status: 'successful', counts: { read: 2, removed: 0 } })

    const damaged = Buffer.from(sealed, 'latin1')
    damaged[damaged.length - 100] = (damaged[damaged.length - 100] ?? 0) ^ 1
    writeFileSync(join(folder, 'damaged.pbk'), damaged)
    const elsewhere = { folder, environment: { ...environment, PATCHBAY_DATA: join(folder, 'elsewhere') } }
    const refused = await type(['restore', 'damaged.pbk'], elsewhere)
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('damaged') as string })
    expect((await type(['table', 'list', '--json'], elsewhere)).stdout).toContain('"items": []')
  })
})

describe('over a running server', () => {
  const LISTS = [
    ['table', 'list'],
    ['table', 'show', 'customers', '--rows', '2', '--field', 'spend'],
    ['segment', 'list'],
    ['segment', 'show', 'Brazil', '--members'],
    ['connector', 'list'],
    ['connector', 'show', 'sftp'],
    ['connection', 'list'],
    ['connection', 'show', 'Folder'],
    ['export', 'list'],
    ['export', 'show', 'Brazil out'],
    ['run', 'list'],
    // Looking at rows is written into the log as well, and these lists look.
    ['audit', 'list', '--action', 'table.'],
    ['key', 'list'],
  ]
  const direct = new Map<string, Typed>()
  beforeAll(async () => {
    for (const args of LISTS) direct.set(args.join(' '), await patchbay(...args, '--json'))
    await startServer()
  })

  test.each(LISTS)('the same answer: %s %s', async (...args) => {
    const typed = await patchbay(...args.filter((arg) => arg !== undefined), '--json')
    expect(typed.code).toBe(0)
    expect(lasting(typed.stdout)).toEqual(lasting(direct.get(args.join(' '))?.stdout ?? ''))
  })

  test('only the owner of the folder can reach it', () => {
    expect(statSync(join(folder, 'data', 'patchbay.sock')).mode & 0o777).toBe(0o600)
  })

  test('a run is left to the server, or waited for', async () => {
    const queued = await json('export', 'run', 'Brazil out', '--no-wait')
    expect(queued['status']).toBe('queued')
    await expect.poll(async () => (await json('run', 'show', String(queued['id'])))['status']).toBe('successful')
    expect(await json('export', 'run', 'Brazil out')).toMatchObject({ status: 'successful' })
  })

  test('several exports are run and scheduled; one is detached and attached', async () => {
    expect((await patchbay('export', 'run-many', 'Brazil out', 'No such')).code).toBe(1)
    const { items } = (await json('export', 'run-all')) as { items: unknown[] }
    expect(items).toEqual([])
    writeFileSync(
      join(folder, 'hourly.json'),
      '{"on": true, "timeZone": "UTC", "every": {"type": "hourly", "minute": 5}}',
    )
    const many = await json('export', 'schedule-many', 'Brazil out', '--file', join(folder, 'hourly.json'))
    expect(many).toMatchObject({ items: [{ schedule: { on: true }, problem: null }] })
    expect((await patchbay('export', 'schedule-many', 'Brazil out', '--turn', 'off')).code).toBe(0)
    const before = await json('export', 'show', 'Brazil out')
    expect(await json('export', 'detach', 'Brazil out')).toMatchObject({ connectionId: null })
    const back = await json('export', 'attach', 'Brazil out', String(before['connectionName']))
    expect(back).toMatchObject({ connectionId: before['connectionId'] })
    expect(await json('export', 'count', 'Brazil')).toMatchObject({ members: 2, of: 3 })
  })

  test('a run is followed, compared, and its rows are downloaded', async () => {
    const started = await json('export', 'run', 'Brazil out', '--no-wait')
    const { stdout, code } = await patchbay('run', 'events', String(started['id']))
    expect(code).toBe(0)
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; data: { status?: string; reason?: string } })
    expect(events.at(-1)).toMatchObject({ event: 'end', data: { reason: 'over' } })
    expect(events.at(-2)).toMatchObject({ event: 'run', data: { status: 'successful' } })
    expect(await json('run', 'compare', String(started['id']))).toMatchObject({ change: { read: 0 } })
    expect(await json('run', 'causes', String(started['id']))).toEqual({ items: [], isMore: false })
    const file = join(folder, 'rows.csv')
    expect((await patchbay('run', 'download', String(started['id']), file)).code).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe('source,key,change,reason,message,stands for\r\n')
    expect((await patchbay('run', 'download', String(started['id']), file)).code).toBe(2)
  })

  test('where a person is, is shown and in the log; erasing is asked for', async () => {
    const found = (await json('person', 'show', 'ana@example.com', '--by', 'email')) as { items: object[] }
    expect(found.items).toMatchObject([{ export: { name: 'Brazil out' }, key: '1', state: 'accepted' }])
    expect(await patchbay('person', 'erase', '1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--yes') as string,
    })
    expect((await patchbay('person', 'erase', '1', '--yes')).stdout).toContain('Erased')
    expect((await patchbay('person', 'unerase', '1')).code).toBe(0)
    const log = await patchbay('audit', 'export')
    expect(log.stdout).toContain('"person.looked-up"')
    expect(log.stdout).not.toContain('ana@example.com')
    const { items } = (await json('audit', 'list', '--action', 'person.')) as { items: unknown[] }
    expect(items).toHaveLength(3)
  })

  test('a key is shown once, on stdout alone', async () => {
    const { stdout, stderr } = await patchbay('key', 'add', 'Monitor', '--role', 'Viewer')
    expect(stdout).toMatch(/^pbk_[A-Za-z0-9_-]{43}\n$/)
    expect(stderr).not.toContain('pbk_')
    const { items } = (await json('key', 'list')) as { items: { id: string }[] }
    expect(JSON.stringify(items)).not.toContain(stdout.trim())
    expect((await patchbay('key', 'remove', items[0]?.id ?? '')).code).toBe(0)
  })

  test('a second server is refused', async () => {
    const second = await type(['serve'], { folder, environment: { PORT: '0' } })
    expect(second).toMatchObject({ code: 5, stderr: expect.stringContaining('what to do') as string })
  })

  test('doctor says what holds', async () => {
    const found = await json('doctor')
    expect(found).toMatchObject({ answeredBy: 'server', counts: { tables: 1 } })
    expect(JSON.stringify(found)).toContain('PATCHBAY_KEY_FILE')
  })

  // Each wrong thing: an exit code, the place, what to do; and nothing has changed.
  const WRONG: readonly (readonly [args: readonly string[], code: number, said: string])[] = [
    [['frobnicate'], 2, 'unknown command'],
    [['table'], 2, ''],
    [['table', 'import'], 2, 'missing required argument'],
    [['table', 'import', 'nothing.csv'], 2, 'nothing.csv'],
    [['table', 'import', 'empty'], 2, 'empty'],
    [['table', 'import', 'customers.csv', '--name', 'new'], 2, '--key'],
    [['table', 'import', 'customers.csv', '--name', 'new', '--key', 'no'], 2, 'no'],
    [['table', 'import', 'customers.csv', '--name', 'new', '--key', 'country'], 2, 'country'],
    [['table', 'import', 'customers.csv', '--name', 'a/b', '--key', 'id'], 2, 'name'],
    [['table', 'import', 'customers.csv', '--name', 'new', '--key', 'id', '--type', 'spend'], 2, '--type'],
    [['table', 'import', 'customers.csv', '--name', 'new', '--key', 'id', '--type', 'spend=money'], 2, 'types.spend'],
    [['table', 'import', 'customers.csv', '--name', 'new', '--key', 'id', '--tag', 'email=secret'], 2, 'tags.email'],
    [
      ['table', 'import', 'customers.csv', '--name', 'new', '--key', 'id', '--bad-lines-max', 'few'],
      2,
      '--bad-lines-max',
    ],
    [['table', 'import', 'customers.csv', '--name', 'new', '--key', 'id', '--delimiter', 'ab'], 2, 'read.delimiter'],
    [['table', 'import', 'customers.csv', '--name', 'new', '--key', 'id', '--encoding', 'klingon'], 2, 'klingon'],
    [['table', 'import', 'broken.csv', '--name', 'new', '--key', 'id'], 2, 'broken.csv, line 3'],
    [['table', 'show', 'nobody'], 2, 'nobody'],
    [['segment', 'add', 'New'], 2, '--rule'],
    [['segment', 'add', 'New', '--rule', 'nothing.json'], 2, '--rule'],
    [['segment', 'add', 'New', '--rule', 'broken.json'], 2, '--rule'],
    [['segment', 'add', 'New', '--rule', 'wrong.json'], 2, 'rule.on.field'],
    [['segment', 'add', 'Brazil', '--rule', 'rule.json'], 2, 'name'],
    [['segment', 'remove', 'Brazil'], 2, 'Brazil out'],
    [['connector', 'show', 'fax'], 2, 'fax'],
    [['connector', 'new', 'Bad Name'], 2, 'id'],
    [['connection', 'add', 'New', '--connector', 'fax'], 2, 'fax'],
    [['connection', 'add', 'New', '--connector', 'local-folder', '--set', 'path'], 2, '--set'],
    [
      ['connection', 'add', 'New', '--connector', 'local-folder', '--set', 'path=/', '--set', 'pth=x'],
      2,
      'settings.pth',
    ],
    [['connection', 'add', 'New', '--connector', 'local-folder', '--set', 'path=/etc'], 1, 'PATCHBAY_FILE_ROOTS'],
    [
      [
        'connection',
        'add',
        'New',
        '--connector',
        'webhook',
        '--set',
        'url=https://x.example',
        '--set',
        'signingSecret=x',
      ],
      2,
      '--secret-file',
    ],
    [
      ['connection', 'add', 'New', '--connector', 'webhook', '--set', 'url=https://x.example'],
      2,
      'PATCHBAY_SECRET_SIGNING_SECRET',
    ],
    [
      [
        'connection',
        'add',
        'New',
        '--connector',
        'webhook',
        '--set',
        'url=ftp://x',
        '--secret-file',
        'signingSecret=rule.json',
      ],
      2,
      'settings.url',
    ],
    [['connection', 'add', 'New', '--connector', 'webhook', '--secret-file', 'other=rule.json'], 2, '--secret-file'],
    [['connection', 'add', 'New', '--connector', 'sftp', '--set', 'port=many'], 2, '--set port'],
    [['connection', 'remove', 'Folder'], 2, '--yes'],
    [['export', 'add', 'New'], 2, ''],
    [['export', 'add', 'New', '--connection', 'Folder', '--mode', 'sometimes', '--table', 'customers'], 2, '--mode'],
    [['export', 'add', 'New', '--connection', 'Nothing', '--mode', 'mirror', '--table', 'customers'], 2, 'Nothing'],
    [
      ['export', 'add', 'New', '--connection', 'Folder', '--mode', 'mirror', '--table', 'cust'],
      2,
      'source.tables[0].table',
    ],
    [['export', 'add', 'New', '--connection', 'Folder', '--mode', 'mirror', '--segment', 'Brazil'], 2, '--field'],
    [
      [
        'export',
        'add',
        'New',
        '--connection',
        'Folder',
        '--mode',
        'mirror',
        '--segment',
        'Brazil',
        '--field',
        'm=mail',
        '--identifier',
        'm',
      ],
      2,
      'source.fields[0].from',
    ],
    [
      [
        'export',
        'add',
        'New',
        '--connection',
        'Folder',
        '--mode',
        'mirror',
        '--segment',
        'Brazil',
        '--field',
        'm=email',
        '--identifier',
        'x',
      ],
      2,
      '--identifier',
    ],
    [['export', 'add', 'New', '--file', 'rule.json'], 2, 'on'],
    [['export', 'schedule', 'Brazil out', '--daily', '25:00'], 2, 'schedule.every'],
    [['export', 'schedule', 'Brazil out', '--daily', '06:00', '--hourly', '5'], 2, 'two ways'],
    [['export', 'run', 'Nobody'], 2, 'Nobody'],
    [['export', 'remove', 'Brazil out'], 2, '--yes'],
    [['run', 'show', 'run_x'], 2, 'path.run'],
    [['run', 'list', '--status', 'merry'], 2, '--status'],
    [['key', 'add', 'New', '--role', 'King'], 2, '--role'],
    [['restore'], 2, 'file'],
  ]
  beforeAll(() => {
    mkdirSync(join(folder, 'empty'))
    writeFileSync(join(folder, 'broken.csv'), 'id,name\n1,a\n2,b,c\n')
    writeFileSync(join(folder, 'broken.json'), '{"on":\n {"field": }')
    writeFileSync(join(folder, 'wrong.json'), '{"on": {"field": "contry"}, "equals": "x"}')
  })

  describe('wrong things', () => {
    let before: unknown
    beforeAll(async () => {
      before = await json('audit', 'verify')
    })

    test.each(WRONG)('patchbay %j', async (args, code, said) => {
      const { code: exitCode, stdout, stderr } = await patchbay(...args, '--json')
      expect([exitCode, code === 1 ? stdout : stderr]).toEqual([code, expect.stringContaining(said) as string])
      if (code !== 2) return
      const { error } = JSON.parse(stderr) as { error: Record<string, string> }
      expect(Object.keys(error)).toEqual(['code', 'path', 'detail', 'cure'])
      expect(error['cure']).not.toBe('')
      expect(stdout).toBe('')
    })

    test('and nothing has changed', async () => {
      expect(await json('audit', 'verify')).toEqual(before)
    })

    test('a person is told in words: what, where, what to do', async () => {
      const { code, stdout, stderr } = await patchbay('segment', 'add', 'New', '--rule', 'wrong.json')
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toBe(
        'Error: "customers" has no field "contry"\n  where:      rule.on.field\n  what to do: Did you mean "country"?\n',
      )
    })
  })

  test('when it stops, its socket is gone, and commands go on without it', async () => {
    await stopServer()
    expect(existsSync(join(folder, 'data', 'patchbay.sock'))).toBe(false)
    expect((await patchbay('table', 'list')).code).toBe(0)
  })

  test('a server that was killed leaves a socket that is in nobody’s way', async () => {
    await startServer()
    const ended = server === undefined ? undefined : endOf(server)
    server?.kill('SIGKILL')
    server = undefined
    await ended
    expect(existsSync(join(folder, 'data', 'patchbay.sock'))).toBe(true)
    expect((await patchbay('table', 'list')).code).toBe(0)
    await startServer()
    await stopServer()
  })
})

test('help names every command and every exit code', async () => {
  const { code, stdout } = await patchbay('--help')
  expect(code).toBe(0)
  for (const word of [
    'serve',
    'worker',
    'demo',
    'table',
    'segment',
    'connector',
    'connection',
    'export',
    'run',
    'key',
    'audit',
    'backup',
    'restore',
    'doctor',
    '70  a bug',
  ])
    expect(stdout).toContain(word)
})

test.each([
  [{ PATCHBAY_DTA: 'x' }, 'PATCHBAY_DATA'],
  [{ PORT: 'http' }, 'PORT'],
  [{ PATCHBAY_ALLOW_HOSTS: 'not a host!' }, 'PATCHBAY_ALLOW_HOSTS'],
  [{ PATCHBAY_FILE_ROOTS: '/nowhere/at/all' }, 'PATCHBAY_FILE_ROOTS'],
  [{ PATCHBAY_URL: 'http://127.0.0.1:1' }, 'PATCHBAY_API_KEY_FILE'],
])('the setting %j is refused by its name', async (environment, name) => {
  const typed = await type(['table', 'list'], { folder, environment })
  expect([typed.code, typed.stderr]).toEqual([2, expect.stringContaining(name) as string])
})

test('a server elsewhere that does not answer is said to be that', async () => {
  const environment = { PATCHBAY_URL: 'http://127.0.0.1:1', PATCHBAY_API_KEY: 'pbk_x' }
  const typed = await type(['table', 'list'], { folder, environment })
  expect(typed).toMatchObject({ code: 5, stderr: expect.stringContaining('cannot be reached') as string })
})
