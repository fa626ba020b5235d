import type { contract } from '@patchbay/contract'
import { authorizeExport } from '../access/reach.ts'
import { nextSlots } from '../domain/schedule-slots.ts'
import { readConnection } from '../store/connection.ts'
import { stale } from '../store/conflict.ts'
import {
  attachExport,
  createExport,
  detachExport,
  duplicateExport,
  editExport,
  listExports,
  readExport,
  removeExport,
  type ScheduledExport,
} from '../store/export.ts'
import { readRun } from '../store/run.ts'
import type { Db } from '../store/schema.ts'
import { checkExport, destinationTypeOf } from './export-draft.ts'
import type { Call, Handlers } from './handler.ts'
import { pageOfList } from './paging.ts'
import type { HttpPorts } from './ports.ts'
import { refuseRestored } from './refuse-restored.ts'
import { runOf } from './runs.ts'

export function makeExportHandlers(ports: HttpPorts): Handlers<typeof contract.exports> {
  const { db } = ports

  const reach = async (db_: Db, reference: string, { identity }: Call): Promise<ScheduledExport> => {
    const target = await readExport(db_, reference)
    authorizeExport(identity, target)
    return target
  }
  const start = async (reference: string, purpose: 'deliver' | 'preview', call: Call) => {
    await refuseRestored(ports.system)
    return call.change(async (tx) => {
      const { id } = await reach(tx, reference, call)
      return runOf(await readRun(tx, await ports.jobs.startRun(tx, { exportId: id, purpose }, call.by)))
    })
  }

  return {
    async list({ query }) {
      const page = pageOfList(await listExports(db), query, ({ name }) => name)
      return { items: page.items.map(exportOf), next: page.next }
    },

    async add({ body }, { by, change, identity, now }) {
      return change(async (tx) => {
        const connection = await readConnection(tx, body.connection)
        authorizeExport(identity, { connectionId: connection.id, createdBy: by.actor })
        const { connection: _named, ...chosen } = body
        const destinationType = destinationTypeOf(ports.registry, connection.connectorId, body.destinationType)
        const draft = await checkExport(ports, tx, { ...chosen, destinationType }, connection, now)
        return exportOf(await createExport(tx, { ...draft, connectionId: connection.id }, by))
      })
    },

    async show({ params }) {
      return exportOf(await readExport(db, params.export))
    },

    async edit({ params, body }, call) {
      const { by, change, identity, revision, now } = call
      return change(async (tx) => {
        const before = await reach(tx, params.export, call)
        if (revision !== undefined && revision !== before.revision) throw stale('export', before.name)
        const { connection: named, ...changes } = body
        let current: ScheduledExport = before
        if (Object.keys(changes).length > 0) {
          const wanted = { ...before, ...changes }
          const over = named ?? before.connectionId
          // Without a connection there is no policy to hold it against: that comes when it is attached again.
          const connection = over === null ? null : await readConnection(tx, over)
          const draft = await checkExport(ports, tx, wanted, connection, now)
          current = await editExport(tx, before.id, before.revision, draft, by)
        }
        if (named === null && current.connectionId !== null) current = await detachExport(tx, before.id, by)
        if (typeof named === 'string') {
          const connection = await readConnection(tx, named)
          authorizeExport(identity, { connectionId: connection.id, createdBy: by.actor })
          if (connection.id !== current.connectionId) {
            await checkExport(ports, tx, current, connection, now)
            current = await attachExport(tx, before.id, connection.id, by)
          }
        }
        return exportOf(current)
      })
    },

    async remove({ params }, call) {
      await call.change(async (tx) => {
        const { id } = await reach(tx, params.export, call)
        await removeExport(tx, id, call.by)
      })
    },

    async duplicate({ params, body }, call) {
      return call.change(async (tx) => {
        const { id } = await reach(tx, params.export, call)
        return exportOf(await duplicateExport(tx, id, body.name, call.by))
      })
    },

    preview: ({ params }, call) => start(params.export, 'preview', call),
    run: ({ params }, call) => start(params.export, 'deliver', call),

    async schedule({ params, body }, call) {
      const { by, change, now } = call
      return change(async (tx) => {
        const before = await reach(tx, params.export, call)
        const draft = await checkExport(ports, tx, { ...before, schedule: body.schedule }, null, now)
        return exportOf(await editExport(tx, before.id, before.revision, draft, by))
      })
    },

    async slots({ params, query }, { now }) {
      const { schedule } = await readExport(db, params.export)
      const slots = schedule === null || !schedule.on ? [] : nextSlots(schedule, now, query.count)
      return { slots: slots.map((slot) => slot.toISOString()) }
    },
  }
}

function exportOf(found: ScheduledExport) {
  const { source, schedule } = found
  return {
    id: found.id,
    name: found.name,
    connectionId: found.connectionId,
    connectorId: found.connectorId,
    destinationType: found.destinationType,
    destination: { ...found.destination },
    mode: found.mode,
    source:
      source.kind === 'segment'
        ? { ...source, segments: [...source.segments], fields: source.fields.map(mappedOf) }
        : {
            ...source,
            tables: source.tables.map(({ fields, ...table }) => ({
              ...table,
              ...(fields === undefined ? {} : { fields: fields.map(mappedOf) }),
            })),
          },
    merge: found.merge,
    format: found.format,
    guard: found.guard,
    schedule: schedule === null ? null : scheduleOf(schedule),
    createdAt: found.createdAt.toISOString(),
    createdBy: found.createdBy,
    updatedAt: found.updatedAt.toISOString(),
    updatedBy: found.updatedBy,
    nextAt: found.nextAt?.toISOString() ?? null,
    pausedReason: found.pausedReason,
    revision: found.revision,
  }
}

type Mapped = Extract<ScheduledExport['source'], { readonly kind: 'segment' }>['fields'][number]

function mappedOf(field: Mapped) {
  return { ...field, transforms: [...field.transforms] }
}

function scheduleOf(schedule: NonNullable<ScheduledExport['schedule']>) {
  const { every, blackout, ...rest } = schedule
  return {
    ...rest,
    every: every.type === 'weekly' ? { ...every, days: [...every.days] } : every,
    blackout: blackout.map((pause) => ({ ...pause, days: [...pause.days] })),
  }
}
