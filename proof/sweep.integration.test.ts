import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { NEEDS as SERVERS, requirement, type RequirementName } from '../checks/requirement.ts'
import { SINKS } from './sinks.ts'
import { positionsOf, Sweep } from './sweep.ts'

/** Real servers that are not among the packages. */
const NEEDS: Readonly<Record<string, RequirementName>> = { postgresql: 'postgresql', mysql: 'mariadb' }

/** Kills a connector in a test run; `npm run proof` does them all. */
const SAMPLE = 2
const seed = Number(process.env['PROOF_SEED'] ?? Math.trunc(Math.random() * 2 ** 31))

/** A small generator (mulberry32), so that a printed seed gives the same cases again. */
function numbersFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

// Each is a row of processes, one after the other: two rows at once keep two cores at work.
describe.concurrent.each(Object.keys(SINKS))('killed at any moment: %s', (connector) => {
  const need = NEEDS[connector]
  test.skipIf(need !== undefined && !requirement(need).available)(
    `nothing lost, nothing doubled, PROOF_SEED=${seed} [needs ${need === undefined ? 'nothing' : SERVERS[need].debian}]`,
    async ({ expect }) => {
      const root = await mkdtemp(join(tmpdir(), 'patchbay-sweep-'))
      try {
        const sweep = await Sweep.open(connector, join(root, 'sweep'))
        try {
          const cases = Object.entries(await sweep.countHits()).flatMap(([failpoint, hits]) =>
            positionsOf(hits).map((nth) => ({ failpoint, nth })),
          )
          const next = numbersFrom(seed)
          const drawn = cases.map((one) => ({ one, at: next() })).toSorted((a, b) => a.at - b.at)
          for (const { one } of drawn.slice(0, SAMPLE)) {
            expect(await sweep.kill(one.failpoint, one.nth)).toMatchObject({ ...one, faults: [] })
          }
          expect(cases.length).toBeGreaterThan(SAMPLE)
        } finally {
          await sweep.close()
        }
      } finally {
        await rm(root, { recursive: true, force: true })
      }
    },
  )
})
