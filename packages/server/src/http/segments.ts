import type { contract } from '@patchbay/contract'
import { referencesOfRule, sameName } from '../domain/references.ts'
import { parseRule } from '../domain/rule-parse.ts'
import { checkRule, resolveMembers } from '../domain/segment-rule.ts'
import type { Rule, Segment } from '../domain/segment.ts'
import type { Table } from '../domain/table.ts'
import type { Db } from '../store/schema.ts'
import { createSegment, editSegment, listSegments, pageSegments, readSegment, removeSegment } from '../store/segment.ts'
import { listTables, pinTable } from '../store/table.ts'
import type { Handlers } from './handler.ts'
import { cursorOf, pageRequest, pick } from './paging.ts'
import type { HttpPorts, Selection } from './ports.ts'

export function makeSegmentHandlers(ports: HttpPorts): Handlers<typeof contract.segments> {
  const { db, lake } = ports
  return {
    async list({ query }) {
      const { items, next } = await pageSegments(db, pick(query, ['search']), pageRequest(query))
      return { items: items.map(segmentOf), next: cursorOf(query.sort, next) }
    },

    async add({ body }, { by, change }) {
      const rule = parseRule(body.rule)
      return change(async (tx) => {
        checkRule(rule, await listTables(tx), await listSegments(tx), body.name)
        return segmentOf(await createSegment(tx, { name: body.name, rule }, by))
      })
    },

    async show({ params }) {
      return segmentOf(await readSegment(db, params.segment))
    },

    async edit({ params, body }, { by, change, revision }) {
      const given = body.rule === undefined ? undefined : parseRule(body.rule)
      return change(async (tx) => {
        const before = await readSegment(tx, params.segment)
        const name = body.name ?? before.name
        const rule = given ?? before.rule
        const others = (await listSegments(tx)).filter(({ id }) => id !== before.id)
        checkRule(rule, await listTables(tx), others, name)
        return segmentOf(await editSegment(tx, before.id, revision ?? before.revision, { name, rule }, by))
      })
    },

    async remove({ params }, { by, change }) {
      await change(async (tx) => {
        const segment = await readSegment(tx, params.segment)
        await removeSegment(tx, segment.id, by)
      })
    },

    async countDraft({ body }, { now, signal }) {
      const selection = await select(db, parseRule(body.rule), now)
      return { members: await lake.countMembers(selection, signal), of: selection.table.rows }
    },

    async count({ params }, { now, signal }) {
      const segment = await readSegment(db, params.segment)
      const selection = await select(db, segment.rule, now)
      return { members: await lake.countMembers(selection, signal), of: selection.table.rows }
    },

    async members({ params, query }, { now, signal }) {
      const segment = await readSegment(db, params.segment)
      const selection = await select(db, segment.rule, now)
      const rows = await lake.readMembers(selection, query.limit, signal)
      return { fields: selection.table.fields.map(({ name }) => name), items: rows.map((row) => [...row]) }
    },
  }
}

/** The rule over the tables as they are now. Checked anew: they may have changed since it was saved. */
export async function select(db: Db, rule: Rule, now: Date): Promise<Selection> {
  const tables = await listTables(db)
  const segments = await listSegments(db)
  checkRule(rule, tables, segments)
  const where = resolveMembers(rule, segments)
  // The rules of its segments too: a field that they name may have gone with a refresh.
  checkRule(where, tables, segments)
  const { tables: names } = referencesOfRule(where)
  const related = tables.filter(({ name }) => names.some((named) => sameName(named, name)))
  // checkRule has made sure that there is one.
  const profile = tables.find(({ isProfile }) => isProfile) as Table
  return {
    table: await pinTable(db, profile),
    where,
    related: await Promise.all(related.map((table) => pinTable(db, table))),
    now,
  }
}

function segmentOf(segment: Segment) {
  const { id, name, rule, createdAt, updatedAt, revision } = segment
  return { id, name, rule, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString(), revision }
}
