import { describe, expect, it } from 'vitest'
import { DEFAULT_FORMAT } from './export.ts'
import { distinctStem, fileStems, partFileName } from './file-names.ts'

describe('file names', () => {
  it('are the plain name of a source', () => {
    const stems = fileStems(['customers', 'Order Items', 'Müller.v2', '顧客', '-x', '', '../../etc'])
    expect([...stems.values()]).toEqual(['customers', 'Order_Items', 'Muller_v2', '__', '_x', '_', '______etc'])
  })

  it('are different for different sources, whatever these are called', () => {
    const digested = distinctStem('a b')
    const names = ['a b', 'a.b', 'a_b', 'A_B', digested, '-', '_', '😀', 'x'.repeat(80), `${'x'.repeat(80)}y`]
    const stems = [...fileStems(names).values()]
    expect(new Set(stems.map((stem) => stem.toLowerCase())).size).toBe(names.length)
    expect(stems.every((stem) => /^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/.test(stem))).toBe(true)
    expect(fileStems(names).get('a_b')).toBe('a_b')
  })

  it('tell runs apart, but not the runs of a whole', () => {
    const name = { stem: 'a', tableVersion: 3, now: '2026-03-01T12:34:56.789Z', part: 12 }
    expect(partFileName({ ...name, mode: 'replace' }, DEFAULT_FORMAT)).toBe('a/a_v3_012.csv')
    expect(partFileName({ ...name, mode: 'append' }, { ...DEFAULT_FORMAT, type: 'json-lines', gzip: true })).toBe(
      'a/a_v3_20260301T123456789Z_012.jsonl.gz',
    )
  })
})
