import { ConnectionRefused, Unavailable, type TableDelivery } from '@patchbay/connector-sdk'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { OpenDestination } from './ports.ts'
import { never, run, TestWorld } from './testing.ts'

describe('a table whose commit is not answered', () => {
  interface FarEnd {
    rows: number
    markers: Set<string>
  }
  type Moment = 'commit-lost' | 'commit-unanswered' | 'commit-refused' | 'marker-unreadable' | 'load-broken' | 'good'

  const outcomeOf = ({ rows }: FarEnd) => ({ added: rows, changed: 0, removed: 0 })

  /** One step for each attempt at the far end; what comes after the last goes well. */
  function tableDestination(far: FarEnd, moments: Moment[], append: boolean): OpenDestination {
    const openDelivery = (): Promise<TableDelivery> => {
      const moment = moments.shift() ?? 'good'
      let staged = 0
      let marker = ''
      return Promise.resolve({
        isCommitted: (runId) =>
          moment === 'marker-unreadable'
            ? Promise.reject(new Unavailable('no', 'not reached'))
            : Promise.resolve(far.markers.has(runId) ? outcomeOf(far) : undefined),
        begin: (_, runId) => {
          marker = runId
          return moment === 'marker-unreadable'
            ? Promise.reject(new Unavailable('no', 'not reached'))
            : Promise.resolve()
        },
        load: (file) => {
          if (moment === 'load-broken') return Promise.reject(new Unavailable('maybe', 'reset'))
          staged += file.rows
          return Promise.resolve(file.rows)
        },
        commit: () => {
          if (moment === 'commit-refused') return Promise.reject(new ConnectionRefused('no rights'))
          if (moment === 'commit-lost') return Promise.reject(new Unavailable('maybe', 'reset'))
          far.rows = append ? far.rows + staged : staged
          far.markers.add(marker)
          if (moment === 'commit-unanswered') return Promise.reject(new Unavailable('maybe', 'reset'))
          return Promise.resolve(outcomeOf(far))
        },
        abandon: () => Promise.resolve(),
      })
    }
    return { delivers: 'table', openDelivery, close: () => Promise.resolve() }
  }

  test('is told by the marker, and by nothing else: never lost, never doubled, uncertain only where it cannot be read', async () => {
    const moment = fc.constantFrom<Moment>(
      'commit-lost',
      'commit-unanswered',
      'commit-refused',
      'marker-unreadable',
      'load-broken',
      'good',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(moment, { maxLength: 30 }), fc.boolean(), async (moments, append) => {
        const repeat = { kind: append ? ('blind' as const) : ('harmless' as const) }
        const world = new TestWorld(10, {}, { delivers: 'table', mode: append ? 'append' : 'upsert', repeat })
        const far: FarEnd = { rows: 0, markers: new Set() }
        const destination = tableDestination(far, [...moments], append)
        for (let execution = 0; world.settlement === null; execution++) {
          await run(world, destination, never(), execution === 1)
        }
        const counts = world.settlement.counts
        expect(counts.accepted + counts.uncertain + counts.unsent).toBe(10)
        if (counts.accepted > 0) expect([counts.accepted, far.rows]).toEqual([10, 10])
        if (counts.unsent > 0) expect([counts.unsent, far.rows]).toEqual([10, 0])
        // In doubt only after a commit that was sent, where the last word was that nothing could be read.
        const sent = moments.some((one) => one === 'commit-lost' || one === 'commit-unanswered')
        if (counts.uncertain > 0) expect(sent && moments.includes('marker-unreadable')).toBe(true)
        expect(far.rows).toBeLessThanOrEqual(10)
      }),
      { numRuns: 300 },
    )
  })

  test('is uncertain where the marker cannot be read to the last', async () => {
    for (const commit of ['commit-lost', 'commit-unanswered'] as const) {
      const world = new TestWorld(10, {}, { delivers: 'table', mode: 'append', repeat: { kind: 'blind' } })
      const far: FarEnd = { rows: 0, markers: new Set() }
      const moments: Moment[] = [commit, ...Array.from({ length: 20 }, () => 'marker-unreadable' as const)]
      expect((await run(world, tableDestination(far, moments, true), never(), true)).status).toBe('failed')
      expect(world.settlement?.counts).toMatchObject({ accepted: 0, uncertain: 10, unsent: 0 })
      expect([...world.journal.values()].find(({ kind }) => kind === 'commit')?.uncertain).toBe(10)
    }
  })
})
