import { checkConnection } from '../connector-host/check-connection.ts'
import type { ConnectorHost } from '../connector-host/host.ts'
import type { ConnectionId, RunId } from '../domain/ids.ts'
import { recordCheck, type CheckResult, type CheckStartedBy } from '../store/connection-health.ts'
import { findConnection } from '../store/connection.ts'
import { connectionAccess, type AccessParts } from './connection-access.ts'

/** A check that is younger than this says enough before a run. */
const FRESH_MS = 10 * 60_000

/** Checks a stored connection as it is now, in the background, and writes down what was found. */
export async function checkStored(
  parts: AccessParts,
  host: ConnectorHost,
  id: ConnectionId,
  startedBy: CheckStartedBy,
  randomBytes: (size: number) => Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const connection = await findConnection(parts.db, id)
  const connector = connection && parts.registry.findConnector(connection.connectorId)
  if (connection === undefined || connector === undefined) return
  let last: Pick<CheckResult, 'ok' | 'step' | 'field' | 'message'> = {
    ...{ ok: false, step: 'resolved', field: null },
    message: 'Nothing was tried',
  }
  for await (const step of checkConnection(host, connector, connectionAccess(parts, connection), signal))
    last = step.ok
      ? { ok: true, step: null, field: null, message: null }
      : { ok: false, step: step.step, field: step.field ?? null, message: step.message }
  const result = { ...last, at: parts.now(), startedBy }
  await parts.db.transaction().execute((tx) => recordCheck(tx, connection, result, randomBytes))
}

/** Before a run delivers: its connection is looked at, unless it just was. The run goes on either way, and finds out itself. */
export async function checkBeforeRun(
  parts: AccessParts,
  host: ConnectorHost,
  runId: RunId,
  randomBytes: (size: number) => Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const row = await parts.db
    .selectFrom('run')
    .innerJoin('export', 'export.id', 'run.export_id')
    .innerJoin('connection', 'connection.id', 'export.connection_id')
    .select(['connection.id', 'connection.checked_at'])
    .where('run.id', '=', runId)
    .where('run.purpose', '=', 'deliver')
    .where('run.plan', 'is', null)
    .executeTakeFirst()
  if (row === undefined) return
  if (row.checked_at !== null && parts.now().getTime() - row.checked_at.getTime() < FRESH_MS) return
  await checkStored(parts, host, row.id as ConnectionId, 'run', randomBytes, signal)
}
