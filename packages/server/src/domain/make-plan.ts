import type { TargetField } from '@patchbay/connector-sdk'
import type { Connection } from './connection.ts'
import type { DataOutTable, Export, MappedField, MergeRule } from './export.ts'
import { nearestName } from './nearest-name.ts'
import type { LedgerRef, Plan, PlanColumn, PlanSource } from './plan.ts'
import { checkPolicy, type PolicyUse } from './policy.ts'
import { Problem } from './problem.ts'
import { sameName } from './references.ts'
import { checkRule, fieldsUsed, resolveMembers, type RuleSegment } from './segment-rule.ts'
import type { Rule } from './segment.ts'
import type { PinnedTable, Table, TableField } from './table.ts'
import { ANY_TARGETS, type Targets } from './targets.ts'

/** What an export needs to be planned; a draft that is about to be saved has it too. */
export type PlannedExport = Pick<
  Export,
  'destinationType' | 'destination' | 'mode' | 'source' | 'merge' | 'format' | 'guard'
>

export interface PlanBasis {
  readonly export: PlannedExport
  readonly connection: Pick<Connection, 'id' | 'connectorId' | 'policy'>
  readonly delivers: Plan['delivers']
  /** What the destination declares of its fields. */
  readonly targets?: Targets
  /** Every table, pinned at its current version. */
  readonly tables: readonly (Pick<Table, 'isProfile'> & { readonly pinned: PinnedTable })[]
  readonly segments: readonly RuleSegment[]
  /** Of each table, the hashes of the row keys of people who are erased. */
  readonly erased?: ReadonlyMap<string, readonly string[]>
  /** By source name. */
  readonly ledgers: ReadonlyMap<string, LedgerRef>
  readonly now: Date
}

export type PlanHead = Pick<Plan, 'runId' | 'exportId' | 'exportRevision' | 'retryOf' | 'repeat'>

/**
 * Resolves an export into what a run does. Whatever it needs and does not find is a `Problem` that names it: before a row is
 * read, and before anything is sent.
 */
export function makePlan(basis: PlanBasis, head: PlanHead): Plan {
  const { connection } = basis
  return {
    ...head,
    connectionId: connection.id,
    connectorId: connection.connectorId,
    destinationType: basis.export.destinationType,
    destination: basis.export.destination,
    delivers: basis.delivers,
    mode: basis.export.mode,
    format: basis.export.format,
    guard: basis.export.guard,
    rowsPerRunMax: connection.policy.rowsPerRunMax ?? null,
    sources: planSources(basis),
    now: basis.now.toISOString(),
  }
}

/** Also for a draft, before it is saved: throws what `makePlan` would throw. */
export function planSources(basis: PlanBasis): readonly PlanSource[] {
  const { source } = basis.export
  const uses: PolicyUse[] = []
  const sources =
    source.kind === 'segment'
      ? [planSegments(basis, source, uses)]
      : source.tables.map((table, index) => planTable(basis, table, `source.tables[${index}]`, uses))
  if (sources.length === 0) {
    throw new Problem('invalid', 'No table is chosen', { path: 'source.tables', cure: 'Choose at least one' })
  }
  for (const [index, { name }] of sources.entries()) {
    if (sources.findIndex((other) => sameName(other.name, name)) === index) continue
    throw new Problem('invalid', `Two tables would be called "${name}" at the destination`, {
      path: `source.tables[${index}].to`,
      cure: 'Give one of them another name; upper and lower case make no difference',
    })
  }
  // One list or one database table: a second source would mix with the first, and `replace` would take it away again.
  if (sources.length > 1 && basis.delivers !== 'files') {
    throw new Problem('invalid', `This destination takes one table, and the export names ${sources.length}`, {
      path: 'source.tables',
      cure: 'Make an export for each table',
    })
  }
  checkPolicy(basis.connection.policy, uses)
  return sources
}

function planSegments(
  basis: PlanBasis,
  source: Extract<Export['source'], { readonly kind: 'segment' }>,
  uses: PolicyUse[],
): PlanSource {
  const profile = basis.tables.find(({ isProfile }) => isProfile)?.pinned
  if (profile === undefined) {
    throw new Problem('not-ready', 'There is no profile table, which segments pick from', {
      path: 'source',
      cure: 'Import the table that has a row per customer as the profile table',
    })
  }
  const { where, related } = resolveSegments(basis, source.segments, profile, uses)
  if (source.fields.length === 0) {
    throw new Problem('invalid', 'No field is chosen', { path: 'source.fields', cure: 'Choose at least one' })
  }
  const rows = planRows(basis, profile, source.fields, 'source.fields', uses)
  return { name: profile.name, table: profile, where, related, ...rows }
}

function planTable(basis: PlanBasis, chosen: DataOutTable, path: string, uses: PolicyUse[]): PlanSource {
  const table = basis.tables.find(({ pinned }) => sameName(pinned.name, chosen.table))?.pinned
  if (table === undefined) throw missing('table', chosen.table, namesOf(basis), `${path}.table`)
  const fields = chosen.fields ?? table.fields.map((field) => everyField(field, table.key))
  if (fields.length === 0) {
    throw new Problem('invalid', 'No field is chosen', { path: `${path}.fields`, cure: 'Choose at least one' })
  }
  const rows = planRows(basis, table, fields, `${path}.fields`, uses)
  return { name: chosen.to ?? table.name, table, where: null, related: [], ...rows }
}

function everyField({ name }: TableField, key: string): MappedField {
  return { to: name, from: name, transforms: [], identifier: name === key }
}

/** Columns, consent, merge rule and ledger, which the two kinds of export share. */
function planRows(
  basis: PlanBasis,
  table: PinnedTable,
  fields: readonly MappedField[],
  path: string,
  uses: PolicyUse[],
): Pick<PlanSource, 'columns' | 'consentField' | 'merge' | 'erased' | 'ledger'> {
  const { targets = ANY_TARGETS } = basis
  const columns = fields.map((field, index) => planColumn(table, field, targets, `${path}[${index}]`, uses))
  const repeated = columns.findIndex(({ to }, index) => columns.findIndex((other) => other.to === to) !== index)
  if (repeated >= 0) {
    throw new Problem('invalid', `Two fields would be called "${columns[repeated]?.to}" at the destination`, {
      path: `${path}[${repeated}].to`,
      cure: 'Give one of them another name',
    })
  }
  const unmapped = targets.fixed.find(
    ({ name, required }) => required === true && !columns.some(({ to }) => to === name),
  )
  if (unmapped !== undefined) {
    throw new Problem('invalid', `The destination cannot do without "${unmapped.label}"`, {
      path,
      cure: `Map a field to ${unmapped.name}`,
    })
  }
  const key = findField(table, table.key, path)
  // Row by row the key is sent beside the fields; in files and tables it orders and merges rows, and is looked at.
  const sent = basis.delivers === 'rows' ? [] : null
  uses.push({ table: table.name, field: key, path, transforms: sent, isKey: true })
  const { mode, source } = basis.export
  const needsIdentifier = mode === 'upsert' || mode === 'mirror' || basis.delivers === 'rows'
  if (needsIdentifier && !columns.some(({ identifier }) => identifier)) {
    throw new Problem('invalid', 'No field says which row or person it is at the destination', {
      path,
      cure: 'Mark at least one field as identifier',
    })
  }
  const name = source.kind === 'segment' ? table.name : sourceName(source.tables, table)
  const erased = basis.erased?.get(table.id) ?? []
  return {
    columns,
    consentField: planConsent(basis, table, path),
    ...(erased.length === 0 ? {} : { erased }),
    merge: planMerge(basis.export.merge, table, uses, source.kind === 'data-out' && source.tables.length > 1),
    ledger: basis.ledgers.get(name) ?? null,
  }
}

function sourceName(tables: readonly DataOutTable[], table: PinnedTable): string {
  return tables.find((chosen) => sameName(chosen.table, table.name))?.to ?? table.name
}

function planColumn(
  table: PinnedTable,
  field: MappedField,
  targets: Targets,
  path: string,
  uses: PolicyUse[],
): PlanColumn {
  const source = findField(table, field.from, `${path}.from`)
  const target = findTarget(targets, field.to, `${path}.to`)
  const hashAt = field.transforms.indexOf('hash')
  if (hashAt >= 0 && hashAt < field.transforms.length - 1) {
    throw new Problem('invalid', 'After "hash" nothing can be transformed any more', {
      path: `${path}.transforms`,
      cure: 'Put "hash" last',
    })
  }
  const { normal, hash } = target ?? {}
  if (hashAt >= 0 && normal !== undefined && hash === undefined) {
    throw new Problem('invalid', `The destination cannot use a hash as "${field.to}": it asks for the value`, {
      path: `${path}.transforms`,
      cure: 'Take "hash" away from it, or leave the field out',
    })
  }
  uses.push({
    table: table.name,
    field: source,
    path: `${path}.from`,
    transforms: hash === undefined ? field.transforms : ['hash'],
  })
  return {
    to: field.to,
    from: field.from,
    sourceType: source.type,
    // Each transform and each normal form works on text and gives text.
    type: field.transforms.length > 0 || normal !== undefined ? 'text' : source.type,
    // Where the destination asks for a hash, "hash" means its own: of the normal form, and once.
    transforms: hash === undefined ? field.transforms : field.transforms.filter((transform) => transform !== 'hash'),
    ...(normal === undefined ? {} : { normal }),
    ...(hash === undefined ? {} : { hash }),
    identifier: field.identifier,
  }
}

function findTarget({ fixed, isComplete }: Targets, name: string, path: string): TargetField | undefined {
  const found = fixed.find((field) => field.name === name)
  if (found !== undefined || !isComplete) return found
  const names = fixed.map((field) => field.name)
  const nearest = nearestName(name, names)
  throw new Problem('invalid', `The destination has no field "${name}"`, {
    path,
    cure: nearest === undefined ? `Choose one of ${names.join(', ')}` : `Did you mean "${nearest}"?`,
  })
}

/** A table without the field that the policy asks consent by cannot be shown to have any: it does not leave. */
function planConsent(basis: PlanBasis, table: PinnedTable, path: string): string | null {
  const name = basis.connection.policy.consentField
  if (name === undefined) return null
  const field = table.fields.find((candidate) => candidate.name === name)
  if (field?.type === 'boolean') return name
  throw new Problem('not-allowed', `The connection's policy asks consent by "${name}", which "${table.name}" lacks`, {
    path,
    cure: 'Leave this table out, give it that field (true or false), or ask an Administrator to change the policy',
  })
}

function planMerge(merge: MergeRule, table: PinnedTable, uses: PolicyUse[], isOneOfMany: boolean): MergeRule {
  if (merge.by === 'smallest-key') return merge
  const isThere = table.fields.some(({ name }) => name === merge.field)
  // One rule serves all tables of an export; those that lack its field go by their keys.
  if (!isThere && isOneOfMany) return { by: 'smallest-key' }
  const field = findField(table, merge.field, 'merge.field')
  uses.push({ table: table.name, field, path: 'merge.field', transforms: null })
  return merge
}

function resolveSegments(
  basis: PlanBasis,
  names: readonly string[],
  profile: PinnedTable,
  uses: PolicyUse[],
): { readonly where: Rule | null; readonly related: readonly PinnedTable[] } {
  if (names.length === 0) return { where: null, related: [] }
  const ruleTables = basis.tables.map(({ pinned, isProfile }) => ({ ...pinned, isProfile }))
  const rules = names.map((name, index) => {
    const path = `source.segments[${index}]`
    const segment = basis.segments.find((candidate) => sameName(candidate.name, name))
    if (segment === undefined)
      throw missing(
        'segment',
        name,
        basis.segments.map((one) => one.name),
        path,
      )
    return within(path, segment.name, () => {
      // A field that a refresh took away, or that changed its type, is named here.
      checkRule(segment.rule, ruleTables, basis.segments, segment.name)
      const rule = resolveMembers(segment.rule, basis.segments)
      checkRule(rule, ruleTables, basis.segments)
      return { rule, path }
    })
  })
  const related = new Map<string, PinnedTable>()
  for (const { rule, path } of rules) {
    for (const use of fieldsUsed(rule, profile.key)) {
      const table = use.table === null ? profile : findTable(basis, use.table, path)
      if (use.table !== null) related.set(table.id, table)
      uses.push({ table: table.name, field: findField(table, use.field, path), path, transforms: null })
    }
  }
  const [only] = rules
  const where = rules.length === 1 && only !== undefined ? only.rule : { any: rules.map(({ rule }) => rule) }
  return { where, related: [...related.values()] }
}

/** The rule's own place, after the place of the segment in the export. */
function within<T>(path: string, segment: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    throw new Problem(error.code, `Segment "${segment}": ${error.message}`, {
      path: `${path}.${error.path}`,
      cure: error.cure,
      cause: error,
    })
  }
}

function findTable(basis: PlanBasis, name: string, path: string): PinnedTable {
  const found = basis.tables.find(({ pinned }) => pinned.name === name)?.pinned
  if (found === undefined) throw missing('table', name, namesOf(basis), path)
  return found
}

function findField(table: PinnedTable, name: string, path: string): TableField {
  const found = table.fields.find((field) => field.name === name)
  if (found === undefined)
    throw missing(
      `field of "${table.name}"`,
      name,
      table.fields.map((field) => field.name),
      path,
    )
  return found
}

function namesOf(basis: PlanBasis): readonly string[] {
  return basis.tables.map(({ pinned }) => pinned.name)
}

function missing(what: string, name: string, there: readonly string[], path: string): Problem {
  const nearest = nearestName(name, there)
  return new Problem('not-found', `There is no ${what} "${name}" (any more)`, {
    path,
    cure: nearest === undefined ? 'Choose another one, or bring it back' : `Did you mean "${nearest}"?`,
  })
}
