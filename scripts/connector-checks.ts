/**
 * `node scripts/connector-checks.ts`: runs the conformance kit over every connector and writes docs/connectors/checks.md. A
 * test looks whether the page has every connector and every check; the kit itself is run by the connectors' own tests.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectors } from '@patchbay/connectors'
import type { CheckResult } from '@patchbay/connector-sdk/testing'

export interface Findings {
  readonly connector: string
  readonly results: readonly CheckResult[]
}

export const CHECKS_PAGE = fileURLToPath(new URL('../docs/connectors/checks.md', import.meta.url))
const CONFIG = fileURLToPath(new URL('record-checks.config.ts', import.meta.url))

const MARKS: Readonly<Record<CheckResult['outcome'], string>> = { passed: '✓', failed: '✗', skipped: '–' }
const PARTS = [
  { on: 'definition', title: 'What it declares' },
  { on: 'check', title: 'Verify' },
  { on: 'destination', title: 'What it delivers' },
] as const

/** Key vaults deliver nothing: their own tests look at what they declare, and there is no far end to try. */
export const CHECKED = connectors.filter(({ category }) => category !== 'key-vault')

/** One table for all: a row for each check, a column for each connector, in the order of Discover. */
export function pageOf(findings: readonly Findings[], ids: readonly string[]): string {
  const head = `| |${ids.map((id) => ` ${id} |`).join('')}\n|---|${ids.map(() => ':-:|').join('')}`
  const parts = PARTS.map(({ on, title }) => {
    const names = new Set(findings.flatMap(({ results }) => results.filter((one) => partOf(one) === on).map(({ name }) => name)))
    const rows = [...names].map((name) => `| ${name} |${ids.map((id) => ` ${markOf(findings, id, on, name)} |`).join('')}`)
    return `## ${title}\n\n${head}\n${rows.join('\n')}\n`
  })
  return `# What every connector is checked for

Made by \`node scripts/connector-checks.ts\` of the conformance kit's findings; not written by hand. ✓ passed, ✗ failed, – does
not apply to it (files have no rows, an answer at once is no job). Each connector is tried against a real server where there is
one to be had, and else against a fake of its service.

<!-- prettier-ignore-start -->

${parts.join('\n')}
<!-- prettier-ignore-end -->
`
} // prettier-ignore

function partOf({ on }: CheckResult): string {
  return on === 'definition' || on === 'check' ? on : 'destination'
}

/** Of several trials the worst counts; what does not apply in one may in another. */
function markOf(findings: readonly Findings[], id: string, on: string, name: string): string {
  const outcomes = findings
    .filter(({ connector }) => connector === id)
    .flatMap(({ results }) => results.filter((one) => partOf(one) === on && one.name === name))
    .map(({ outcome }) => outcome)
  return MARKS[outcomes.includes('failed') ? 'failed' : outcomes.includes('passed') ? 'passed' : 'skipped']
}

function findAll(): readonly Findings[] {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-checks-'))
  try {
    const { status } = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--config', CONFIG], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env: { ...process.env, CONNECTOR_CHECKS: folder },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    if (status !== 0) throw new Error('A connector does not pass: run its tests')
    return readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Findings)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const findings = findAll()
  const missing = CHECKED.filter(({ id }) => findings.every(({ connector }) => connector !== id))
  if (missing.length > 0) throw new Error(`Without findings: ${missing.map(({ id }) => id).join(', ')}`)
  writeFileSync(CHECKS_PAGE, pageOf(findings, CHECKED.map(({ id }) => id))) // prettier-ignore
}
