import { expect, it } from 'vitest'
import { isLaidOut, laidOutName, layoutProblem } from './file-layout.ts'

const DATED = '{table}/{yyyy}/{MM}/{dd}/{HHmm}/{table}_{part}'
const run = { stem: 'people', now: '2026-02-03T04:05:06.789Z', part: 2 } as const

it('lays files out by the run’s moment', () => {
  expect(laidOutName(DATED, { ...run, mode: 'replace' })).toBe('people/2026/02/03/0405/people_002')
  expect(laidOutName('out/{HH}-{mm}/{table}.{part}', { ...run, mode: 'replace' })).toBe('out/04-05/people.002')
})

it('gives two runs of one minute two names where files stand beside each other', () => {
  const first = laidOutName(DATED, { ...run, mode: 'append' })
  const second = laidOutName(DATED, { ...run, mode: 'append', now: '2026-02-03T04:05:06.790Z' })
  expect(first).toBe('people/2026/02/03/0405/people_20260203T040506789Z_002')
  expect(second).not.toBe(first)
})

it('finds the table of a file again, and no other one’s', () => {
  for (const mode of ['replace', 'append'] as const) {
    const name = `${laidOutName('{table}_{part}', { ...run, mode })}.csv.gz`
    expect(isLaidOut('{table}_{part}', 'people', name)).toBe(true)
    for (const other of ['peopl', 'people_1', 'people_2', 'p.ople'])
      expect(isLaidOut('{table}_{part}', other, name)).toBe(false)
  }
  expect(isLaidOut(DATED, 'people', 'people/2026/02/03/0405/other_002.csv')).toBe(false)
  expect(isLaidOut('{table}_{part}', 'a', 'a_1_001.csv')).toBe(false)
})

it.each([
  '',
  '{part}',
  '{table}',
  '{part}/{table}',
  '{table}/{day}_{part}',
  '/{table}_{part}',
  '{table}//{part}',
  '../{table}_{part}',
  '{table}/./{part}',
  '.hidden/{table}_{part}',
  '{table} /{part}',
  '{table}\\{part}',
  '{table}_{part}{',
  '{table}_{part}\n',
  `${'x'.repeat(300)}{table}_{part}`,
])('refuses %j', (template) => {
  expect(layoutProblem(template)).toBeTypeOf('string')
})

it.each([DATED, '{table}_{part}', 'year={yyyy}/month={MM}/{table}-{part}'])('takes %j', (template) => {
  expect(layoutProblem(template)).toBeUndefined()
})
