/**
 * Who may import whom, as data, and the one function that judges an import by it. The lint rule `patchbay/may-import`
 * shows the verdict while one types; `boundaries.test.ts` gives it for the whole tree.
 */
import { isBuiltin } from 'node:module'
import { dirname, join } from 'node:path/posix'

interface Row {
  /** The folder (or the one file) that is this area, from the top of the repository. */
  readonly at: string
  /** Areas in reach as values and types. */
  readonly imports?: readonly Area[]
  /** Areas in reach with `import type` only. */
  readonly importsTypes?: readonly Area[]
}

export type Area =
  | 'sdk'
  | 'sdk/testing'
  | 'contract'
  | 'connector'
  | 'connectors'
  | 'domain'
  | 'engine'
  | 'lake'
  | 'store'
  | 'vault'
  | 'connector-host'
  | 'jobs'
  | 'access'
  | 'http'
  | 'settings'
  | 'cli'
  | 'main'
  | 'main-parts'
  | 'bin'
  | 'test-servers'
  | 'test-support'
  | 'web'

const SERVER: readonly Area[] = [
  'domain',
  'engine',
  'lake',
  'store',
  'vault',
  'connector-host',
  'jobs',
  'access',
  'http',
  'settings',
  'cli',
  'main',
  'main-parts',
]

/** An area always reaches itself, and an area of one file has its test beside it; what a row does not name is out of reach. Every connector is an area of its own. */
export const IMPORT_TABLE: Readonly<Record<Area, Row>> = {
  sdk: { at: 'packages/sdk/src' },
  'sdk/testing': { at: 'packages/sdk/src/testing', imports: ['sdk'] },
  contract: { at: 'packages/contract/src', importsTypes: ['sdk'] },
  connector: { at: 'packages/connectors/src/*', imports: ['sdk'] },
  connectors: { at: 'packages/connectors/src', imports: ['connector', 'sdk'] },
  domain: { at: 'packages/server/src/domain', importsTypes: ['sdk', 'contract'] },
  engine: { at: 'packages/server/src/engine', imports: ['domain', 'sdk'] },
  lake: { at: 'packages/server/src/lake', imports: ['domain', 'sdk'] },
  store: { at: 'packages/server/src/store', imports: ['domain'] },
  vault: { at: 'packages/server/src/vault', imports: ['domain'] },
  'connector-host': {
    at: 'packages/server/src/connector-host',
    imports: ['domain', 'sdk', 'contract'],
    importsTypes: ['vault'],
  },
  jobs: { at: 'packages/server/src/jobs', imports: ['engine', 'domain', 'store'] },
  access: { at: 'packages/server/src/access', imports: ['domain', 'store', 'contract'] },
  http: {
    at: 'packages/server/src/http',
    // Never the engine: a request enqueues, it does not run.
    imports: ['contract', 'domain', 'access', 'store', 'jobs', 'connector-host'],
  },
  settings: { at: 'packages/server/src/settings.ts' },
  cli: { at: 'packages/server/src/cli', imports: [...SERVER, 'connectors', 'contract', 'sdk'] },
  // What main.ts puts together, where an adapter between two parts is more than a line.
  'main-parts': { at: 'packages/server/src/main', imports: [...SERVER, 'connectors', 'contract', 'sdk'] },
  main: { at: 'packages/server/src/main.ts', imports: [...SERVER, 'connectors', 'contract', 'sdk'] },
  bin: { at: 'packages/server/bin', imports: ['cli'] },
  // What several tests start or build; nothing but tests may import it.
  'test-servers': { at: 'packages/connectors/test-servers', imports: ['sdk'] },
  'test-support': { at: 'packages/server/src/test-support', imports: [...SERVER, 'connectors', 'contract', 'sdk'] },
  web: { at: 'packages/web', imports: ['contract'], importsTypes: ['sdk'] },
}

/** Code around the product, which may import all of it. The product imports none of it, but its tests ask `requirement()`. */
const AROUND = /^(?:bench|checks|e2e|proof|scripts)\/|^[^/]+$/
const OPEN_TO_TESTS = 'checks/requirement.ts'

export interface Workspace {
  readonly name: string
  /** From the top of the repository, as `packages/sdk`. */
  readonly folder: string
  /** Subpath, as `.` or `./testing`, to the file below `folder`. */
  readonly exports: Readonly<Record<string, string>>
  readonly dependencies: readonly string[]
  readonly devDependencies: readonly string[]
}

export interface FoundImport {
  /** Undefined where it is computed, as in `import(name)`. */
  readonly specifier: string | undefined
  readonly isTypeOnly: boolean
}

/** Tests, fakes and what else only tests import. */
function isTestFile(file: string): boolean {
  return /\.test\.tsx?$|(?:^|\/)fake-[^/]+\.ts$|[./-](?:fake|test-support|testing)\.ts$|\/(?:test-servers|test-support|testing)\//.test(
    file,
  )
}

export function areaOf(file: string): Area | undefined {
  let best: Area | undefined
  for (const [area, { at }] of Object.entries(IMPORT_TABLE) as [Area, Row][]) {
    const isInside = file === at || file === at.replace(/\.ts$/, '.test.ts') || file.startsWith(`${at}/`)
    const isHit = area === 'connector' ? connectorOf(file) !== undefined : isInside
    if (isHit && (best === undefined || at.length > IMPORT_TABLE[best].at.length)) best = area
  }
  return best
}

/** The connector whose folder holds the file. */
export function connectorOf(file: string): string | undefined {
  return /^packages\/connectors\/src\/([^/]+)\/./.exec(file)?.[1]
}

/** The file that an import means, from the top of the repository; undefined for what comes from outside it. */
export function targetOf(from: string, specifier: string, workspaces: readonly Workspace[]): string | undefined {
  if (specifier.startsWith('.')) return join(dirname(from), specifier)
  const workspace = workspaces.find(({ name }) => specifier === name || specifier.startsWith(`${name}/`))
  if (workspace === undefined) return undefined
  const subpath = `.${specifier.slice(workspace.name.length)}`
  return join(workspace.folder, workspace.exports[subpath] ?? `not exported: ${subpath}`)
}

/** Says what is wrong with one import, or undefined. */
export function judgeImport(from: string, found: FoundImport, workspaces: readonly Workspace[]): string | undefined {
  if (AROUND.test(from)) return undefined
  const area = areaOf(from)
  if (area === undefined) return 'this file is in no area of checks/import-table.ts'
  const { specifier } = found
  if (specifier === undefined) return 'an import must name its module as plain text, or nothing can judge it'
  const home = workspaces.find(({ folder }) => from.startsWith(`${folder}/`))
  const target = targetOf(from, specifier, workspaces)
  return target === undefined ? judgeOutside(from, specifier, home) : judgeInside(from, area, found, target, home)
}

function judgeInside(
  from: string,
  area: Area,
  { specifier, isTypeOnly }: FoundImport,
  target: string,
  home: Workspace | undefined,
): string | undefined {
  const isTest = isTestFile(from)
  if (isTest && (target === OPEN_TO_TESTS || areaOf(target) === 'test-servers')) return undefined
  if (AROUND.test(target) || target.startsWith('../')) return `the product does not import ${target}`
  if (target.includes('not exported: ')) return `${specifier} is not exported by its package`
  if (home !== undefined && specifier?.startsWith('.') && !target.startsWith(`${home.folder}/`))
    return 'another package is imported by its name, not by a path'
  const to = areaOf(target)
  if (to === undefined) return `${target} is in no area of checks/import-table.ts`
  if (isTestFile(target) && !isTest) return `only tests may import ${target}`
  if (to === area && connectorOf(from) === connectorOf(target)) return undefined

  const { imports = [], importsTypes = [] } = IMPORT_TABLE[area]
  if (to !== area && imports.includes(to)) return undefined
  if (isTest && to === 'test-support') return undefined
  if (isTest && to === 'sdk/testing' && (area === 'sdk' || imports.includes('sdk'))) return undefined
  if (importsTypes.includes(to))
    return isTypeOnly ? undefined : `${area} may import types only of ${to}: write import type`
  return `${named(area, from)} may not import ${named(to, target)}`
}

function named(area: Area, file: string): string {
  return area === 'connector' ? `connector ${connectorOf(file)}` : area
}

function judgeOutside(from: string, specifier: string, home: Workspace | undefined): string | undefined {
  if (isBuiltin(specifier)) return undefined
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  if (home?.dependencies.includes(name) === true) return undefined
  if (isTestFile(from) && home?.devDependencies.includes(name) === true) return undefined
  return `${name} is not among the dependencies in ${home?.folder}/package.json`
}

const BANNED = new Set(['shared', 'common', 'lib', 'libs', 'util', 'utils', 'helper', 'helpers', 'core', 'misc'])

/** The part of a path that says nothing of what is in it, as `utils` or `row-helpers.ts`. */
export function bannedName(path: string): string | undefined {
  return path.split('/').find((part) => {
    const stem = part.replace(/\..*$/, '').toLowerCase()
    return BANNED.has(stem) || /[-_](?:utils?|helpers?|misc)$/.test(stem)
  })
}
