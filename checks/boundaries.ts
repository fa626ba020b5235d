/** Reads a whole tree and says where it breaks the rules on who may import whom, on packages and on connector folders. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'
import {
  areaOf,
  bannedName,
  connectorOf,
  IMPORT_TABLE,
  judgeImport,
  targetOf,
  type Area,
  type FoundImport,
  type Workspace,
} from './import-table.ts'

/** The folders that are read; the last ones may import what they like, and are read for cycles and names. */
export const ROOTS = ['packages', 'bench', 'checks', 'e2e', 'proof', 'scripts'] as const

export interface Boundaries {
  /** Every source file seen, from the top of the repository. */
  readonly files: readonly string[]
  readonly areas: ReadonlySet<Area>
  /** Imports between files of the tree. */
  readonly edges: readonly (readonly [from: string, to: string])[]
  readonly problems: readonly string[]
}

export function readBoundaries(root: string): Boundaries {
  const workspaces = readWorkspaces(root)
  const paths = ROOTS.flatMap((folder) => listPaths(root, folder))
  const files = paths.filter((path) => /\.[cm]?[jt]sx?$/.test(path))
  const edges: [string, string][] = []
  const problems: string[] = []

  for (const file of files) {
    if (file.startsWith('packages/') && areaOf(file) === undefined) {
      problems.push(`${file} is in no area of checks/import-table.ts`)
      continue
    }
    for (const found of readImports(file, readFileSync(join(root, file), 'utf8'))) {
      const problem = judgeImport(file, found, workspaces)
      if (problem !== undefined) problems.push(`${file} imports ${found.specifier ?? 'something computed'}: ${problem}`)
      const target = found.specifier === undefined ? undefined : targetOf(file, found.specifier, workspaces)
      if (target !== undefined) edges.push([file, target])
    }
  }
  for (const path of paths) {
    const part = bannedName(path)
    if (part !== undefined) problems.push(`${path}: "${part}" does not say what is in it`)
  }
  return {
    files,
    areas: new Set(files.map(areaOf).filter((area) => area !== undefined)),
    edges,
    problems: [
      ...new Set(problems),
      ...findCycles(edges).map((cycle) => `cycle: ${cycle.join(' → ')}`),
      ...workspaces.flatMap((workspace) => checkDependencies(workspace, workspaces)),
      ...checkConnectors(paths, edges),
    ],
  }
}

/** Every import of a file: of values and of types, static and dynamic, and what `export … from` passes on. */
function readImports(file: string, text: string): readonly FoundImport[] {
  const found: FoundImport[] = []
  const { program, errors } = parseSync(file, text)
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0]?.message}`)
  new Visitor({
    ImportDeclaration: (node) => found.push({ specifier: node.source.value, isTypeOnly: node.importKind === 'type' }),
    ExportAllDeclaration: (node) =>
      found.push({ specifier: node.source.value, isTypeOnly: node.exportKind === 'type' }),
    ExportNamedDeclaration: (node) => {
      if (node.source) found.push({ specifier: node.source.value, isTypeOnly: node.exportKind === 'type' })
    },
    ImportExpression: ({ source }) => {
      const isText = source.type === 'Literal' && typeof source.value === 'string'
      found.push({ specifier: isText ? source.value : undefined, isTypeOnly: false })
    },
    TSImportType: (node) => found.push({ specifier: node.source.value, isTypeOnly: true }),
  }).visit(program)
  return found
}

export function readWorkspaces(root: string): readonly Workspace[] {
  return readdirSync(join(root, 'packages'))
    .map((name) => `packages/${name}`)
    .filter((folder) => existsSync(join(root, folder, 'package.json')))
    .map((folder) => {
      const read = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Partial<PackageJson>
      const top = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Partial<PackageJson>
      return {
        name: read.name ?? folder,
        folder,
        exports: read.exports ?? {},
        dependencies: Object.keys(read.dependencies ?? {}),
        devDependencies: Object.keys({ ...top.devDependencies, ...read.devDependencies }),
      }
    })
}

interface PackageJson {
  readonly name: string
  readonly exports: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

function listPaths(root: string, folder: string): readonly string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.name === 'node_modules' || entry.name === 'dist') return []
    return entry.isDirectory() ? listPaths(root, path) : [path]
  })
}

/** A package may depend on the packages that some area of it may import. */
function checkDependencies(workspace: Workspace, workspaces: readonly Workspace[]): readonly string[] {
  const packageOf = (area: Area): string | undefined =>
    workspaces.find(({ folder }) => `${IMPORT_TABLE[area].at}/`.startsWith(`${folder}/`))?.name
  const allowed = new Set(
    (Object.keys(IMPORT_TABLE) as Area[])
      .filter((area) => packageOf(area) === workspace.name)
      .flatMap((area) => [...(IMPORT_TABLE[area].imports ?? []), ...(IMPORT_TABLE[area].importsTypes ?? [])])
      .map(packageOf),
  )
  const names = new Set(workspaces.map(({ name }) => name))
  const problems = workspace.dependencies
    .filter((name) => names.has(name) && !allowed.has(name))
    .map((name) => `${workspace.folder}/package.json may not depend on ${name}`)
  if (workspace.folder === 'packages/sdk' && workspace.dependencies.length > 0)
    problems.push(`packages/sdk/package.json has dependencies: ${workspace.dependencies.join(', ')}`)
  return problems
}

/** One folder for each connector, complete, and in the list of all connectors. */
function checkConnectors(paths: readonly string[], edges: Boundaries['edges']): readonly string[] {
  const ids = new Set(paths.map(connectorOf).filter((id) => id !== undefined))
  return [...ids].flatMap((id) => {
    const folder = `packages/connectors/src/${id}`
    const problems = ['index.ts', 'index.test.ts', 'README.md', 'icon.svg']
      .filter((name) => !paths.includes(`${folder}/${name}`))
      .map((name) => `${folder} has no ${name}`)
    const isListed = edges.some(
      ([from, to]) => from === 'packages/connectors/src/index.ts' && to === `${folder}/index.ts`,
    )
    if (!isListed) problems.push(`${folder} is not in packages/connectors/src/index.ts`)
    return problems
  })
}

/** At least one cycle for every knot in the graph, as a path that ends where it began. */
function findCycles(edges: Boundaries['edges']): readonly (readonly string[])[] {
  const next = Map.groupBy(edges, ([from]) => from)
  const cycles: string[][] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) cycles.push([...path.slice(start), file])
    if (start >= 0 || done.has(file)) return
    for (const [, to] of next.get(file) ?? []) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of next.keys()) visit(file, [])
  return cycles
}
