import { expect, test } from 'vitest'
import { closingLine, type Report } from './closing-line.ts'

type FileResult = Report['testResults'][number]

function reportOf(...files: readonly FileResult[]): Report {
  const tests = files.flatMap(({ assertionResults }) => assertionResults)
  const count = (status: string): number => tests.filter((test) => test.status === status).length
  return {
    success: files.length > 0 && files.every(({ status }) => status === 'passed'),
    numPassedTests: count('passed'),
    numFailedTests: count('failed'),
    numPendingTests: count('skipped'),
    numTodoTests: count('todo'),
    testResults: files,
  }
}
const passed = { fullName: 'adds up', status: 'passed' }
const failed = { fullName: 'does not add up', status: 'failed' }

test('all passed', () => {
  const closing = closingLine(reportOf({ name: 'a.test.ts', status: 'passed', assertionResults: [passed, passed] }))
  expect(closing).toEqual({ line: '2 passed, 0 failed', isGood: true, problems: [] })
})

test('a failure', () => {
  const closing = closingLine(reportOf({ name: 'a.test.ts', status: 'failed', assertionResults: [passed, failed] }))
  expect(closing).toMatchObject({ line: '1 passed, 1 failed', isGood: false })
})

test('a file that could not be loaded counts as a failure', () => {
  const loaded = { name: 'a.test.ts', status: 'passed', assertionResults: [passed] }
  const closing = closingLine(reportOf(loaded, { name: 'b.test.ts', status: 'failed', assertionResults: [] }))
  expect(closing).toMatchObject({ line: '1 passed, 1 failed', isGood: false })
})

test('a run that Vitest calls bad is never a good one', () => {
  const report = reportOf({ name: 'a.test.ts', status: 'passed', assertionResults: [passed] })
  expect(closingLine({ ...report, success: false })).toMatchObject({ line: '1 passed, 1 failed', isGood: false })
})

test('no test at all', () => {
  expect(closingLine({ ...reportOf(), success: true })).toMatchObject({ line: '0 passed, 0 failed', isGood: false })
})

test('a skipped test is told, and is bad only where a real server was to be had', () => {
  const sandbox = { fullName: 'runs in a sandbox [needs bubblewrap]', status: 'skipped' }
  const server = { fullName: 'delivers over SFTP [needs openssh-server]', status: 'skipped' }
  const closing = (skipped: typeof sandbox) =>
    closingLine(reportOf({ name: 'a.test.ts', status: 'passed', assertionResults: [passed, skipped] }))
  expect(closing(sandbox)).toMatchObject({ line: '1 passed, 0 failed, 1 skipped', isGood: true })
  expect(closing(server)).toMatchObject({ line: '1 passed, 0 failed, 1 skipped', isGood: false })
})
