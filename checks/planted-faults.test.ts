/** Each checker is given a tree with faults, and must find each one: a checker that sees nothing also says nothing. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { readBoundaries } from './boundaries.ts'

const ROOT = join(import.meta.dirname, '..')
const COPIED = [
  'tsconfig.base.json',
  'tsconfig.json',
  '.oxlintrc.json',
  '.prettierrc.json',
  '.prettierignore',
  'knip.json',
]
const PACKAGES = ['sdk', 'contract', 'connectors', 'server'].map((name) => `packages/${name}/package.json`)
const SERVER = 'packages/server/src'

const planted: string[] = []
afterEach(() => {
  for (const folder of planted.splice(0)) rmSync(folder, { recursive: true })
})

/** A tree with this repository's settings and packages, and none of its code but the given files. */
function plant(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-planted-'))
  planted.push(folder)
  for (const name of ['package.json', ...COPIED, ...PACKAGES]) cpSync(join(ROOT, name), join(folder, name))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), `${text}\n`)
  }
  return folder
}

function run(folder: string, program: string, ...args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'node_modules/.bin', program), args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}`, NO_COLOR: '1' },
  })
  return { status, output: `${stdout}${stderr}` }
}

describe('types', () => {
  const tsc = (folder: string) => run(folder, 'tsc', '--noEmit', '-p', 'tsconfig.json')
  const WRONG = "export const one: number = '1'"

  test('every planted fault is found, in every folder', () => {
    const faults: readonly (readonly [file: string, text: string, code: string])[] = [
      [`${SERVER}/domain/element.ts`, 'export const first = (all: readonly string[]): string => all[0]', 'TS2322'],
      [`${SERVER}/domain/optional.ts`, 'export const a: { readonly b?: string } = { b: undefined }', 'TS2375'],
      [`${SERVER}/domain/enum.ts`, 'export enum Colour {\n  Red,\n}', 'TS1294'],
      [`${SERVER}/domain/type.ts`, "import { StatOptions } from 'node:fs'\nexport type S = StatOptions", 'TS1484'],
      [`${SERVER}/domain/unused.ts`, 'const unused = 1\nexport {}', 'TS6133'],
      [`${SERVER}/domain/index-signature.ts`, 'export const f = (a: Record<string, string>) => a.b', 'TS4111'],
      [`${SERVER}/domain/browser.ts`, 'export const title = document.title', 'TS2584'],
      ...['bench', 'checks', 'e2e', 'packages/sdk/src', 'packages/connectors/test-servers', 'proof', 'scripts'].map(
        (folder) => [`${folder}/wrong.ts`, WRONG, 'TS2322'] as const,
      ),
    ]
    const sound = [`${SERVER}/domain/sound.ts`, 'export const one: number = 1'] as const
    const { status, output } = tsc(plant(Object.fromEntries([...faults, sound])))
    expect(status).not.toBe(0)
    const missed = faults.filter(([file, , code]) => !output.split(file)[1]?.includes(`error ${code}`))
    expect(missed).toEqual([])
    expect(output).not.toContain('sound.ts')
  })

  test('sound code passes', () => {
    const folder = plant({ [`${SERVER}/domain/sound.ts`]: 'export const one: number = 1' })
    expect(tsc(folder)).toEqual({ status: 0, output: '' })
  })
})

describe('lint', () => {
  /** Rules broken in each file. */
  function lint(files: Readonly<Record<string, string>>): Record<string, readonly string[]> {
    const folder = plant(files)
    for (const name of readdirSync(import.meta.dirname))
      if (!name.endsWith('.test.ts')) cpSync(join(import.meta.dirname, name), join(folder, 'checks', name))
    const { status, output } = run(folder, 'oxlint', '--format', 'json')
    const { diagnostics } = JSON.parse(output) as { diagnostics: { code: string; filename: string }[] }
    expect(status).toBe(diagnostics.length === 0 ? 0 : 1)
    const byFile = Object.groupBy(diagnostics, ({ filename }) => filename)
    return Object.fromEntries(
      Object.entries(byFile).map(([file, found = []]) => [
        file,
        [...new Set(found.map(({ code }) => code))].toSorted(),
      ]),
    )
  }

  const WAIT = 'const wait = async (): Promise<void> => {}\n'
  const ANY_SOCKET = "import { connect } from 'node:net'\nexport const socket = connect(1)"
  const FETCH = "export const answer = fetch('https://example.com')"
  const PG = "import { Client } from 'pg'\nexport const client = new Client()"

  test('every planted fault is found', () => {
    const faults: readonly (readonly [file: string, text: string, rule: string])[] = [
      [`${SERVER}/jobs/floating.ts`, `${WAIT}wait()`, 'typescript(no-floating-promises)'],
      [`${SERVER}/jobs/misused.ts`, `${WAIT}export const all = [1].filter(wait)`, 'typescript(no-misused-promises)'],
      [`${SERVER}/jobs/thenable.ts`, 'export const one = await 1', 'typescript(await-thenable)'],
      [`${SERVER}/jobs/text-thrown.ts`, "throw 'text'", 'typescript(only-throw-error)'],
      [
        `${SERVER}/jobs/case.ts`,
        "export function f(a: 'b' | 'c'): number {\n  switch (a) {\n    case 'b':\n      return 1\n  }\n  return 2\n}",
        'typescript(switch-exhaustiveness-check)',
      ],
      [`${SERVER}/jobs/any.ts`, 'export const one: any = 1', 'typescript(no-explicit-any)'],
      [
        `${SERVER}/jobs/non-null.ts`,
        'export const f = (a?: string): string => a!',
        'typescript(no-non-null-assertion)',
      ],
      [`${SERVER}/jobs/ignored.ts`, "// @ts-ignore\nexport const one: number = '1'", 'typescript(ban-ts-comment)'],
      [
        `${SERVER}/jobs/type.ts`,
        "import { Stats } from 'node:fs'\nexport type S = Stats",
        'typescript(consistent-type-imports)',
      ],
      [`${SERVER}/jobs/default.ts`, 'export default 1', 'import(no-default-export)'],
      [
        `${SERVER}/jobs/cycle-a.ts`,
        "import { b } from './cycle-b.ts'\nexport const a = (): unknown => b",
        'import(no-cycle)',
      ],
      [
        `${SERVER}/jobs/cycle-b.ts`,
        "import { a } from './cycle-a.ts'\nexport const b = (): unknown => a",
        'import(no-cycle)',
      ],
      [`${SERVER}/jobs/types-a.ts`, "import type { B } from './types-b.ts'\nexport type A = B | 1", 'import(no-cycle)'],
      [`${SERVER}/jobs/types-b.ts`, "import type { A } from './types-a.ts'\nexport type B = A | 2", 'import(no-cycle)'],
      [`${SERVER}/jobs/long.ts`, 'export {}\n'.repeat(400), 'eslint(max-lines)'],
      [`${SERVER}/jobs/long.test.ts`, 'export {}\n'.repeat(600), 'eslint(max-lines)'],
      [`${SERVER}/jobs/camelCase.ts`, 'export const one = 1', 'unicorn(filename-case)'],
      [`${SERVER}/jobs/helpers.ts`, 'export const one = 1', 'patchbay(no-banned-name)'],
      [`${SERVER}/jobs/utils/one.ts`, 'export const one = 1', 'patchbay(no-banned-name)'],
      [`${SERVER}/jobs/eval.ts`, "export const one: unknown = eval('1')", 'eslint(no-eval)'],
      [`${SERVER}/jobs/function.ts`, "export const one = new Function('return 1')", 'eslint(no-new-func)'],
      [
        `${SERVER}/jobs/vm.ts`,
        "import { runInNewContext } from 'node:vm'\nexport const r = runInNewContext",
        'eslint(no-restricted-imports)',
      ],
      [
        `${SERVER}/connector-host/vm.ts`,
        "import { runInNewContext } from 'node:vm'\nexport const r = runInNewContext",
        'eslint(no-restricted-imports)',
      ],
      [`${SERVER}/jobs/console.ts`, "console.log('')", 'eslint(no-console)'],
      [`${SERVER}/jobs/socket.ts`, ANY_SOCKET, 'eslint(no-restricted-imports)'],
      [`${SERVER}/jobs/socket-later.ts`, "export const tls = import('node:tls')", 'eslint(no-restricted-imports)'],
      [`${SERVER}/cli/socket.ts`, ANY_SOCKET, 'eslint(no-restricted-imports)'],
      [
        `${SERVER}/http/socket.ts`,
        "import { request } from 'undici'\nexport const r = request",
        'eslint(no-restricted-imports)',
      ],
      [
        `${SERVER}/vault/socket.ts`,
        "import { Client } from 'ssh2'\nexport const c = Client",
        'eslint(no-restricted-imports)',
      ],
      ['packages/connectors/src/one/socket.ts', ANY_SOCKET, 'eslint(no-restricted-imports)'],
      ['packages/connectors/src/one/fetch.ts', FETCH, 'eslint(no-restricted-globals)'],
      [`${SERVER}/jobs/pg.ts`, PG, 'eslint(no-restricted-imports)'],
      [`${SERVER}/jobs/fetch.ts`, FETCH, 'eslint(no-restricted-globals)'],
      [`${SERVER}/jobs/global-fetch.ts`, FETCH.replace('fetch', 'globalThis.fetch'), 'eslint(no-restricted-globals)'],
      [
        `${SERVER}/jobs/builtin.ts`,
        "export const net = process.getBuiltinModule('node:net')",
        'eslint(no-restricted-properties)',
      ],
      [`${SERVER}/jobs/env.ts`, "export const home = process.env['HOME']", 'eslint(no-restricted-properties)'],
      [`${SERVER}/jobs/env-taken.ts`, 'export const { env } = process', 'eslint(no-restricted-properties)'],
      [`${SERVER}/cli/env.ts`, "export const home = process.env['HOME']", 'eslint(no-restricted-properties)'],
      [`${SERVER}/domain/now.ts`, 'export const now = Date.now()', 'patchbay(no-ambient)'],
      [`${SERVER}/domain/date.ts`, 'export const now = new Date()', 'patchbay(no-ambient)'],
      [`${SERVER}/engine/dice.ts`, 'export const dice = Math.random()', 'patchbay(no-ambient)'],
      [
        `${SERVER}/engine/id.ts`,
        "import { randomUUID } from 'node:crypto'\nexport const id = randomUUID",
        'patchbay(no-ambient)',
      ],
      [
        `${SERVER}/domain/file.ts`,
        "import { readFileSync } from 'node:fs'\nexport const r = readFileSync",
        'eslint(no-restricted-imports)',
      ],
      [
        `${SERVER}/http/run.ts`,
        "import { one } from '../engine/fine.ts'\nexport const two = one",
        'patchbay(may-import)',
      ],
    ]
    const found = lint({
      ...Object.fromEntries(faults.map(([file, text]) => [file, text])),
      [`${SERVER}/engine/fine.ts`]: 'export const one = 1',
    })
    const missed = faults.filter(([file, , rule]) => found[file]?.includes(rule) !== true)
    expect(missed).toEqual([])
    expect(Object.keys(found).toSorted()).toEqual(faults.map(([file]) => file).toSorted())
  })

  test('what is allowed in its place passes', () => {
    expect(
      lint({
        [`${SERVER}/connector-host/egress.ts`]: `${ANY_SOCKET}\n${FETCH}`,
        [`${SERVER}/http/serve.ts`]: "import { createServer } from 'node:http'\nexport const server = createServer()",
        [`${SERVER}/cli/client.ts`]: "import { request } from 'node:http'\nexport const r = request\nconsole.log('')",
        [`${SERVER}/cli/demo.ts`]: ANY_SOCKET,
        [`${SERVER}/settings.ts`]: "export const home = process.env['HOME']",
        [`${SERVER}/store/postgresql.ts`]: PG,
        [`${SERVER}/jobs/clock.ts`]: 'export const now = new Date()',
        [`${SERVER}/domain/at.ts`]: 'export const at = new Date(0)',
        [`${SERVER}/jobs/fetch.test.ts`]: `${ANY_SOCKET}\n${FETCH}`,
        'packages/connectors/src/one/driver.ts': PG,
        'packages/connectors/src/one/type.ts': "import type { Socket } from 'node:net'\nexport type S = Socket",
        'bench/run.ts': `${FETCH}\nconsole.log(process.env['HOME'])`,
      }),
    ).toEqual({})
  })
})

test('format', () => {
  const folder = plant({ 'bench/badly.ts': 'export const one = "1" ;', 'bench/well.ts': "export const one = '1'" })
  const { status, output } = run(folder, 'prettier', '--check', 'bench')
  expect(status).toBe(1)
  expect(output).toContain('bench/badly.ts')
  expect(output).not.toContain('bench/well.ts')
})

test('unused code', () => {
  const { status, output } = run(
    plant({
      'bench/run.ts': "import { used } from './used.ts'\nused()",
      'bench/used.ts': 'export const used = (): void => {}\nexport const unused = 1',
      'checks/forgotten.ts': 'export {}',
    }),
    'knip',
    ...['--workspace', '.', '--include', 'files,exports', '--reporter', 'compact'],
  )
  expect(status).toBe(1)
  expect(output).toMatch(/bench\/used\.ts: unused/)
  expect(output).toMatch(/checks\/forgotten\.ts/)
})

describe('boundaries', () => {
  const one = 'export const one = 1'
  const importing = (module: string): string => `import { one } from '${module}'\nexport const two = one`
  const SOUND = {
    'packages/sdk/src/index.ts': one,
    'packages/sdk/src/testing/index.ts': importing('../index.ts'),
    'packages/contract/src/index.ts': one,
    'packages/connectors/src/index.ts': importing('./mail/index.ts'),
    'packages/connectors/src/mail/index.ts': importing('@patchbay/connector-sdk'),
    'packages/connectors/src/mail/index.test.ts': importing('@patchbay/connector-sdk/testing'),
    'packages/connectors/src/mail/README.md': '',
    'packages/connectors/src/mail/icon.svg': '',
    [`${SERVER}/domain/one.ts`]: one,
    [`${SERVER}/engine/one.ts`]: importing('../domain/one.ts'),
    [`${SERVER}/engine/one.test.ts`]: importing('../../../../checks/requirement.ts'),
    [`${SERVER}/store/one.ts`]: importing('../domain/one.ts'),
    [`${SERVER}/vault/one.ts`]: one,
    [`${SERVER}/connector-host/one.ts`]: "import type { one } from '../vault/one.ts'\nexport type One = typeof one",
    [`${SERVER}/jobs/one.ts`]: importing('../engine/one.ts'),
    [`${SERVER}/http/one.ts`]: importing('../jobs/one.ts'),
    [`${SERVER}/settings.ts`]: one,
    [`${SERVER}/cli/patchbay.ts`]: importing('../main.ts'),
    'packages/server/bin/patchbay.mjs': "await import('../src/cli/patchbay.ts')",
    [`${SERVER}/main.ts`]:
      "export * from './settings.ts'\nexport * from './http/one.ts'\nexport * from '@patchbay/connectors'",
    'checks/requirement.ts': one,
    'bench/run.ts': importing('../packages/server/src/engine/one.ts'),
  }
  const problemsOf = (files: Readonly<Record<string, string>>): readonly string[] =>
    readBoundaries(plant({ ...SOUND, ...files })).problems

  test('a sound tree passes, and is seen whole', () => {
    const { files, problems } = readBoundaries(plant(SOUND))
    expect(problems).toEqual([])
    expect(files.toSorted()).toEqual(
      Object.keys(SOUND)
        .filter((name) => /\.(?:ts|mjs)$/.test(name))
        .toSorted(),
    )
  })

  test.each([
    ['an area out of reach', `${SERVER}/http/x.ts`, importing('../engine/one.ts'), 'http may not import engine'],
    [
      'a type out of reach',
      `${SERVER}/http/x.ts`,
      "export type X = import('../engine/one.ts').X",
      'http may not import engine',
    ],
    ['passing on', `${SERVER}/engine/x.ts`, "export * from '../store/one.ts'", 'engine may not import store'],
    [
      'importing later',
      `${SERVER}/engine/x.ts`,
      "export const x = import('../store/one.ts')",
      'engine may not import store',
    ],
    ['importing what is computed', `${SERVER}/engine/x.ts`, 'export const x = (a: string) => import(a)', 'plain text'],
    [
      'a value where types are allowed',
      `${SERVER}/connector-host/x.ts`,
      importing('../vault/one.ts'),
      'types only of vault',
    ],
    ['siblings', `${SERVER}/store/x.ts`, importing('../vault/one.ts'), 'store may not import vault'],
    [
      'the product from the SDK',
      'packages/sdk/src/x.ts',
      importing('@patchbay/contract'),
      'sdk may not import contract',
    ],
    [
      'another connector',
      'packages/connectors/src/mail/x.ts',
      importing('../ftp/index.ts'),
      'connector mail may not import connector ftp',
    ],
    ['another package by a path', `${SERVER}/engine/x.ts`, importing('../../../sdk/src/index.ts'), 'by its name'],
    ['the inside of a package', `${SERVER}/engine/x.ts`, importing('@patchbay/connector-sdk/rows'), 'is not exported'],
    [
      'a package that is not declared',
      `${SERVER}/engine/x.ts`,
      importing('left-pad'),
      'left-pad is not among the dependencies',
    ],
    [
      'test code in the product',
      `${SERVER}/engine/x.ts`,
      importing('@patchbay/connector-sdk/testing'),
      'only tests may import',
    ],
    [
      'code around the product',
      `${SERVER}/engine/x.ts`,
      importing('../../../../checks/requirement.ts'),
      'does not import',
    ],
    ['a file outside all areas', `${SERVER}/x.ts`, one, 'in no area'],
    ['a cycle', `${SERVER}/domain/one.ts`, "import type { one } from './two.ts'\nexport type X = one", 'cycle: '],
    ['a name that says nothing', `${SERVER}/engine/row-utils.ts`, one, '"row-utils.ts" does not say what is in it'],
    [
      'an incomplete connector',
      'packages/connectors/src/ftp/index.ts',
      one,
      'packages/connectors/src/ftp has no icon.svg',
    ],
    ['a connector left out', 'packages/connectors/src/ftp/index.ts', one, 'is not in packages/connectors/src/index.ts'],
    [
      'a package out of reach',
      'packages/sdk/package.json',
      '{ "name": "@patchbay/connector-sdk", "dependencies": { "patchbay": "0.1.0" } }',
      'may not depend on patchbay',
    ],
  ])('%s', (_name, file, text, problem) => {
    const two = "import type { X } from './one.ts'\nexport type one = X"
    const problems = problemsOf({
      [file]: text,
      ...(problem === 'cycle: ' ? { [`${SERVER}/domain/two.ts`]: two } : {}),
    })
    expect(problems.filter((text) => text.includes(problem))).not.toEqual([])
  })
})
