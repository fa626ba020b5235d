/** Rules of this repository that oxlint runs beside its own. */
import { relative } from 'node:path/posix'
import { readWorkspaces } from './boundaries.ts'
import { bannedName, judgeImport, type FoundImport } from './import-table.ts'

/** The little of oxlint's plugin interface that these rules use; oxlint exports no types for it. */
interface Context {
  readonly filename: string
  report(problem: { readonly node: Node; readonly message: string }): void
}
interface Node {
  readonly type: string
}
interface ImportNode extends Node {
  readonly source?: (Node & { readonly value?: unknown }) | null
  readonly importKind?: string
  readonly exportKind?: string
}
interface CallNode extends Node {
  readonly callee: Node & { readonly name?: string }
  readonly arguments: readonly Node[]
}

interface MemberNode extends Node {
  readonly object: Node & { readonly name?: string }
  readonly property: Node & { readonly name?: string }
}
interface ImportSpecifierNode extends Node {
  readonly imported: Node & { readonly name?: string }
  readonly parent: { readonly source: { readonly value: string } }
}

const root = new URL('..', import.meta.url).pathname
const workspaces = readWorkspaces(root)
const pathOf = (context: Context): string => relative(root, context.filename)

const mayImport = {
  create(context: Context) {
    const judge = (node: ImportNode): void => {
      if (node.source === undefined || node.source === null) return
      const { value } = node.source
      const found: FoundImport = {
        specifier: typeof value === 'string' ? value : undefined,
        isTypeOnly: node.type === 'TSImportType' || node.importKind === 'type' || node.exportKind === 'type',
      }
      const message = judgeImport(pathOf(context), found, workspaces)
      if (message !== undefined) context.report({ node, message })
    }
    return {
      ImportDeclaration: judge,
      ExportAllDeclaration: judge,
      ExportNamedDeclaration: judge,
      ImportExpression: judge,
      TSImportType: judge,
    }
  },
}

const noBannedName = {
  create: (context: Context) => ({
    Program(node: Node): void {
      const part = bannedName(pathOf(context))
      if (part !== undefined) context.report({ node, message: `"${part}" does not say what is in it` })
    },
  }),
}

const AMBIENT: Readonly<Record<string, readonly string[]>> = {
  Date: ['now'],
  performance: ['now', 'timeOrigin'],
  process: ['hrtime'],
  Math: ['random'],
  crypto: ['randomUUID', 'getRandomValues', 'randomBytes', 'randomInt'],
}
const AMBIENT_MESSAGE = 'time and randomness are passed in'

/** Clocks and dice: `new Date()` without an argument, `Date.now`, `Math.random` and their like. */
const noAmbient = {
  create(context: Context) {
    const checkCall = (node: CallNode): void => {
      const isBare = node.type === 'CallExpression' || node.arguments.length === 0
      if (node.callee.type === 'Identifier' && node.callee.name === 'Date' && isBare)
        context.report({ node, message: AMBIENT_MESSAGE })
    }
    return {
      NewExpression: checkCall,
      CallExpression: checkCall,
      MemberExpression(node: MemberNode): void {
        const isAmbient = AMBIENT[node.object.name ?? '']?.includes(node.property.name ?? '')
        if (isAmbient === true) context.report({ node, message: AMBIENT_MESSAGE })
      },
      ImportSpecifier(node: ImportSpecifierNode): void {
        if (
          /^random|^getRandomValues$/.test(node.imported.name ?? '') &&
          /^(?:node:)?crypto$/.test(node.parent.source.value)
        )
          context.report({ node, message: AMBIENT_MESSAGE })
      },
    }
  },
}

export default {
  meta: { name: 'patchbay' },
  rules: { 'may-import': mayImport, 'no-banned-name': noBannedName, 'no-ambient': noAmbient },
}
