import type { ExportId } from '../domain/ids.ts'
import type { LedgerRef } from '../domain/plan.ts'
import { toJson } from './json.ts'
import type { Db, StoredFile, Tx } from './schema.ts'

/** Whose ledger: an export's, at one place at the far end. */
export interface LedgerOwner {
  readonly exportId: ExportId
  readonly destinationDigest: string
}

/** By source name. */
export async function readLedgers(db: Db, owner: LedgerOwner): Promise<ReadonlyMap<string, LedgerRef>> {
  const rows = await db
    .selectFrom('ledger')
    .select(['source', 'ref'])
    .where('export_id', '=', owner.exportId)
    .where('destination_digest', '=', owner.destinationDigest)
    .execute()
  return new Map(rows.map((row) => [row.source, row.ref]))
}

/** Whether the export has delivered anywhere. */
export async function hasLedger(db: Db, exportId: ExportId): Promise<boolean> {
  const row = await db
    .selectFrom('ledger')
    .select('source')
    .where('export_id', '=', exportId)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

export async function writeLedgers(
  tx: Tx,
  owner: LedgerOwner,
  run: { readonly id: string; readonly ledgers: Readonly<Record<string, LedgerRef>>; readonly now: Date },
): Promise<void> {
  for (const [source, ref] of Object.entries(run.ledgers)) {
    const row = { ref: toJson(ref), run_id: run.id, updated_at: run.now }
    await tx
      .insertInto('ledger')
      .values({
        export_id: owner.exportId,
        destination_digest: owner.destinationDigest,
        source,
        version: 1,
        ...row,
      })
      .onConflict((conflict) =>
        conflict
          .columns(['export_id', 'destination_digest', 'source'])
          .doUpdateSet((set) => ({ ...row, version: set('ledger.version', '+', 1) })),
      )
      .execute()
  }
}

/** Files of the export that stand at the destination as far as settled runs know. */
export async function listDeliveredFiles(db: Db, owner: LedgerOwner): Promise<readonly StoredFile[]> {
  const rows = await db
    .selectFrom('delivered_file')
    .select(['name', 'rows', 'size_bytes', 'sha256'])
    .where('export_id', '=', owner.exportId)
    .where('destination_digest', '=', owner.destinationDigest)
    .orderBy('name')
    .execute()
  return rows.map(({ size_bytes, ...file }) => ({ ...file, sizeBytes: size_bytes }))
}

export async function writeDeliveredFiles(
  tx: Tx,
  owner: LedgerOwner,
  run: { readonly id: string; readonly added: readonly StoredFile[]; readonly removed: readonly string[] },
): Promise<void> {
  const key = { export_id: owner.exportId, destination_digest: owner.destinationDigest }
  if (run.removed.length > 0) {
    await tx
      .deleteFrom('delivered_file')
      .where('export_id', '=', key.export_id)
      .where('destination_digest', '=', key.destination_digest)
      .where('name', 'in', [...run.removed])
      .execute()
  }
  for (const file of run.added) {
    const values = { rows: file.rows, size_bytes: file.sizeBytes, sha256: file.sha256, run_id: run.id }
    await tx
      .insertInto('delivered_file')
      .values({ ...key, name: file.name, ...values })
      .onConflict((conflict) => conflict.columns(['export_id', 'destination_digest', 'name']).doUpdateSet(values))
      .execute()
  }
}
