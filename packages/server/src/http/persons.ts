import { createHash } from 'node:crypto'
import type { contract } from '@patchbay/contract'
import { Problem } from '../domain/problem.ts'
import type { PinnedTable } from '../domain/table.ts'
import { appendAudit } from '../store/audit.ts'
import { readConnection } from '../store/connection.ts'
import { readExport, type ScheduledExport } from '../store/export.ts'
import {
  addErased,
  isErased,
  listLedgers,
  listRemovedExports,
  removeErased,
  type KnownLedger,
} from '../store/person.ts'
import { findOpenRun } from '../store/run.ts'
import { listTables, pinTable } from '../store/table.ts'
import { sameName } from '../domain/references.ts'
import type { Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'

const KEYS_MAX = 100
const REMOVED_SHOWN = 50

export function makePersonHandlers(ports: HttpPorts): Handlers<typeof contract.persons> {
  const { db, lake } = ports

  /** Everything that destinations have accepted of these rows of the table, or of these identifiers. */
  const placesOf = async (
    table: PinnedTable,
    wanted: { readonly keys: readonly string[]; readonly values: readonly string[] },
    signal: AbortSignal,
  ) => {
    const ledgers = (await listLedgers(db)).filter((ledger) => isOf(ledger, table))
    const found = await lake.findInLedgers(
      ledgers.map(({ ref }) => ref),
      wanted,
      signal,
    )
    const places = []
    for (const [index, hits] of found.entries()) {
      const ledger = ledgers[index]
      if (ledger === undefined || hits.length === 0) continue
      const target = await readExport(db, ledger.exportId)
      const connection = target.connectionId === null ? null : await readConnection(db, target.connectionId)
      for (const hit of hits)
        places.push({
          export: { id: target.id, name: target.name },
          connection: connection === null ? null : { id: connection.id, name: connection.name },
          connectorId: target.connectorId,
          destinationType: ledger.plan?.destinationType ?? target.destinationType,
          destination: { ...(ledger.plan?.destination ?? target.destination) },
          key: hit.key,
          state: hit.state,
          since: hit.since ?? target.updatedAt.toISOString(),
          fields: fieldsOf(ledger, target, table),
        })
    }
    return places
  }
  const removed = async () =>
    (await listRemovedExports(db, REMOVED_SHOWN)).map(({ at, ...rest }) => ({ ...rest, at: at.toISOString() }))

  return {
    async find({ body }, { by, change, signal }) {
      const table = await tableOf(db, body.table)
      const { who } = body
      const keys = 'key' in who ? [who.key] : await lake.findKeys(table, who.field, who.value, KEYS_MAX + 1, signal)
      const shown = keys.slice(0, KEYS_MAX)
      const values = 'key' in who ? [] : spellingsOf(who.value)
      const items = await placesOf(table, { keys: shown, values }, signal)
      // That somebody asked, and by what; of whom is a person's data, and stays out of the log.
      const detail = { by: 'key' in who ? 'key' : who.field, rows: shown.length, places: items.length }
      await change((tx) =>
        appendAudit(tx, { at: by.now, actor: by.actor, action: 'person.looked-up', subject: table.id, detail }),
      )
      return {
        keys: [...shown],
        isMore: keys.length > KEYS_MAX,
        erased: await isErased(db, table.id, shown),
        items,
        removedExports: await removed(),
      }
    },

    async erase({ body }, { by, change, signal }) {
      const table = await tableOf(db, body.table)
      await change((tx) => addErased(tx, table.id, body.key, by))
      const places = await placesOf(table, { keys: [body.key], values: [] }, signal)
      const items = []
      for (const place of places) items.push({ place, ...removalOf(await readExport(db, place.export.id)) })
      let runsGoingOn = 0
      for (const exportId of new Set((await listLedgers(db)).map((ledger) => ledger.exportId)))
        if ((await findOpenRun(db, exportId)) !== undefined) runsGoingOn += 1
      return { items, removedExports: await removed(), runsGoingOn }
    },

    async unerase({ body }, { by, change }) {
      const table = await tableOf(db, body.table)
      await change(async (tx) => {
        if (await removeErased(tx, table.id, body.key, by)) return
        throw new Problem('not-found', 'Nobody with this key is erased', { path: 'key', cure: 'Check the key' })
      })
    },
  }
}

async function tableOf(db: HttpPorts['db'], named: string | undefined): Promise<PinnedTable> {
  const table = (await listTables(db)).find(({ name, isProfile }) =>
    named === undefined ? isProfile : sameName(name, named),
  )
  if (table !== undefined) return pinTable(db, table)
  throw named === undefined
    ? new Problem('not-ready', 'There is no profile table yet', { path: 'table', cure: 'Import one' })
    : new Problem('invalid', `table: There is no table "${named}"`, { path: 'table', cure: 'Name one that there is' })
}

/** A ledger of another table has other keys. Where the plan is forgotten, it is looked into all the same. */
function isOf({ plan, source, ref }: KnownLedger, table: PinnedTable): boolean {
  if (ref.kind === 'whole') return ref.source.table.id === table.id
  const planned = plan?.sources.find(({ name }) => name === source)
  return planned === undefined || planned.table.id === table.id
}

/** As the last plan had them; else as the export has them now. */
function fieldsOf({ plan, source, ref }: KnownLedger, target: ScheduledExport, table: PinnedTable) {
  const columns = ref.kind === 'whole' ? ref.source.columns : plan?.sources.find(({ name }) => name === source)?.columns
  if (columns !== undefined)
    return columns.map(({ to, from, transforms, hash }) => ({
      ...{ to, from },
      hashed: hash !== undefined || transforms.includes('hash'),
    }))
  const mapped =
    target.source.kind === 'segment'
      ? target.source.fields
      : target.source.tables.find((chosen) => sameName(chosen.to ?? chosen.table, source))?.fields
  return (
    mapped?.map(({ to, from, transforms }) => ({ to, from, hashed: transforms.includes('hash') })) ??
    table.fields.map(({ name }) => ({ to: name, from: name, hashed: false }))
  )
}

/** An identifier as it may have been sent: in lower case, and as the hash that services ask for. */
function spellingsOf(value: string): readonly string[] {
  const text = value.trim().toLowerCase()
  return [text, createHash('sha256').update(text, 'utf8').digest('hex')]
}

function removalOf({ mode, connectionId, schedule, name }: ScheduledExport) {
  if (mode !== 'mirror' && mode !== 'replace')
    return {
      removal: 'by-hand' as const,
      cure: `"${name}" only adds (${mode}), so it takes nobody out: remove them at the service itself, or set it to mirror`,
    }
  if (connectionId === null)
    return {
      removal: 'detached' as const,
      cure: `"${name}" has no connection: attach it and run it, or remove them at the service itself`,
    }
  return {
    removal: 'next-run' as const,
    cure: schedule?.on === true ? 'Nothing: its schedule is on' : `Run it: patchbay export run "${name}"`,
  }
}
