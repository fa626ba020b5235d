import type { contract } from '@patchbay/contract'
import { newId, type TableId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import type { Table, TableField, TableVersion } from '../domain/table.ts'
import type { Tx } from '../store/schema.ts'
import {
  addVersion,
  createTable,
  editTable,
  findTable,
  listVersions,
  pageTables,
  pinTable,
  readTable,
  removeTable,
  reserveVersion,
} from '../store/table.ts'
import type { Handlers } from './handler.ts'
import { cursorOf, cursorProblem, makeCursor, pageRequest, pick, readCursor } from './paging.ts'
import type { HttpPorts } from './ports.ts'
import { completeUploads, discardUploads } from './uploads.ts'

/** Shown of the lines that were left out; the number of all is in the version. */
const BAD_LINES_SHOWN = 100

export function makeTableHandlers(ports: HttpPorts): Handlers<typeof contract.tables> {
  return {
    async list({ query }) {
      const { items, next } = await pageTables(ports.db, pick(query, ['search']), pageRequest(query))
      return { items: items.map((table) => tableOf(table, table.rows)), next: cursorOf(query.sort, next) }
    },

    async inspect({ body }, { signal }) {
      const files = await completeUploads(ports, body.uploads)
      const found = await ports.lake.inspect(files, body.read, signal)
      return {
        ...found,
        fields: found.fields.map((field) => ({ ...field })),
        notes: [...found.notes],
        badLines: found.badLines.slice(0, BAD_LINES_SHOWN).map((line) => ({ ...line })),
        sample: found.sample.map((row) => [...row]),
      }
    },

    async import({ body }, { by, change, signal }) {
      // Looked up before the long work as well, so that a name in use is said at once.
      if ((await findTable(ports.db, body.name)) !== undefined) throw nameInUse(body.name)
      const files = await completeUploads(ports, body.uploads)
      const id = newId('table', ports.randomBytes)
      const target = { tableId: id, version: 1, key: body.key }
      const how = {
        read: body.read,
        types: body.types,
        badLinesMax: body.badLinesMax,
        previous: null,
        allowSchemaChange: false,
      }
      const done = await ports.lake.importVersion(target, files, how, signal)
      const imported = await withFiles(ports, id, 1, () =>
        change(async (tx) => {
          const fields = described(done.made.fields, body)
          const draft = { id, name: body.name, isProfile: body.isProfile, key: body.key, ...done.made, fields }
          const table = await createTable(tx, draft, by)
          return importedOf(tx, table, done)
        }),
      )
      await discardUploads(ports, files)
      return imported
    },

    async show({ params }) {
      return showTable(ports.db, await readTable(ports.db, params.table))
    },

    async refresh({ params, body }, { by, change, signal }) {
      const table = await readTable(ports.db, params.table)
      const files = await completeUploads(ports, body.uploads)
      const version = await reserveVersion(ports.db, table.id)
      const target = { tableId: table.id, version, key: table.key }
      const { read, types, badLinesMax, allowSchemaChange } = body
      const how = { read, types, badLinesMax, allowSchemaChange, previous: table.fields }
      const done = await ports.lake.importVersion(target, files, how, signal)
      const imported = await withFiles(ports, table.id, version, () =>
        change(async (tx) => {
          const refreshed = await addVersion(tx, table.id, version, done.made, by)
          await ports.jobs.tableRefreshed(tx, refreshed.id, by)
          return importedOf(tx, refreshed, done)
        }),
      )
      await discardUploads(ports, files)
      return imported
    },

    async edit({ params, body }, { by, change, revision }) {
      return change(async (tx) => {
        const table = await readTable(tx, params.table)
        const edited = await editTable(
          tx,
          table.id,
          revision ?? table.revision,
          {
            name: body.name ?? table.name,
            isProfile: body.isProfile ?? table.isProfile,
            fields: editedFields(table, body.fields ?? {}),
          },
          by,
        )
        return showTable(tx, edited)
      })
    },

    async remove({ params }, { by, change }) {
      await change(async (tx) => {
        const table = await readTable(tx, params.table)
        await removeTable(tx, table.id, by)
      })
    },

    async versions({ params }) {
      const table = await readTable(ports.db, params.table)
      const versions = await listVersions(ports.db, table.id)
      return { items: versions.map((version) => versionOf(version, table.currentVersion)) }
    },

    async rows({ params, query }, { signal }) {
      const table = await readTable(ports.db, params.table)
      const pinned = await pinTable(ports.db, table)
      const offset = query.cursor === undefined ? 0 : offsetOf(query.cursor, table)
      const rows = await ports.lake.readRows(pinned, { offset, limit: query.limit }, signal)
      const next = offset + rows.length
      return {
        fields: pinned.fields.map(({ name }) => name),
        items: rows.map((row) => [...row]),
        next: next < pinned.rows && rows.length > 0 ? makeCursor(String(table.currentVersion), String(next)) : null,
      }
    },

    async profile({ params, query }, { signal }) {
      const table = await readTable(ports.db, params.table)
      const field = table.fields.find(({ name }) => name === query.field)
      if (field === undefined) throw noField(table, query.field, 'query.field')
      const profile = await ports.lake.profileField(await pinTable(ports.db, table), field.name, signal)
      return { name: field.name, type: field.type, ...profile, common: [...profile.common] }
    },
  }
}

/** The files of a version that the store did not take are thrown away. */
async function withFiles<T>(ports: HttpPorts, id: TableId, version: number, store: () => Promise<T>): Promise<T> {
  try {
    return await store()
  } catch (error) {
    await ports.lake.discardVersion(id, version)
    throw error
  }
}

/** A page of a version that is gone by now would be a page of other rows. */
function offsetOf(cursor: string, table: Table): number {
  const [version, offset = ''] = readCursor(cursor, 2)
  if (!/^\d{1,15}$/.test(offset)) throw cursorProblem()
  if (version !== String(table.currentVersion))
    throw new Problem('conflict', 'The table was refreshed meanwhile', {
      path: 'query.cursor',
      cure: 'Begin again with the first page',
    })
  return Number(offset)
}

function described(
  fields: readonly TableField[],
  given: {
    readonly tags: Readonly<Record<string, readonly TableField['tags'][number][]>>
    readonly labels: Readonly<Record<string, string>>
  },
): readonly TableField[] {
  for (const [part, names] of Object.entries({ tags: given.tags, labels: given.labels })) {
    const unknown = Object.keys(names).find((name) => !fields.some((field) => field.name === name))
    if (unknown !== undefined)
      throw new Problem('invalid', `${part}.${unknown}: The files have no such field`, {
        path: `${part}.${unknown}`,
        cure: `The fields are ${fields.map(({ name }) => name).join(', ')}`,
      })
  }
  return fields.map((field) => ({
    ...field,
    label: given.labels[field.name] ?? field.label,
    tags: given.tags[field.name] ?? field.tags,
  }))
}

function editedFields(
  table: Table,
  changes: Readonly<Record<string, { readonly label?: string; readonly tags?: TableField['tags'] }>>,
): readonly TableField[] {
  const unknown = Object.keys(changes).find((name) => !table.fields.some((field) => field.name === name))
  if (unknown !== undefined) throw noField(table, unknown, `fields.${unknown}`)
  return table.fields.map((field) => ({ ...field, ...changes[field.name] }))
}

function noField(table: Table, name: string, path: string): Problem {
  return new Problem('invalid', `${path}: The table "${table.name}" has no field "${name}"`, {
    path,
    cure: `Its fields are ${table.fields.map((field) => field.name).join(', ')}`,
  })
}

function nameInUse(name: string): Problem {
  return new Problem('conflict', `There is a table named "${name}" already`, {
    path: 'name',
    cure: 'Refresh that table, or choose another name; upper and lower case make no difference',
  })
}

async function importedOf(
  tx: Tx,
  table: Table,
  { badLines, notes, change }: Awaited<ReturnType<HttpPorts['lake']['importVersion']>>,
) {
  const [version] = await listVersions(tx, table.id)
  if (version === undefined) throw new Error('A table without a version')
  return {
    table: tableOf(table, version.rows),
    version: versionOf(version, table.currentVersion),
    badLines: badLines.slice(0, BAD_LINES_SHOWN).map((line) => ({ ...line })),
    notes: [...notes],
    change: {
      added: [...change.added],
      removed: [...change.removed],
      retyped: change.retyped.map((field) => ({ ...field })),
    },
  }
}

async function showTable(db: HttpPorts['db'], table: Table) {
  return tableOf(table, (await pinTable(db, table)).rows)
}

function tableOf(table: Table, rows: number) {
  const { createdAt, updatedAt, ...rest } = table
  const fields = table.fields.map(fieldOf)
  return { ...rest, fields, rows, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() }
}

function versionOf(version: TableVersion, currentVersion: number) {
  return {
    version: version.version,
    fields: version.fields.map(fieldOf),
    rows: version.rows,
    sizeBytes: version.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    badLines: version.badLines,
    createdAt: version.createdAt.toISOString(),
    isCurrent: version.version === currentVersion,
  }
}

function fieldOf(field: TableField) {
  return { ...field, tags: [...field.tags] }
}
