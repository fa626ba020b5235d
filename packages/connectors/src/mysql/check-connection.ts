/** Verify: each step as it happens, and the field to mend where one fails. */
import type { Duplex } from 'node:stream'
import { ConnectorError, DestinationInvalid, SettingsInvalid, type CheckStep } from '@patchbay/connector-sdk'
import { prepareSession } from './delivery.ts'
import { translate } from './errors.ts'
import { ensureMarkerTable, writeMarker } from './markers.ts'
import { openSession, type MysqlContext, type Session } from './session.ts'

export async function* checkConnection(ctx: MysqlContext): AsyncGenerator<CheckStep> {
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
    yield { step, ok: true, detail: session.isMariaDb ? session.version : `MySQL ${session.version}` }
    step = 'may-write'
    await checkWriting(session)
    yield { step, ok: true }
  } catch (thrown) {
    const error = translate(thrown, { step: 'work' })
    if (!(error instanceof ConnectorError)) throw error
    const failed = ('step' in error ? (error.step as CheckStep['step'] | undefined) : undefined) ?? step
    // What lies between the last step that was shown and the one that failed did hold.
    if (failed === 'signed-in' && session === undefined && socket !== undefined) yield trusted(ctx)
    yield failedStep(failed, error)
  } finally {
    await session?.close()
    socket?.destroy()
  }
}

/** Does in small what a run does, and rolls it back: rights that are looked up say nothing of a read-only server or a full disk. */
async function checkWriting(session: Session): Promise<void> {
  await prepareSession(session)
  if (Number.parseInt(session.version, 10) < 8)
    throw new SettingsInvalid(
      'host',
      `This server is too old: Patchbay needs MySQL 8 or MariaDB 10.4, and it is ${session.version}`,
    )
  await ensureMarkerTable(session)
  await session.run('CREATE TEMPORARY TABLE patchbay_probe (probe varchar(10)) ENGINE = InnoDB')
  await session.run('START TRANSACTION')
  const { count } = await session.load((name) => `LOAD DATA LOCAL INFILE ${name} INTO TABLE patchbay_probe`, onePiece())
  if (count !== 1) throw new DestinationInvalid('table', `Of one row that was sent, ${count} arrived`)
  await writeMarker(session, '', 'patchbay verify', { added: 0, changed: 0, removed: 0 })
  await session.run('ROLLBACK')
}

async function* onePiece(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from('probe\n'))
}

function trusted({ settings }: MysqlContext): CheckStep {
  return settings.tls === 'none'
    ? { step: 'trusted', ok: true, detail: 'Not encrypted: the network is trusted' }
    : { step: 'trusted', ok: true, detail: 'TLS, certificate checked' }
}

function failedStep(step: CheckStep['step'], error: ConnectorError): CheckStep {
  const named = 'field' in error && typeof error.field === 'string' ? error.field : undefined
  // The table of an export is not on the set-up pane; what failed here was in the database.
  const field = named === 'table' ? 'user' : (named ?? (step === 'resolved' ? 'host' : undefined))
  return { step, ok: false, message: error.message, ...(field !== undefined && { field }) }
}
