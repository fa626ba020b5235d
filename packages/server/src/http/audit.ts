import type { contract } from '@patchbay/contract'
import { pageAudit, verifyAudit, type AuditFilter, type StoredAuditEntry } from '../store/audit.ts'
import type { Db } from '../store/schema.ts'
import type { Handlers } from './handler.ts'
import { cursorProblem, makeCursor, pick, readCursor } from './paging.ts'
import type { HttpPorts } from './ports.ts'

export function makeAuditHandlers(ports: HttpPorts): Handlers<typeof contract.audit> {
  return {
    async list({ query }) {
      const entries = await pageAudit(ports.db, filterOf(query), {
        descending: query.sort === '-seq',
        limit: query.limit + 1,
        ...(query.cursor === undefined ? {} : { after: seqOf(query.cursor, query.sort) }),
      })
      const shown = entries.slice(0, query.limit)
      const last = entries.length > query.limit ? shown.at(-1) : undefined
      return {
        items: shown.map(entryOf),
        next: last === undefined ? null : makeCursor(query.sort, String(last.seq)),
      }
    },
    export: ({ query }, call) => Promise.resolve(exportOf(ports.db, filterOf(query), call.signal)),
    async verify() {
      const verdict = await verifyAudit(ports.db, ports.system.readAuditAnchor())
      return verdict.ok
        ? { ok: true, events: verdict.entries, head: verdict.head.hash, brokenAt: null, what: null }
        : { ok: false, events: Math.max(0, verdict.seq - 1), head: null, brokenAt: verdict.seq, what: verdict.what }
    },
  }
}

type Query = { readonly [K in 'subject' | 'actor' | 'action' | 'since' | 'until']?: string }

function filterOf({ since, until, ...query }: Query): AuditFilter {
  return {
    ...pick(query, ['subject', 'actor', 'action']),
    ...(since === undefined ? {} : { since: new Date(since) }),
    ...(until === undefined ? {} : { until: new Date(until) }),
  }
}

const EXPORT_PAGE = 1000

function exportOf(db: Db, filter: AuditFilter, signal: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let after = 0
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      signal.throwIfAborted()
      const entries = await pageAudit(db, filter, { descending: false, after, limit: EXPORT_PAGE })
      const last = entries.at(-1)
      if (last !== undefined) {
        after = last.seq
        controller.enqueue(encoder.encode(entries.map((entry) => `${JSON.stringify(entryOf(entry))}\n`).join('')))
      }
      if (entries.length < EXPORT_PAGE) controller.close()
    },
  })
}

function entryOf(entry: StoredAuditEntry) {
  return { ...entry, at: entry.at.toISOString(), detail: { ...entry.detail } }
}

function seqOf(cursor: string, sort: string): number {
  const [of, seq = ''] = readCursor(cursor, 2)
  if (of !== sort || !/^\d{1,15}$/.test(seq)) throw cursorProblem()
  return Number(seq)
}
