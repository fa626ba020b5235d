/** What the tests from end to end need beside the Patchbay of `test-support`. */
import type { Client } from '@patchbay/contract'
import type { FakeReceiver } from '../../packages/connectors/src/webhook/fake-receiver.ts'
import { openTestPatchbay, type TestPatchbay } from '../../packages/server/src/test-support/test-patchbay.ts'

export type RunRow = Awaited<ReturnType<Client['runs']['rows']>>['items'][number]
type RowList = 'rejected' | 'uncertain' | 'merged' | 'suppressed'

/** Connections may reach loopback, as they may not by default. */
export function openWorld(environment: Readonly<Record<string, string>> = {}): Promise<TestPatchbay> {
  return openTestPatchbay({}, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1', ...environment })
}

/** Runs an export to its end, or until it is held. */
export async function run(patchbay: TestPatchbay, name: string) {
  return patchbay.ended(await patchbay.client.exports.run({ params: { export: name } }))
}

export async function preview(patchbay: TestPatchbay, name: string) {
  return patchbay.ended(await patchbay.client.exports.preview({ params: { export: name } }))
}

/** All pages of a list of rows. */
export async function rowsOf({ client }: TestPatchbay, id: string, which: RowList = 'rejected'): Promise<RunRow[]> {
  const rows: RunRow[] = []
  let cursor: string | undefined
  do {
    const query = { which, limit: 500, ...(cursor === undefined ? {} : { cursor }) }
    const { items, next } = await client.runs.rows({ params: { run: id }, query })
    rows.push(...items)
    cursor = next ?? undefined
  } while (cursor !== undefined)
  return rows
}

/** Every change that a receiver was sent in whole requests from a place on, by its key, the last one. */
export function sentKeys(receiver: FakeReceiver, from: number): ReadonlySet<string> {
  const bodies = receiver.requests.slice(from).filter(({ isWhole }) => isWhole)
  return new Set(
    bodies.flatMap(({ body }) => {
      const { changes = [] } = JSON.parse(body) as { changes?: { readonly key: string }[] }
      return changes.map(({ key }) => key)
    }),
  )
}

/** Every row accounted for, as the run itself must see it. */
export function sumsHold({ counts }: { readonly counts: Readonly<Record<string, number>> }): boolean {
  const sum = (...names: readonly string[]) => names.reduce((total, name) => total + (counts[name] ?? 0), 0)
  return sum('added', 'changed', 'removed') === sum('accepted', 'rejected', 'uncertain', 'unsent')
}
