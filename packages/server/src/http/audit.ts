import type { contract } from '@patchbay/contract'
import { listAudit, verifyAudit } from '../store/audit.ts'
import type { Handlers } from './handler.ts'
import { cursorProblem, makeCursor, readCursor } from './paging.ts'
import type { HttpPorts } from './ports.ts'

export function makeAuditHandlers(ports: HttpPorts): Handlers<typeof contract.audit> {
  return {
    async list({ query }) {
      const entries = await listAudit(ports.db, {
        limit: query.limit,
        ...(query.subject === undefined ? {} : { subject: query.subject }),
        ...(query.cursor === undefined ? {} : { before: seqOf(query.cursor) }),
      })
      const last = entries.at(-1)
      return {
        items: entries.map((entry) => ({ ...entry, at: entry.at.toISOString(), detail: { ...entry.detail } })),
        next: last !== undefined && entries.length === query.limit ? makeCursor(String(last.seq)) : null,
      }
    },
    async verify() {
      const verdict = await verifyAudit(ports.db, ports.system.readAuditAnchor())
      return verdict.ok
        ? { ok: true, events: verdict.entries, head: verdict.head.hash, brokenAt: null, what: null }
        : { ok: false, events: Math.max(0, verdict.seq - 1), head: null, brokenAt: verdict.seq, what: verdict.what }
    },
  }
}

function seqOf(cursor: string): number {
  const [seq = ''] = readCursor(cursor, 1)
  if (!/^\d{1,15}$/.test(seq)) throw cursorProblem()
  return Number(seq)
}
