/** A small world in the control store: a profile table, a connection and an export over it. */
import { randomBytes } from 'node:crypto'
import { DEFAULT_FORMAT, DEFAULT_GUARD } from '../domain/export.ts'
import { newId } from '../domain/ids.ts'
import type { Schedule } from '../domain/schedule.ts'
import type { TableField } from '../domain/table.ts'
import { ANY_TARGETS } from '../domain/targets.ts'
import type { FindConnector } from '../jobs/plan-basis.ts'
import { createConnection } from '../store/connection.ts'
import { createExport, type ExportDraft, type ScheduledExport } from '../store/export.ts'
import type { Tx } from '../store/schema.ts'
import { createTable } from '../store/table.ts'
import { byTester } from './test-store.ts'

const text = (name: string, tags: TableField['tags'] = []): TableField => ({ name, label: name, type: 'text', tags })

const PEOPLE: readonly TableField[] = [
  text('id'),
  text('email', ['personal', 'identifier']),
  { name: 'consent', label: 'Consent', type: 'boolean', tags: [] },
  { name: 'spend', label: 'Spend', type: 'decimal', tags: [] },
]
const ORDERS: readonly TableField[] = [
  text('number'),
  text('person'),
  { name: 'total', label: 'Total', type: 'decimal', tags: ['sensitive'] },
]

export const findConnector: FindConnector = (id) =>
  id === 'webhook'
    ? {
        delivers: (type) => (type === 'list' ? 'rows' : undefined),
        targets: () => ANY_TARGETS,
        repeat: () => ({ kind: 'harmless' }),
        secretsMissing: () => [],
        endpointIdentity: (settings) => `webhook ${JSON.stringify(settings)}`,
      }
    : undefined

export async function createPeople(tx: Tx, now = new Date('2026-01-01T00:00:00Z')) {
  const by = byTester(now)
  const made = (rows: number) => ({ files: [{ name: 'part-1.parquet', rows, sizeBytes: 10 }], rows, badLines: 0 })
  const people = await createTable(
    tx,
    { id: newId('table', randomBytes), name: 'People', isProfile: true, key: 'id', fields: PEOPLE, ...made(3) },
    by,
  )
  const orders = await createTable(
    tx,
    { id: newId('table', randomBytes), name: 'Orders', isProfile: false, key: 'number', fields: ORDERS, ...made(9) },
    by,
  )
  return { people, orders }
}

let numbered = 0

/** With a connection of its own. The profile table must be there. */
export async function createExportOfPeople(
  tx: Tx,
  change: Partial<ExportDraft> = {},
  now = new Date('2026-01-01T00:00:00Z'),
): Promise<ScheduledExport> {
  const number = (numbered += 1)
  const by = byTester(now)
  const connection = await createConnection(
    tx,
    {
      name: `Hook ${number}`,
      connectorId: 'webhook',
      settings: { url: 'https://a.example' },
      policy: { fields: 'all', hashed: [] },
    },
    by,
  )
  return createExport(tx, { ...draftOf(`Export ${number}`), ...change, connectionId: connection.id }, by)
}

export function draftOf(name: string): ExportDraft {
  return {
    name,
    destinationType: 'list',
    destination: { list: 'a' },
    mode: 'upsert',
    source: {
      kind: 'segment',
      segments: [],
      fields: [{ to: 'email', from: 'email', transforms: ['trim', 'lowercase'], identifier: true }],
    },
    merge: { by: 'smallest-key' },
    format: DEFAULT_FORMAT,
    guard: DEFAULT_GUARD,
    schedule: null,
  }
}

export const daily = (at: string, timeZone = 'UTC'): Schedule => ({
  on: true,
  timeZone,
  every: { type: 'daily', at },
  blackout: [],
})
