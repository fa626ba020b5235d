import { ApiProblem, NotPatchbay, type ProblemCode, type RunStatus } from '@patchbay/contract'
import { CommanderError } from 'commander'
import { Problem } from '../domain/problem.ts'
import { SettingInvalid } from '../settings.ts'

export const EXIT = {
  done: 0,
  failed: 1,
  wrongInput: 2,
  held: 3,
  rejects: 4,
  notNow: 5,
  bug: 70,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_CODES_TEXT = `
Exit codes:
  0   done
  1   failed: a run failed or was canceled, or a check found something wrong
  2   wrong usage, or something in what was given is not right
  3   a run is held, and waits for an approval
  4   a run completed, and some rows were rejected or are uncertain
  5   not now: in use by another process, not reachable, or not ready
  70  a bug in Patchbay`

/** What became of a command, in the one form that both people and programs are told of it. */
export interface Failure {
  readonly code: ProblemCode | 'usage'
  readonly path: string
  readonly detail: string
  readonly cure: string
  readonly exitCode: ExitCode
}

/** Undefined for a bug: everything that was not made to be shown. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof ApiProblem) {
    const { code, path, message, cure, requestId } = error
    const detail = code === 'bug' ? `${message} (request ${requestId})` : message
    return { code, path, detail, cure, exitCode: exitCodeOf(code) }
  }
  if (error instanceof Problem) {
    const { code, path, message, cure } = error
    return { code, path, detail: message, cure, exitCode: exitCodeOf(code) }
  }
  if (error instanceof SettingInvalid)
    return { code: 'invalid', path: error.setting, detail: error.message, cure: error.cure, exitCode: EXIT.wrongInput }
  if (error instanceof NotPatchbay)
    return {
      code: 'unavailable',
      path: '',
      detail: error.message,
      cure: 'Check that it is a Patchbay of this version that listens there',
      exitCode: EXIT.notNow,
    }
  if (error instanceof CommanderError) {
    const isIncomplete = error.code === 'commander.help'
    const detail = isIncomplete ? 'It is not said what to do' : error.message.replace(/^error: /, '')
    return { code: 'usage', path: '', detail, cure: 'See --help of the command', exitCode: EXIT.wrongInput }
  }
  return undefined
}

function exitCodeOf(code: ProblemCode): ExitCode {
  switch (code) {
    case 'too-many':
    case 'not-ready':
    case 'unavailable':
      return EXIT.notNow
    case 'bug':
      return EXIT.bug
    case 'invalid':
    case 'not-signed-in':
    case 'not-allowed':
    case 'not-found':
    case 'method-not-allowed':
    case 'conflict':
    case 'too-large':
    case 'unsupported-media-type':
      return EXIT.wrongInput
  }
}

/** Of a run that was waited for. */
export function exitCodeOfRun(status: RunStatus): ExitCode {
  switch (status) {
    case 'successful':
      return EXIT.done
    case 'completed-with-rejects':
      return EXIT.rejects
    case 'held':
      return EXIT.held
    case 'queued':
    case 'running':
    case 'failed-retrying':
    case 'failed':
    case 'canceled':
    case 'skipped':
      return EXIT.failed
  }
}
