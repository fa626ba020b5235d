/** Verify: each step as it happens, and the field to mend where one fails. */
import { ConnectorError, type CheckStep } from '@patchbay/connector-sdk'
import type { Duplex } from 'node:stream'
import { translate } from './errors.ts'
import { markerTableSql, readSchemaRights, schemaFault } from './markers.ts'
import { checkTableName, MARKER_TABLE, quoteTable } from './names.ts'
import { openSession, type PostgresqlContext, type Session } from './session.ts'

export async function* checkConnection(ctx: PostgresqlContext): AsyncGenerator<CheckStep> {
  let step: CheckStep['step'] = 'reached'
  let socket: Duplex | undefined
  let session: Session | undefined
  try {
    socket = await ctx.connect({ host: ctx.settings.host, port: ctx.settings.port })
    yield { step: 'resolved', ok: true }
    yield { step, ok: true }
    step = 'signed-in'
    session = await openSession(ctx, socket)
    yield trusted(ctx)
    const { rows } = await session.query<{ version: string }>(`SELECT current_setting('server_version') AS version`)
    yield { step, ok: true, detail: `PostgreSQL ${rows[0]?.version ?? ''}` }
    step = 'may-write'
    yield await checkWriting(session, ctx.settings.schema)
  } catch (thrown) {
    const error = translate(thrown, { step: 'work' })
    if (!(error instanceof ConnectorError)) throw error
    const failed = ('step' in error ? (error.step as CheckStep['step'] | undefined) : undefined) ?? step
    // What lies between the last step that was shown and the one that failed did hold.
    if (failed === 'reached') yield { step: 'resolved', ok: true }
    if (failed === 'signed-in') yield trusted(ctx)
    yield failedStep(failed, error)
  } finally {
    await session?.close()
    socket?.destroy()
  }
}

/** Does it and rolls back: rights that are looked up say nothing of a read-only server or a full disk. */
async function checkWriting(session: Session, schema: string): Promise<CheckStep> {
  checkTableName({ schema, table: 'any' })
  const rights = await readSchemaRights(session, schema)
  const message = schemaFault(schema, rights)
  if (message !== undefined) return { step: 'may-write', ok: false, field: 'schema', message }

  await session.query('BEGIN')
  await session.query('CREATE TEMPORARY TABLE patchbay_probe (probe text) ON COMMIT DROP')
  await session.query("INSERT INTO pg_temp.patchbay_probe VALUES ('probe')")
  if (rights?.isMarked !== true) await session.query(markerTableSql(schema))
  await session.query(
    `INSERT INTO ${quoteTable({ schema, table: MARKER_TABLE })} (run_id, table_name, added, changed, removed) VALUES ('patchbay verify', '', 0, 0, 0)`,
  )
  await session.query('ROLLBACK')
  return rights?.mayCreate === true
    ? { step: 'may-write', ok: true }
    : { step: 'may-write', ok: true, detail: 'Into existing tables only: the role may not make new ones' }
}

function trusted({ settings }: PostgresqlContext): CheckStep {
  return settings.tls === 'none'
    ? { step: 'trusted', ok: true, detail: 'Not encrypted: the network is trusted' }
    : { step: 'trusted', ok: true, detail: 'TLS, certificate checked' }
}

function failedStep(step: CheckStep['step'], error: ConnectorError): CheckStep {
  const named = 'field' in error && typeof error.field === 'string' ? error.field : undefined
  // The table of an export is not on the set-up pane.
  const field = named === 'table' ? undefined : (named ?? (step === 'resolved' ? 'host' : undefined))
  return { step, ok: false, message: error.message, ...(field !== undefined && { field }) }
}
