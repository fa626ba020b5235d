/**
 * Requests made by chance, for every endpoint that takes a body: right bodies with something wrong in them, somewhere. No
 * answer is a fault of the program's own, each is one that the description names, and what is refused has changed nothing.
 * A few for each endpoint here; `npm run proof` sends 2,000 (PATCHBAY_CONFUSIONS).
 */
import { randomInt } from 'node:crypto'
import { listEndpoints, problemSchema, STATUS_OF, type ProblemCode } from '@patchbay/contract'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readAuditHead } from '../store/audit.ts'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'
import { bodiesIn, replaced, stepsIn, type Json } from './bodies-test-support.ts'

const COUNT = Number(process.env['PATCHBAY_CONFUSIONS'] ?? 25)
const SEED = Number(process.env['PATCHBAY_CONFUSIONS_SEED'] ?? randomInt(2 ** 31))
const ENDPOINTS = listEndpoints().filter(({ endpoint }) => typeof endpoint.body === 'object')
const ALWAYS: readonly ProblemCode[] = [
  ...(['invalid', 'not-signed-in', 'not-allowed', 'too-many'] as const),
  ...(['too-large', 'unsupported-media-type'] as const),
]

let patchbay: TestPatchbay
let bodies: ReturnType<typeof bodiesIn>
beforeAll(async () => {
  process.stdout.write(`requests made by chance, with the seed ${SEED}\n`)
  patchbay = await openTestPatchbay()
  await makeWorld(patchbay)
  bodies = {
    ...bodiesIn(await patchbay.upload('more.csv', 'id\n1\n')),
    // Verifies what is on this machine: a host made by chance would be looked up in the world.
    'connections.checkDraft': {
      path: '/connections/check',
      body: { connectorId: 'local-folder', settings: { path: '/nowhere' } },
    },
  }
})
afterAll(() => patchbay.remove())

const ODD: readonly Json[] = [
  ...['', ' ', '\u0000', '\u202e', '__proto__', 'constructor', '../..', "'; --", '%00', '🦄', 'x'.repeat(2000)],
  ...[0, -1, 1.5, 1e21, Number.MAX_SAFE_INTEGER, true, false, null],
  ...[[], {}, [[]], [null], { '': 1 }, { toString: 1 }, { length: 1 }],
]
const oddValue = fc.oneof(fc.constantFrom(...ODD), fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>)

interface Mistake {
  readonly at: number
  readonly what: 'replace' | 'remove' | 'add'
  readonly name: string
  readonly value: Json
}
const mistake: fc.Arbitrary<Mistake> = fc.record({
  at: fc.nat(),
  what: fc.constantFrom('replace' as const, 'replace' as const, 'remove' as const, 'add' as const),
  name: fc.oneof(fc.constantFrom('id', 'constructor', 'hasOwnProperty', '$where'), fc.string({ maxLength: 12 })),
  value: oddValue,
})

function withMistakes(body: Json, mistakes: readonly Mistake[]): Json {
  let made = body
  for (const { at, what, name, value } of mistakes) {
    const places = [...stepsIn(made)]
    const steps = places[at % Math.max(1, places.length)] ?? []
    if (what === 'replace') made = replaced(made, steps, value)
    else if (what === 'remove') made = without(made, steps)
    else made = replaced(made, [...steps.slice(0, -1), name === '__proto__' ? 'id' : name], value)
  }
  return made
}

function without(value: Json, [step, ...rest]: readonly (string | number)[]): Json {
  if (step === undefined || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value as readonly Json[]
    return rest.length === 0
      ? items.filter((_, index) => index !== step)
      : items.map((item, index) => (index === step ? without(item, rest) : item))
  }
  const record = value as { readonly [name: string]: Json }
  const { [String(step)]: inner = null, ...others } = record
  return rest.length === 0 ? others : { ...others, [step]: without(inner, rest) }
}

test.each(ENDPOINTS)(
  '$id',
  async ({ id, endpoint }) => {
    const at = bodies[id]
    if (at === undefined) throw new Error(`There is no right body for ${id}`)
    const codes: readonly ProblemCode[] = [...ALWAYS, ...(endpoint.errors ?? [])]
    const run = async (mistakes: readonly Mistake[]): Promise<void> => {
      const body = JSON.stringify(withMistakes(at.body, mistakes))
      const before = await readAuditHead(patchbay.store.db)
      const response = await patchbay.send(`/api/v1${at.path}`, {
        method: endpoint.method,
        as: 'operator',
        headers: { 'if-match': '*' },
        body,
      })
      const text = await response.text()
      if (response.status < 300) {
        expect(response.status).toBe(endpoint.status ?? (endpoint.response === undefined ? 204 : 200))
        if (endpoint.response !== undefined && endpoint.response !== 'stream')
          expect(endpoint.response.safeParse(JSON.parse(text)).success).toBe(true)
        return
      }
      const problem = problemSchema.parse(JSON.parse(text))
      expect(codes).toContain(problem.code)
      expect(response.status).toBe(STATUS_OF[problem.code])
      expect(problem.cure).not.toBe('')
      // That something is not allowed is written down; nothing else is.
      if (problem.code !== 'not-allowed') expect(await readAuditHead(patchbay.store.db)).toEqual(before)
    }
    await fc.assert(fc.asyncProperty(fc.array(mistake, { minLength: 1, maxLength: 3 }), run), {
      numRuns: COUNT,
      seed: SEED,
      interruptAfterTimeLimit: 900_000,
    })
  },
  960_000,
)
