/** One run's writing of one table, as one transaction: begin, load each file, commit. */
import {
  DestinationInvalid,
  Unavailable,
  type Mode,
  type OutgoingFile,
  type TableDelivery,
  type TableOutcome,
  type TableShape,
} from '@patchbay/connector-sdk'
import { checkExistingTable } from './columns.ts'
import { translate, type Doing } from './errors.ts'
import { ensureMarkerTable, lockRun, lockTable, readMarker, readOutcome, writeMarker } from './markers.ts'
import { checkColumnNames, quote, quoteTable, type TableName } from './names.ts'
import { openSession, type PostgresqlContext, type Session } from './session.ts'
import { createStaging, mergeStaging, STAGING, stagedColumns } from './staging.ts'
import { addKey, createTable, readTable } from './target-table.ts'

/** Pieces of a file on their way into COPY: from 64 KiB on, larger ones gained nothing that could be measured. */
const PIECE_BYTES = 128 * 1024

/** A transaction begun and not ended. */
interface Run {
  readonly id: string
  readonly session: Session
  readonly shape: TableShape
  /** The table was made by this run, and is nobody else's to see. */
  readonly isNew: boolean
  loaded: number
}

export function openTable(ctx: PostgresqlContext, target: TableName, mode: Mode): TableDelivery {
  const isStaged = mode === 'upsert' || mode === 'mirror'
  let run: Run | undefined

  const current = (): Run => {
    if (run === undefined) throw new Error('begin was not called, or the run has ended')
    return run
  }
  /** After a failure the transaction is of no more use: the session is cut, and the server rolls it back. */
  const attempt = async <T>(session: Session | undefined, doing: Doing, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      session?.cut()
      run = undefined
      if (doing.step !== 'commit') ctx.signal.throwIfAborted()
      throw translate(error, doing)
    }
  }

  return {
    isCommitted: (runId) => attempt(undefined, { step: 'work' }, () => readOutcome(ctx, target.schema, runId)),

    begin: async (shape, runId) => {
      checkShape(shape, mode)
      const session = await openSession(ctx)
      await attempt(session, { step: 'work' }, async () => {
        await ensureMarkerTable(session, target.schema)
        await beginTransaction(session)
        await claimRun(session, target, runId)
        const isNew = await prepareTable(session, target, shape, mode)
        if (isStaged) await createStaging(session, target, shape)
        run = { id: runId, session, shape, isNew, loaded: 0 }
      })
    },

    load: async (file) => {
      const { session, shape } = current()
      const doing: Doing = { step: 'work', copy: copyPlace(target, shape, isStaged) }
      const rows = await attempt(session, doing, () => session.copyIn(copySql(target, shape, isStaged), pieces(file)))
      current().loaded += rows
      return rows
    },

    commit: async () => {
      const { id, session, shape, isNew, loaded } = current()
      const outcome = await attempt(session, { step: 'work' }, async () => {
        const done = isStaged ? await merge(session, target, shape, isNew) : { added: loaded, changed: 0, removed: 0 }
        if (isNew && shape.key.length > 0 && mode !== 'append') await addKey(session, target, shape.key)
        await writeMarker(session, target, id, done)
        return done
      })
      await attempt(session, { step: 'commit' }, async () => {
        const { command } = await session.query('COMMIT')
        if (command !== 'COMMIT') throw new Unavailable('no', 'PostgreSQL rolled the transaction back')
      })
      run = undefined
      await session.close()
      return outcome
    },

    abandon: async () => {
      const session = run?.session
      run = undefined
      // The server rolls back what a session leaves open, whether it says goodbye or is cut.
      await session?.close()
    },
  }
}

function checkShape(shape: TableShape, mode: Mode): void {
  const isStaged = mode === 'upsert' || mode === 'mirror'
  if (shape.withChange !== isStaged) throw new Error(`${mode} takes lines ${isStaged ? 'with' : 'without'} a change`)
  if (isStaged && shape.key.length === 0)
    throw new DestinationInvalid('table', 'This mode needs a key: say which columns tell rows apart')
  for (const name of shape.key)
    if (!shape.columns.some((column) => column.name === name)) throw new Error(`No column for the key ${name}`)
  checkColumnNames(shape)
}

/**
 * Everything is set for this transaction only, so that a pooler between us and the server may give the session to others.
 * Time-outs end what hangs: a statement after six hours, a wait for a lock after one minute, a run that neither loads
 * nor commits after one hour. Dates and times without a zone mean UTC.
 */
export async function beginTransaction(session: Session): Promise<void> {
  await session.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  await session.query(
    `SELECT pg_catalog.set_config(name, value, true) FROM (VALUES
       ('TimeZone', 'UTC'), ('DateStyle', 'ISO, YMD'), ('lock_timeout', '60s'), ('statement_timeout', '6h'),
       ('idle_in_transaction_session_timeout', '1h'),
       ('synchronous_commit', CASE pg_catalog.current_setting('synchronous_commit')
          WHEN 'off' THEN 'on' ELSE pg_catalog.current_setting('synchronous_commit') END)
     ) AS wanted (name, value)`,
  )
  // Lets the server notice within seconds that we are gone, also in the middle of a merge. Not on every platform.
  await session.query(
    `SELECT pg_catalog.set_config(name, '2s', true) FROM pg_catalog.pg_settings
     WHERE name = 'client_connection_check_interval' AND pg_catalog.version() ~* 'linux|darwin|freebsd'`,
  )
}

/** Waits for a session of the same run that lives on at the server, and refuses to do a run a second time. */
async function claimRun(session: Session, { schema }: TableName, runId: string): Promise<void> {
  await lockRun(session, runId)
  if ((await readMarker(session, schema, runId)) !== undefined)
    throw new Unavailable('maybe', 'This run has been committed already')
}

/** Gives whether the table is new. */
async function prepareTable(session: Session, target: TableName, shape: TableShape, mode: Mode): Promise<boolean> {
  if (mode === 'replace') await lockTable(session, target)
  let existing = await readTable(session, target)
  if (existing === undefined) {
    // Another run may be making it: its end is waited for.
    await lockTable(session, target)
    existing = await readTable(session, target)
  }
  if (existing === undefined) {
    await createTable(session, target, shape)
    return true
  }
  checkExistingTable(target, existing, shape, mode)
  // DELETE and neither TRUNCATE nor a new table in its place: until the commit, readers have the old rows and wait for
  // nothing, and grants, views and indexes stay. It costs a third more time, and room for both contents.
  if (mode === 'replace') await session.query(`DELETE FROM ${quoteTable(target)}`)
  return false
}

async function merge(session: Session, target: TableName, shape: TableShape, isNew: boolean): Promise<TableOutcome> {
  await lockTable(session, target)
  return mergeStaging(session, target, shape, isNew)
}

function copySql(target: TableName, shape: TableShape, isStaged: boolean): string {
  const into = isStaged
    ? `pg_temp.${STAGING}`
    : `${quoteTable(target)} (${shape.columns.map(({ name }) => quote(name)).join(', ')})`
  return `COPY ${into} FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')`
}

function copyPlace(target: TableName, shape: TableShape, isStaged: boolean): NonNullable<Doing['copy']> {
  return isStaged
    ? { relation: STAGING, columns: stagedColumns(shape) }
    : { relation: target.table, columns: new Map(shape.columns.map(({ name }) => [name, name])) }
}

function pieces(file: OutgoingFile): AsyncIterable<Uint8Array> {
  return file.read(PIECE_BYTES)
}
