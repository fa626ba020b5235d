/** Rows that a receiver cannot take, by kind, and a receiver's rules by which it finds them: by what stands in the row. */
import type { Change } from '@patchbay/connector-sdk'
import type { Verdict } from '../../packages/connectors/src/webhook/fake-receiver.ts'

/** One row; a bigint is written digit by digit. */
export type Row = Readonly<Record<string, string | number | bigint | boolean | null>>

export interface PoisonKind {
  readonly name: string
  readonly spoil: (index: number) => Row
  /** What `runs.rows` has to give as the reason. */
  readonly reason: string
  readonly judge?: (fields: Change['fields']) => boolean
  /** How the receiver says it; without, row by row. */
  readonly by?: 'poison' | 'silence' | 'patchbay'
}

const text = (fields: Change['fields'], name: string): string => {
  const value = fields[name]
  return typeof value === 'string' ? value : ''
}
const number = (fields: Change['fields'], name: string): number => Number(fields[name] ?? 0)
const inName = (pattern: RegExp) => (fields: Change['fields']) => pattern.test(text(fields, 'name'))
const isNote = (note: string) => (fields: Change['fields']) => fields['note'] === note

/** Larger than the 4,000,000 bytes that one request of the webhook may have. */
const TOO_LARGE = 4_100_000

export const POISON_KINDS: readonly PoisonKind[] = [
  {
    name: 'an address without @',
    spoil: (index) => ({ email: `person-${index}.example.org` }),
    judge: (fields) => fields['email'] !== null && !text(fields, 'email').includes('@'),
    reason: 'invalid-field',
  },
  {
    name: 'no address',
    spoil: () => ({ email: null }),
    judge: (fields) => fields['email'] === null,
    reason: 'missing-identifier',
  },
  {
    name: 'an address with a blank',
    spoil: (index) => ({ email: `per son-${index}@example.org` }),
    judge: (fields) => text(fields, 'email').includes(' '),
    reason: 'invalid-field',
  },
  {
    name: 'an address of 300 characters',
    spoil: (index) => ({ email: `${'a'.repeat(280)}${index}@example.org` }),
    judge: (fields) => text(fields, 'email').length > 254,
    reason: 'invalid-field',
  },
  { name: 'a delete', spoil: () => ({ name: 'A\u007fB' }), judge: inName(/\u007f/), reason: 'invalid-field' },
  {
    name: 'a bell',
    spoil: () => ({ name: 'A\u0007B' }),
    judge: (fields) => text(fields, 'name').includes('\u0007'),
    reason: 'invalid-field',
  },
  { name: 'a turned text', spoil: () => ({ name: 'A\u202eB' }), judge: inName(/\u202e/), reason: 'invalid-field' },
  { name: 'no character', spoil: () => ({ name: 'A\uffffB' }), judge: inName(/\uffff/), reason: 'invalid-field' },
  { name: 'a line break', spoil: () => ({ name: 'A\r\nB' }), judge: inName(/\r\n/), reason: 'invalid-field' },
  { name: 'a line separator', spoil: () => ({ name: 'A\u2028B' }), judge: inName(/\u2028/), reason: 'invalid-field' },
  {
    name: 'a heap of accents',
    spoil: () => ({ name: `Z${'\u0301'.repeat(60)}` }),
    judge: inName(/\u0301{50}/),
    reason: 'other',
  },
  {
    name: 'beyond the first plane',
    spoil: () => ({ name: '👩‍👩‍👧‍👦 𝔓' }),
    judge: inName(/[\u{10000}-\u{10ffff}]/u),
    reason: 'not-allowed',
  },
  {
    name: 'quotes and backslashes',
    spoil: () => ({ name: `\\"'</script>\\u0041{}[],` }),
    judge: inName(/<\/script>/),
    reason: 'not-allowed',
  },
  {
    name: 'a name of 40,000 characters',
    spoil: () => ({ name: 'lang '.repeat(8000) }),
    judge: (fields) => text(fields, 'name').length > 10_000,
    reason: 'too-large',
  },
  {
    name: 'a negative age',
    spoil: () => ({ age: -1 }),
    judge: (row) => number(row, 'age') < 0,
    reason: 'invalid-field',
  },
  {
    name: 'an age beyond 2^53',
    spoil: () => ({ age: 9_007_199_254_740_993n }),
    judge: (fields) => number(fields, 'age') > 150,
    reason: 'invalid-field',
  },
  {
    name: 'an amount near the largest',
    spoil: () => ({ amount: 1.7e308 }),
    judge: (fields) => number(fields, 'amount') > 1e300,
    reason: 'invalid-field',
  },
  {
    name: 'an amount near nothing',
    spoil: () => ({ amount: 5e-320 }),
    judge: (fields) => number(fields, 'amount') > 0 && number(fields, 'amount') < 1e-300,
    reason: 'invalid-field',
  },
  {
    name: 'the year 1',
    spoil: () => ({ born: '0001-01-01' }),
    judge: (fields) => text(fields, 'born').startsWith('0001'),
    reason: 'invalid-field',
  },
  {
    name: 'the year 9999',
    spoil: () => ({ born: '9999-12-31' }),
    judge: (fields) => text(fields, 'born').startsWith('9999'),
    reason: 'invalid-field',
  },
  { name: 'known already', spoil: () => ({ note: 'twin' }), judge: isNote('twin'), reason: 'duplicate' },
  { name: 'unknown', spoil: () => ({ note: 'gone' }), judge: isNote('gone'), reason: 'not-found' },
  {
    name: 'never answered',
    spoil: () => ({ note: 'silence' }),
    judge: isNote('silence'),
    by: 'silence',
    reason: 'unanswered',
  },
  {
    name: 'makes the receiver refuse the whole batch',
    spoil: () => ({ note: 'poison' }),
    judge: isNote('poison'),
    by: 'poison',
    reason: 'other',
  },
  {
    name: 'larger than a request may be',
    spoil: () => ({ note: 'x'.repeat(TOO_LARGE) }),
    by: 'patchbay',
    reason: 'too-large',
  },
]

const LARGE = POISON_KINDS.length - 1
/** Of the largest there are few: each takes four megabytes. */
const LARGE_ROWS = 2

/** The kind of the n-th bad row. */
export function kindOf(bad: number): PoisonKind {
  const kind = POISON_KINDS[bad < LARGE_ROWS ? LARGE : bad % LARGE]
  if (kind === undefined) throw new Error('There is no such kind')
  return kind
}

export function judgeRow({ fields }: Change): Verdict {
  const kind = POISON_KINDS.find(({ judge }) => judge?.(fields) === true)
  if (kind === undefined) return 'accepted'
  if (kind.by === 'poison' || kind.by === 'silence') return kind.by
  return { status: 'rejected', reason: kind.reason, message: kind.name }
}

/** A record of CSV; null is the empty field, and a text always stands in quotes. */
export function recordOf(row: Row): string {
  const cells = Object.values(row).map((value) =>
    typeof value === 'string' && value !== '' ? `"${value.replaceAll('"', '""')}"` : String(value ?? ''),
  )
  return `${cells.join(',')}\n`
}
