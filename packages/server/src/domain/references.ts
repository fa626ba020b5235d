import type { ExportSource } from './export.ts'
import type { Operand, Rule } from './segment.ts'

/** What a rule names besides fields of its own table. Names are compared regardless of case: see `sameName`. */
export interface References {
  readonly tables: readonly string[]
  readonly segments: readonly string[]
}

export function referencesOfRule(rule: Rule): References {
  const tables = new Set<string>()
  const segments = new Set<string>()
  const visit = (node: Rule): void => {
    if ('all' in node) for (const part of node.all) visit(part)
    else if ('any' in node) for (const part of node.any) visit(part)
    else if ('not' in node) visit(node.not)
    else if ('memberOf' in node) segments.add(node.memberOf)
    else visitOperand(node.on)
  }
  const visitOperand = (operand: Operand): void => {
    if (!('aggregate' in operand)) return
    tables.add(operand.table)
    if (operand.where !== undefined) visit(operand.where)
  }
  visit(rule)
  return { tables: [...tables], segments: [...segments] }
}

/** A segment export reads the profile table, which it does not name. */
export function referencesOfSource(source: ExportSource): References {
  return source.kind === 'segment'
    ? { tables: [], segments: source.segments }
    : { tables: source.tables.map(({ table }) => table), segments: [] }
}

export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
