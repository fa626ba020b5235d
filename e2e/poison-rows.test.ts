/** Bad rows among many good ones: the good ones go, each bad one is named with its reason, and only these are tried again. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Change } from '@patchbay/connector-sdk'
import { startFakeReceiver, type FakeReceiver } from '../packages/connectors/src/webhook/fake-receiver.ts'
import type { TestPatchbay } from '../packages/server/src/test-support/test-patchbay.ts'
import { judgeRow, kindOf, recordOf, POISON_KINDS, type Row } from './support/poison-kinds.ts'
import { openWorld, rowsOf, run, sentKeys, sumsHold } from './support/world.ts'

const SIGNING_SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
const ROWS = 100_000
const BAD = 1000
const EVERY = ROWS / BAD
/** Good rows for which the receiver says "later" once: all in one batch, as each batch that hears it waits. */
const LATER = { from: 10_001, to: 10_030 }
const GOOD_NAMES = [
  'Zoë',
  'Ærøskøbing',
  'Łukasz',
  '王小明',
  'محمد',
  'שָׁלוֹם',
  'नमस्ते',
  '  two blanks ',
  "O'Hara",
  'a,"b";c\ttab',
]

let patchbay: TestPatchbay
let receiver: FakeReceiver

beforeEach(async () => {
  receiver = await startFakeReceiver({ signingSecret: SIGNING_SECRET })
  patchbay = await openWorld()
})
afterEach(async () => {
  await patchbay.remove()
  await receiver.stop()
})

const keyOf = (index: number): string => `k${String(index).padStart(6, '0')}`
/** Scattered, so that some batches have many and some have few; the number of the bad row, or undefined. */
const badNumber = (index: number): number | undefined => {
  const within = (Math.floor(index / EVERY) * 37) % EVERY
  return index % EVERY === within ? Math.floor(index / EVERY) : undefined
}

function rowOf(index: number): Row {
  const bad = badNumber(index)
  return {
    id: keyOf(index),
    email: `person-${index}@example.org`,
    name: GOOD_NAMES[index % GOOD_NAMES.length] ?? '',
    age: index % 100,
    amount: index / 4,
    born: '1980-02-29',
    note: '',
    ...(bad === undefined ? {} : kindOf(bad).spoil(index)),
  }
}

async function importRows(): Promise<void> {
  function* lines(): Generator<string> {
    yield `${Object.keys(rowOf(0)).join(',')}\n`
    for (let index = 0; index < ROWS; index += 1000)
      yield Array.from({ length: 1000 }, (_, offset) => recordOf(rowOf(index + offset))).join('')
  }
  const uploads = [await patchbay.upload('people.csv', [...lines()].join(''))]
  await patchbay.client.tables.import({ body: { uploads, name: 'people', key: 'id' } })
}

async function addExport(): Promise<void> {
  await patchbay.client.connections.add({
    body: {
      name: 'Receiver',
      connectorId: 'webhook',
      settings: { url: receiver.url },
      secrets: { signingSecret: SIGNING_SECRET },
    },
  })
  await patchbay.client.exports.add({
    body: {
      name: 'People',
      connection: 'Receiver',
      destination: { repeat: 'harmless' },
      mode: 'upsert',
      source: { kind: 'data-out', tables: [{ table: 'people' }] },
    },
  })
}

/** The rules of `judgeRow`, and "later" at the first sight of some good rows. */
function judgeWithPatience(): (change: Change) => ReturnType<typeof judgeRow> {
  const later = new Set<string>()
  for (let index = LATER.from; index <= LATER.to; index++) if (badNumber(index) === undefined) later.add(keyOf(index))
  return (change) => {
    const verdict = judgeRow(change)
    return verdict === 'accepted' && later.delete(change.key)
      ? { status: 'retry', message: 'Busy with this one' }
      : verdict
  }
}

describe(`${BAD} bad rows of ${POISON_KINDS.length} kinds among ${ROWS}`, () => {
  it('the good ones are delivered, each bad one is named, and only these are sent again', async () => {
    const expected = new Map<string, string>()
    for (let index = 0; index < ROWS; index++) {
      const bad = badNumber(index)
      if (bad !== undefined) expected.set(keyOf(index), kindOf(bad).reason)
    }
    expect(expected.size).toBe(BAD)
    expect(POISON_KINDS).toHaveLength(25)
    await importRows()
    await addExport()
    receiver.behave({ does: 'judge', judge: judgeWithPatience() })

    const first = await run(patchbay, 'People')
    expect(first).toMatchObject({
      status: 'completed-with-rejects',
      counts: { read: ROWS, added: ROWS, accepted: ROWS - BAD, rejected: BAD, uncertain: 0, unsent: 0, merged: 0 },
    })
    expect(sumsHold(first)).toBe(true)
    const listed = await rowsOf(patchbay, first.id)
    expect(new Map(listed.map(({ key, reason }) => [key, reason]))).toEqual(expected)
    expect(listed).toHaveLength(BAD)
    expect(new Set(listed.map(({ reason }) => reason)).size).toBe(new Set(POISON_KINDS.map((kind) => kind.reason)).size)

    // Each good row once, as it was written; of the bad ones nothing.
    expect(receiver.taken.size).toBe(ROWS - BAD)
    expect([...receiver.taken.values()].every((times) => times === 1)).toBe(true)
    const wrong = Array.from({ length: ROWS }, (_, index) => index).filter((index) => {
      const fields = receiver.rows.get(keyOf(index))
      if (expected.has(keyOf(index))) return fields !== undefined
      // Amounts in scientific notation are among the bad ones, and make the column text.
      return fields?.['name'] !== rowOf(index)['name'] || Number(fields?.['amount']) !== index / 4
    })
    expect(wrong).toEqual([])
    expect(receiver.refusedSignatures()).toBe(0)

    // The next run sends the rejected ones, which the receiver now likes no better, and nothing else.
    const sendable = new Set([...expected.keys()].filter((key) => kindOf(numberOf(key)).by !== 'patchbay'))
    const before = receiver.requests.length
    const second = await run(patchbay, 'People')
    expect(second.status).toBe('completed-with-rejects')
    expect(second.counts).toMatchObject({ unchanged: ROWS - BAD, added: BAD, accepted: 0, rejected: BAD })
    expect(sumsHold(second)).toBe(true)
    expect(sentKeys(receiver, before)).toEqual(sendable)

    // The receiver has learnt to take them: a retry delivers all but those that no request can hold.
    receiver.behave({ does: 'accept' })
    const beforeRetry = receiver.requests.length
    const retry = await patchbay.ended(await patchbay.client.runs.retry({ params: { run: second.id }, body: {} }))
    expect(retry).toMatchObject({ status: 'completed-with-rejects', startedBy: 'retry', retryOf: second.id })
    expect(retry.counts).toMatchObject({ accepted: sendable.size, rejected: BAD - sendable.size })
    expect(sentKeys(receiver, beforeRetry)).toEqual(sendable)
    const left = (await rowsOf(patchbay, retry.id)).map(({ key, reason }) => [key, reason])
    expect(new Map(left.map(([key = '', reason]) => [key, reason]))).toEqual(
      new Map([...expected].filter(([key]) => !sendable.has(key))),
    )
    expect([...receiver.taken.values()].every((times) => times === 1)).toBe(true)
    expect(receiver.taken.size).toBe(ROWS - (BAD - sendable.size))
  })
})

describe('what no JSON could carry is refused at the door, by its line', () => {
  it.each([
    ['NUL', String.raw`{"id":"b","name":"A\u0000B"}`],
    ['a broken line', '{"id":"b","name":'],
  ])('%s', async (_, line) => {
    const content = `{"id":"a","name":"good"}\n${line}\n{"id":"c","name":"good"}\n`
    const body = { uploads: [await patchbay.upload('people.jsonl', content)], name: 'people', key: 'id' }
    await expect(patchbay.client.tables.import({ body })).rejects.toThrow(/people\.jsonl, line 2/)
    const uploads = [await patchbay.upload('people.jsonl', content)]
    const imported = await patchbay.client.tables.import({ body: { ...body, uploads, badLinesMax: 1 } })
    expect(imported.version.rows).toBe(2)
    expect(imported.badLines).toMatchObject([{ file: 'people.jsonl', line: 2 }])
  })
})

function numberOf(key: string): number {
  const bad = badNumber(Number(key.slice(1)))
  if (bad === undefined) throw new Error('This row is not bad')
  return bad
}
