/** What went wrong, in the three parts that a person needs: what happened, where, and what to do. */
import { ApiProblem, NotPatchbay } from '@patchbay/contract'
import { t } from '../messages/index.ts'
import { Unreachable } from './client.ts'

export interface Trouble {
  readonly what: string
  readonly cure: string
  /** The place in what was sent, as `settings.host`; empty for the whole. */
  readonly path: string
  readonly code: string
  /** To find it in the log; only of a mistake in Patchbay itself. */
  readonly requestId?: string
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ApiProblem) {
    const { message: what, cure, path, code, requestId } = error
    return { what, cure, path, code, ...(code === 'bug' ? { requestId } : {}) }
  }
  if (error instanceof Unreachable)
    return { what: t('problem.unreachable'), cure: t('problem.unreachable.cure'), path: '', code: 'unreachable' }
  if (error instanceof NotPatchbay)
    return { what: t('problem.other-version'), cure: t('problem.other-version.cure'), path: '', code: 'other-version' }
  return { what: t('problem.page'), cure: t('problem.page.cure'), path: '', code: 'page' }
}

/** The trouble belongs to this field, or to something in it. */
export function isAt(trouble: Trouble | undefined, path: string): boolean {
  return trouble !== undefined && (trouble.path === path || trouble.path.startsWith(`${path}.`))
}

/** Both sides of a stale edit, where the error is one. */
export function versionsOf(error: unknown): ApiProblem['versions'] {
  return error instanceof ApiProblem ? error.versions : undefined
}
