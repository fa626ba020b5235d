import { readFileSync } from 'node:fs'
import { connectors } from '@patchbay/connectors'
import { checkConnector } from '@patchbay/connector-sdk/testing'
import { describe, expect, it } from 'vitest'
import { CHECKED, CHECKS_PAGE, pageOf } from './connector-checks.ts'

const page = readFileSync(CHECKS_PAGE, 'utf8')
const AGAIN = 'run node scripts/connector-checks.ts'

describe('docs/connectors/checks.md', () => {
  it(`has every connector, in the order of Discover: else ${AGAIN}`, () => {
    const heads = page.split('\n').filter((line) => line.startsWith('| |'))
    expect(heads).toHaveLength(3)
    for (const head of heads) expect(head).toBe(`| |${CHECKED.map(({ id }) => ` ${id} |`).join('')}`)
  })

  it(`has every rule of a definition, and nothing that fails: else ${AGAIN}`, async () => {
    const [first] = connectors
    if (first === undefined) throw new Error('There is no connector')
    for (const { name } of await checkConnector(first)) expect(page).toContain(`| ${name} |`)
    expect(page).not.toContain('| ✗ |')
  })

  it(`is green for every connector as it is now: else mend it, and ${AGAIN}`, async () => {
    for (const connector of connectors)
      expect((await checkConnector(connector)).filter(({ outcome }) => outcome === 'failed')).toEqual([])
  })

  it('shows the worst of several trials, and what does not apply', () => {
    const result = (name: string, outcome: 'passed' | 'failed' | 'skipped', on = 'list') => ({ on, name, outcome })
    const made = pageOf(
      [
        { connector: 'a', results: [result('x', 'skipped'), result('y', 'passed'), result('z', 'passed', 'check')] },
        { connector: 'a', results: [result('x', 'passed'), result('y', 'failed')] },
      ],
      ['a', 'b'],
    )
    expect(made).toContain('| | a | b |\n|---|:-:|:-:|\n| z | ✓ | – |')
    expect(made).toContain('| x | ✓ | – |\n| y | ✗ | – |')
  })
})
