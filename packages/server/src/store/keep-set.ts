import type { LedgerRef, Plan, PlanSource } from '../domain/plan.ts'
import type { PinnedTable } from '../domain/table.ts'
import { OPEN_STATUSES } from './run.ts'
import type { Db } from './schema.ts'

/** Everything in the lake that something still refers to. Whatever else stands there may go, once it is older than any import. */
export interface KeepSet {
  /** Versions by table id. */
  readonly tableVersions: ReadonlyMap<string, ReadonlySet<number>>
  /** Lake paths of ledger files. */
  readonly ledgers: ReadonlySet<string>
  /** Runs whose folders stay. */
  readonly runs: ReadonlySet<string>
  readonly uploads: ReadonlySet<string>
}

const VERSIONS_KEPT = 3

/** `runsSince`: finished runs keep their folder (rejects, outbox) as long as they are not older. Read in one transaction. */
export async function keepSet(db: Db, runsSince: Date): Promise<KeepSet> {
  const tableVersions = new Map<string, Set<number>>()
  const ledgers = new Set<string>()
  const keep = (table: Pick<PinnedTable, 'id' | 'version'>): void => {
    const versions = tableVersions.get(table.id) ?? new Set()
    tableVersions.set(table.id, versions.add(table.version))
  }
  const keepLedger = (ref: LedgerRef | null): void => {
    if (ref?.kind === 'rows') ledgers.add(ref.path)
    if (ref?.kind === 'whole') keepSource(ref.source)
  }
  const keepSource = (source: Omit<PlanSource, 'ledger'>): void => {
    for (const table of [source.table, ...source.related]) keep(table)
  }

  // Also versions that are not in the store yet: an import that goes on has its number, and its folder.
  for (const table of await db.selectFrom('table_').select(['id', 'current_version', 'last_version']).execute()) {
    keep({ id: table.id as PinnedTable['id'], version: table.current_version })
    for (let version = table.current_version + 1; version <= table.last_version; version++) {
      keep({ id: table.id as PinnedTable['id'], version })
    }
  }
  const versions = await db
    .selectFrom('table_version')
    .select(['table_id', 'version'])
    .orderBy('version', 'desc')
    .execute()
  const seen = new Map<string, number>()
  for (const { table_id, version } of versions) {
    const before = seen.get(table_id) ?? 0
    seen.set(table_id, before + 1)
    if (before < VERSIONS_KEPT) keep({ id: table_id as PinnedTable['id'], version })
  }
  for (const { ref } of await db.selectFrom('ledger').select('ref').execute()) keepLedger(ref)

  const runs = await db
    .selectFrom('run')
    .select(['id', 'plan', 'retry_of'])
    .where((where) =>
      where.or([
        where('status', 'in', OPEN_STATUSES),
        where.and([where('status', '=', 'failed'), where('settled_at', 'is', null)]),
      ]),
    )
    .execute()
  for (const { plan } of runs) keepPlan(plan, keepSource, keepLedger)
  const recent = await db.selectFrom('run').select(['id', 'retry_of']).where('created_at', '>=', runsSince).execute()
  const uploads = await db.selectFrom('upload').select('id').execute()
  return {
    tableVersions,
    ledgers,
    // A retry reads the rejected rows of the run that it retries.
    runs: new Set([...runs, ...recent].flatMap((run) => [run.id, ...(run.retry_of === null ? [] : [run.retry_of])])),
    uploads: new Set(uploads.map(({ id }) => id)),
  }
}

function keepPlan(
  plan: Plan | null,
  keepSource: (source: PlanSource) => void,
  keepLedger: (ref: LedgerRef | null) => void,
): void {
  for (const source of plan?.sources ?? []) {
    keepSource(source)
    keepLedger(source.ledger)
  }
}
