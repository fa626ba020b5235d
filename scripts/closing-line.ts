/**
 * Reads Vitest's JSON report and prints the closing line of a CI run: `N passed, N failed`, and `, N skipped` where
 * some were. Exits with 1 where the run is not good: a failure, no test at all, or a test of a real server skipped.
 */
import { readFileSync } from 'node:fs'
import { NEEDS } from '../checks/requirement.ts'

/** What is used of the report. */
export interface Report {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

export interface Closing {
  readonly line: string
  readonly isGood: boolean
  /** What makes the run bad, in words. */
  readonly problems: readonly string[]
}

/** Only a kernel can forbid the sandbox; each server can be had everywhere. */
const SERVERS = Object.values(NEEDS)
  .filter(({ refusal }) => refusal === undefined)
  .map(({ debian }) => `[needs ${debian}]`)

export function closingLine(report: Report): Closing {
  // A file that could not be loaded has failed although it counts no test.
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  )
  const counted = report.numFailedTests + unloaded.length
  const failed = counted === 0 && !report.success ? 1 : counted
  const skipped = report.numPendingTests + report.numTodoTests
  const skippedServers = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status, fullName }) => status !== 'passed' && status !== 'failed' && isServerTest(fullName))

  const problems = [
    ...unloaded.map(({ name }) => `could not be run: ${name}`),
    ...(report.numPassedTests + failed === 0 ? ['no test was run'] : []),
    ...skippedServers.map(({ fullName }) => `skipped although its server is required: ${fullName}`),
  ]
  return {
    line: `${report.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
    isGood: failed === 0 && problems.length === 0,
    problems,
  }
}

function isServerTest(fullName: string): boolean {
  return SERVERS.some((label) => fullName.includes(label))
}

if (import.meta.main) {
  const file = process.argv[2]
  if (file === undefined) throw new Error('Usage: node scripts/closing-line.ts <report.json>')
  const { line, isGood, problems } = closingLine(JSON.parse(readFileSync(file, 'utf8')) as Report)
  for (const problem of problems) console.error(problem)
  console.log(line)
  process.exitCode = isGood ? 0 : 1
}
