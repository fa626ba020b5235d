/** What the control store knows of where people's data is: ledgers with the plans that filled them, and who is erased. */
import { createHash } from 'node:crypto'
import type { ExportId, TableId } from '../domain/ids.ts'
import type { LedgerRef, Plan } from '../domain/plan.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import type { Db, Tx } from './schema.ts'

/** One ledger, with what is known of how it came to be. */
export interface KnownLedger {
  readonly exportId: ExportId
  readonly source: string
  readonly ref: LedgerRef
  /** Of the run that settled it last; null when that run is forgotten. */
  readonly plan: Plan | null
}

export async function listLedgers(db: Db): Promise<readonly KnownLedger[]> {
  const rows = await db
    .selectFrom('ledger')
    .leftJoin('run', 'run.id', 'ledger.run_id')
    .select(['ledger.export_id', 'ledger.source', 'ledger.ref', 'run.plan'])
    .orderBy('ledger.export_id')
    .orderBy('ledger.source')
    .execute()
  return rows.map((row) => ({
    exportId: row.export_id as ExportId,
    source: row.source,
    ref: row.ref,
    plan: row.plan,
  }))
}

export interface RemovedExport {
  readonly id: string
  readonly name: string
  readonly at: Date
}

/** With an export its ledger goes, so what its destination has is not known any more: that it was there still is. */
export async function listRemovedExports(db: Db, limit: number): Promise<readonly RemovedExport[]> {
  const rows = await db
    .selectFrom('audit')
    .select(['subject', 'at', 'detail'])
    .where('action', '=', 'export.removed')
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute()
  return rows.map(({ subject, at, detail }) => ({ id: subject, at, name: nameIn(detail) }))
}

function nameIn(detail: Readonly<Record<string, unknown>>): string {
  return typeof detail['name'] === 'string' ? detail['name'] : ''
}

/** As the data engine makes it of a row key's text: see `PlanSource.erased`. */
function keyHashOf(key: string): string {
  return createHash('sha256').update(key, 'utf8').digest('hex')
}

export async function addErased(tx: Tx, tableId: TableId, key: string, by: By): Promise<void> {
  await tx
    .insertInto('erased')
    .values({ table_id: tableId, key_hash: keyHashOf(key), erased_at: by.now, erased_by: by.actor })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'person.erased', subject: tableId, detail: {} })
}

/** False where they were not erased. */
export async function removeErased(tx: Tx, tableId: TableId, key: string, by: By): Promise<boolean> {
  const removed = await tx
    .deleteFrom('erased')
    .where('table_id', '=', tableId)
    .where('key_hash', '=', keyHashOf(key))
    .executeTakeFirst()
  if (removed.numDeletedRows === 0n) return false
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'person.unerased', subject: tableId, detail: {} })
  return true
}

export async function isErased(db: Db, tableId: TableId, keys: readonly string[]): Promise<boolean> {
  if (keys.length === 0) return false
  const row = await db
    .selectFrom('erased')
    .select('key_hash')
    .where('table_id', '=', tableId)
    .where('key_hash', 'in', keys.map(keyHashOf))
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** For a plan: of every table, in an order that makes the same plan the same. */
export async function listErased(db: Db): Promise<ReadonlyMap<TableId, readonly string[]>> {
  const rows = await db
    .selectFrom('erased')
    .select(['table_id', 'key_hash'])
    .orderBy('table_id')
    .orderBy('key_hash')
    .execute()
  const byTable = Map.groupBy(rows, ({ table_id }) => table_id as TableId)
  return new Map([...byTable].map(([table, of]) => [table, of.map(({ key_hash }) => key_hash)]))
}
