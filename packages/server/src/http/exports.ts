import type { contract } from '@patchbay/contract'
import { authorizeExport, reachConnection } from '../access/reach.ts'
import { nextSlots } from '../domain/schedule-slots.ts'
import { findConnection, readConnection } from '../store/connection.ts'
import { notFound, stale } from '../store/conflict.ts'
import {
  attachExport,
  createExport,
  detachExport,
  duplicateExport,
  editExport,
  readExport,
  removeExport,
  type ScheduledExport,
} from '../store/export.ts'
import { pageExports, type ExportFilter } from '../store/export-list.ts'
import { readRun } from '../store/run.ts'
import type { Db, Tx } from '../store/schema.ts'
import { makeExportAidHandlers } from './export-aids.ts'
import { answerExport, listedExportsOf } from './export-answer.ts'
import { checkExport, destinationTypeOf } from './export-draft.ts'
import { makeExportManyHandlers } from './export-many.ts'
import type { Call, Handlers } from './handler.ts'
import { cursorOf, pageRequest, pick } from './paging.ts'
import type { HttpPorts } from './ports.ts'
import { refuseRestored } from './refuse-restored.ts'
import { runOf } from './run-answer.ts'

export function makeExportHandlers(ports: HttpPorts): Handlers<typeof contract.exports> {
  const { db } = ports

  const reach = async (db_: Db, reference: string, { identity }: Call): Promise<ScheduledExport> => {
    const target = await readExport(db_, reference)
    await authorizeExport(db_, identity, target)
    return target
  }
  const start = async (reference: string, purpose: 'deliver' | 'preview', call: Call) => {
    await refuseRestored(ports.system)
    return call.change(async (tx) => {
      const { id } = await reach(tx, reference, call)
      return runOf(await readRun(tx, await ports.jobs.startRun(tx, { exportId: id, purpose }, call.by)))
    })
  }

  const attach = async (tx: Tx, target: ScheduledExport, named: string, call: Call): Promise<ScheduledExport> => {
    const connection = await reachConnection(tx, call.identity, named)
    if (connection.id === target.connectionId) return target
    if (connection.connectorId === target.connectorId) await checkExport(ports, tx, target, connection, call.now)
    return attachExport(tx, target.id, connection.id, call.by)
  }

  return {
    ...makeExportAidHandlers(ports),
    ...makeExportManyHandlers(ports),

    async list({ query }, { identity }) {
      const { connection, connector, attached, ...rest } = query
      const over = connection === undefined ? undefined : await findConnection(db, connection)
      // A name that nothing has and one that no export shows are answered alike: which connections there are is not for all.
      if (connection !== undefined && over === undefined) {
        if (identity.role === 'Administrator') throw notFound('connection', connection)
        return { items: [], next: null }
      }
      const filter: ExportFilter = {
        ...pick(rest, ['search', 'kind', 'status', 'schedule']),
        ...(over === undefined ? {} : { connectionId: over.id }),
        ...(connector === undefined ? {} : { connectorId: connector }),
        ...(attached === undefined ? {} : { isAttached: attached === 'yes' }),
      }
      const { items, next } = await pageExports(db, filter, pageRequest(query))
      return { items: await listedExportsOf(db, items, identity), next: cursorOf(query.sort, next) }
    },

    async add({ body }, { by, change, identity, now }) {
      return change(async (tx) => {
        const connection = await reachConnection(tx, identity, body.connection)
        const { connection: _named, ...chosen } = body
        const destinationType = destinationTypeOf(ports.registry, connection.connectorId, body.destinationType)
        const draft = await checkExport(ports, tx, { ...chosen, destinationType }, connection, now)
        return answerExport(tx, await createExport(tx, { ...draft, connectionId: connection.id }, by), identity)
      })
    },

    async show({ params }, { identity }) {
      return answerExport(db, await readExport(db, params.export), identity)
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
          // Without a connection there is no policy to hold it against: that comes when it is attached again.
          const own = before.connectionId === null ? null : await readConnection(tx, before.connectionId)
          const connection = typeof named === 'string' ? await reachConnection(tx, identity, named) : own
          const draft = await checkExport(ports, tx, wanted, connection, now)
          current = await editExport(tx, before.id, before.revision, draft, by)
        }
        if (named === null && current.connectionId !== null) current = await detachExport(tx, before.id, by)
        if (typeof named === 'string') current = await attach(tx, current, named, call)
        return answerExport(tx, current, identity)
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
        return answerExport(tx, await duplicateExport(tx, id, body.name, call.by), call.identity)
      })
    },

    async detach({ params }, call) {
      return call.change(async (tx) => {
        const { id, connectionId } = await reach(tx, params.export, call)
        if (connectionId !== null) await detachExport(tx, id, call.by)
        return answerExport(tx, await readExport(tx, id), call.identity)
      })
    },

    async attach({ params, body }, call) {
      return call.change(async (tx) => {
        const before = await reach(tx, params.export, call)
        return answerExport(tx, await attach(tx, before, body.connection, call), call.identity)
      })
    },

    preview: ({ params }, call) => start(params.export, 'preview', call),
    run: ({ params }, call) => start(params.export, 'deliver', call),

    async schedule({ params, body }, call) {
      const { by, change, now, revision } = call
      return change(async (tx) => {
        const before = await reach(tx, params.export, call)
        const draft = await checkExport(ports, tx, { ...before, schedule: body.schedule }, null, now)
        const edited = await editExport(tx, before.id, revision ?? before.revision, draft, by)
        return answerExport(tx, edited, call.identity)
      })
    },

    async slots({ params, query }, { now }) {
      const { schedule } = await readExport(db, params.export)
      const slots = schedule === null || !schedule.on ? [] : nextSlots(schedule, now, query.count)
      return { slots: slots.map((slot) => slot.toISOString()) }
    },
  }
}
