/** One run's writing of one table, as one transaction: begin, load each file, commit. */
import {
  DestinationInvalid,
  Unavailable,
  type Mode,
  type OutgoingFile,
  type TableDelivery,
  type TableShape,
} from '@patchbay/connector-sdk'
import { cellSql, checkExistingTable, OWNED_MARK, type ExistingTable } from './columns.ts'
import { rowTrouble, translate, type Doing } from './errors.ts'
import { ensureMarkerTable, lockRun, lockTable, readMarker, readOutcome, writeMarker } from './markers.ts'
import { checkColumnNames, quote } from './names.ts'
import { nullCells } from './null-cells.ts'
import { openSession, type MysqlContext, type Session } from './session.ts'
import { createStaging, mergeStaging, STAGING, targetColumns, type TargetColumn } from './staging.ts'
import { createTable, readTable } from './target-table.ts'

const PIECE_BYTES = 128 * 1024

/** A transaction begun and not ended. */
interface Run {
  readonly id: string
  readonly session: Session
  readonly shape: TableShape
  /** As the server writes it. */
  readonly table: string
  readonly columns: readonly TargetColumn[]
  /** The table was made by this run; it stands empty until the commit. */
  readonly isNew: boolean
  loaded: number
}

export function openTable(ctx: MysqlContext, table: string, mode: Mode): TableDelivery {
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
    isCommitted: (runId) => attempt(undefined, { step: 'work' }, () => readOutcome(ctx, runId)),

    begin: async (shape, runId) => {
      checkShape(shape, mode)
      const session = await openSession(ctx)
      await attempt(session, { step: 'work' }, async () => {
        await prepareSession(session)
        await ensureMarkerTable(session)
        await lockRun(session, ctx.settings, runId)
        if ((await readMarker(session, runId)) !== undefined)
          throw new Unavailable('maybe', 'This run has been committed already')
        const { existing, isNew } = await prepareTable(session, ctx, table, shape, mode)
        const columns = targetColumns(existing, shape)
        if (isStaged) await createStaging(session, columns, shape)
        await session.run('START TRANSACTION')
        // DELETE and neither TRUNCATE nor a new table in its place: until the commit, readers have the old rows.
        if (mode === 'replace' && !isNew) await session.run(`DELETE FROM ${quote(existing.name)}`)
        run = { id: runId, session, shape, table: existing.name, columns, isNew, loaded: 0 }
      })
    },

    load: async (file) => {
      const { session, shape, columns, table: name } = current()
      const doing: Doing = { step: 'work', columns: shownColumns(shape, columns, isStaged) }
      const count = await attempt(session, doing, () =>
        loadFile(session, loadSql(isStaged ? STAGING : quote(name), shape, columns, isStaged), file, doing),
      )
      current().loaded += count
      return count
    },

    commit: async () => {
      const { id, session, shape, columns, table: name, loaded } = current()
      const doing: Doing = { step: 'work', columns: shownColumns(shape, columns, false) }
      const outcome = await attempt(session, doing, async () => {
        if (isStaged) await lockTable(session, ctx.settings, name)
        const done = isStaged
          ? await mergeStaging(session, name, columns, shape)
          : { added: loaded, changed: 0, removed: 0 }
        await writeMarker(session, name, id, done)
        return done
      })
      await attempt(session, { step: 'commit' }, () => session.run('COMMIT'))
      run = undefined
      await session.close()
      return outcome
    },

    abandon: async () => {
      const ended = run
      run = undefined
      if (ended === undefined) return
      if (ended.isNew) await removeEmpty(ended)
      // The server rolls back what a session leaves open, whether it says goodbye or is cut.
      await ended.session.close()
    },
  }
}

/** Puts away the table that this run has made, so that a run that came to nothing leaves nothing. Never throws. */
async function removeEmpty({ session, table }: Run): Promise<void> {
  try {
    await session.run('ROLLBACK')
    const rows = await session.query(`SELECT 1 FROM ${quote(table)} LIMIT 1`)
    const comment = await session.query<{ comment: string }>(
      'SELECT TABLE_COMMENT AS comment FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?',
      [table],
    )
    if (rows.length === 0 && comment[0]?.comment.includes(OWNED_MARK) === true)
      await session.run(`DROP TABLE ${quote(table)}`)
  } catch {
    // An empty table stays, which the next run fills.
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
 * What does not fit is refused and never bent into shape, and notes (of digits that a column was declared to round away) are
 * not counted as warnings. Time-outs end what hangs: a wait for a lock after one minute, a run that neither loads nor commits
 * after one hour, a server that waits for our rows after ten minutes. Moments mean UTC.
 */
export async function prepareSession(session: Session): Promise<void> {
  const settings = [
    "sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    "time_zone = '+00:00'",
    'sql_notes = 0',
    'autocommit = 1',
    'foreign_key_checks = 1',
    'unique_checks = 1',
    'innodb_lock_wait_timeout = 60',
    'lock_wait_timeout = 60',
    'net_read_timeout = 600',
    'net_write_timeout = 600',
    'wait_timeout = 3600',
  ]
  await session.run(`SET SESSION ${settings.join(', SESSION ')}`)
  // Its words are told by nobody, but the line in them is found by its English.
  await session.run("SET SESSION lc_messages = 'en_US'").catch(() => undefined)
  await session.run('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
}

async function prepareTable(
  session: Session,
  ctx: MysqlContext,
  table: string,
  shape: TableShape,
  mode: Mode,
): Promise<{ readonly existing: ExistingTable; readonly isNew: boolean }> {
  if (mode === 'replace') await lockTable(session, ctx.settings, table)
  const found = await readTable(session, table)
  if (found !== undefined) {
    checkExistingTable(found, shape, mode)
    return { existing: found, isNew: false }
  }
  // Another run may be making it: its end is waited for.
  await lockTable(session, ctx.settings, table)
  const isNew = (await readTable(session, table)) === undefined
  if (isNew) await createTable(session, table, shape, mode === 'append' ? [] : shape.key)
  const existing = await readTable(session, table)
  if (existing === undefined) throw new Unavailable('no', 'The table that was made is gone again')
  checkExistingTable(existing, shape, mode)
  return { existing, isNew }
}

function loadSql(
  into: string,
  shape: TableShape,
  columns: readonly TargetColumn[],
  isStaged: boolean,
): (name: string) => string {
  const cells: string[] = isStaged ? ['`change`'] : []
  const sets: string[] = []
  for (const [index, { name, baseType }] of columns.entries()) {
    const column = isStaged ? `c${index + 1}` : quote(name)
    const read = cellSql(shape.columns[index]?.type ?? 'text', baseType, `@c${index + 1}`)
    cells.push(read === undefined ? column : `@c${index + 1}`)
    if (read !== undefined) sets.push(`${column} = ${read}`)
  }
  return (name) =>
    `LOAD DATA LOCAL INFILE ${name} INTO TABLE ${into} CHARACTER SET utf8mb4
     FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' LINES TERMINATED BY '\\n'
     (${cells.join(', ')})${sets.length === 0 ? '' : ` SET ${sets.join(', ')}`}`
}

/**
 * With LOCAL the server bends what does not fit and skips rows that are there already, and only warns of it, because it cannot
 * stop what is on its way. So a warning is the end of the run.
 */
async function loadFile(
  session: Session,
  sql: (name: string) => string,
  file: OutgoingFile,
  doing: Doing,
): Promise<number> {
  const { count, warnings } = await session.load(sql, nullCells(file.read(PIECE_BYTES)))
  if (warnings === 0) return count
  const told = await session.query<{ Code: string | number; Message: string }>('SHOW WARNINGS LIMIT 1')
  throw rowTrouble(Number(told[0]?.Code ?? 0), told[0]?.Message ?? '', doing)
}

function shownColumns(
  shape: TableShape,
  columns: readonly TargetColumn[],
  isStaged: boolean,
): NonNullable<Doing['columns']> {
  const names = columns.map(
    ({ name }, index) => [isStaged ? `c${index + 1}` : name, shape.columns[index]?.name ?? name] as const,
  )
  return new Map(names)
}
