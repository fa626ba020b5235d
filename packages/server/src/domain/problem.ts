/** The codes that an answer of the API or the CLI may carry. Stable: scripts depend on them. */
export type ProblemCode =
  | 'invalid' // what was given is wrong: `path` names the place
  | 'not-found'
  | 'conflict' // it exists already, is in use, or was changed meanwhile
  | 'not-allowed'
  | 'not-ready' // right, but not now: no connection, a run is going on, restored and not confirmed
  | 'too-large'
  | 'unavailable' // something outside does not answer

/**
 * An error meant for a person: what happened, where, and what to do. Never holds a value of a row or a secret.
 * Everything else that is thrown is a bug, and is shown as one.
 */
export class Problem extends Error {
  readonly code: ProblemCode
  /** The place in what was given, such as `rule.all[2].field` or `mapping.email`; empty for the whole. */
  readonly path: string
  /** What to do about it, in one sentence. */
  readonly cure: string
  constructor(
    code: ProblemCode,
    message: string,
    options: { readonly path?: string; readonly cure: string; readonly cause?: unknown },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'Problem'
    this.code = code
    this.path = options.path ?? ''
    this.cure = options.cure
  }
}
