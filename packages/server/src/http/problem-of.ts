/** Turns what was thrown, and what a schema found, into the one shape of all answers that are not a success. */
import { STATUS_OF, type ProblemAnswer, type ProblemCode } from '@patchbay/contract'
import type { z } from 'zod'
import { NotSignedIn } from '../access/api-key.ts'
import { Problem } from '../domain/problem.ts'

export type Said = Pick<ProblemAnswer, 'code' | 'path' | 'detail' | 'cure' | 'versions' | 'dependents'>

const TITLES: Readonly<Record<ProblemCode, string>> = {
  invalid: 'What was sent is not right',
  'not-signed-in': 'A key is needed',
  'not-allowed': 'This is not allowed',
  'not-found': 'There is no such thing',
  'method-not-allowed': 'There is no such thing',
  conflict: 'It is in the way of something else',
  'not-ready': 'Not now',
  'too-large': 'Too large',
  'unsupported-media-type': 'The body has another type',
  'too-many': 'Too many requests',
  bug: 'A bug in Patchbay',
  unavailable: 'Something outside does not answer',
}

/** Undefined for everything that is not meant for a person: that is a bug, and its words may hold anything. */
export function problemSaid(error: unknown): Said | undefined {
  if (error instanceof Problem) {
    return { code: error.code, path: error.path, detail: error.message, cure: error.cure }
  }
  if (error instanceof NotSignedIn) {
    return {
      code: 'not-signed-in',
      path: 'headers.Authorization',
      detail: 'The request carries no session and no API key that is known and has not ended',
      cure: 'Sign in; or send a key as "Authorization: Bearer pbk_…"; the operator makes one with: patchbay key add',
    }
  }
  if (error instanceof StaleRemoval) return { ...problemSaid(error.problem), dependents: error.dependents } as Said
  if (error instanceof StaleEdit) return { ...problemSaid(error.problem), versions: error.versions } as Said
  return error instanceof HttpProblem ? error.said : undefined
}

/** A change that was made from an older revision, with both sides for whoever has to choose. */
export class StaleEdit extends Error {
  readonly problem: Problem
  readonly versions: NonNullable<ProblemAnswer['versions']>
  constructor(problem: Problem, versions: StaleEdit['versions']) {
    super(problem.message, { cause: problem })
    this.name = 'StaleEdit'
    this.problem = problem
    this.versions = versions
  }
}

/** A removal that confirmed another list than there is now, with the new one to be looked at. */
export class StaleRemoval extends Error {
  override readonly name = 'StaleRemoval'
  readonly problem: Problem
  readonly dependents: NonNullable<ProblemAnswer['dependents']>
  constructor(problem: Problem, dependents: StaleRemoval['dependents']) {
    super(problem.message, { cause: problem })
    this.problem = problem
    this.dependents = dependents
  }
}

/** What only HTTP can get wrong. */
export class HttpProblem extends Error {
  readonly said: Said
  readonly retryAfterSeconds: number | undefined
  constructor(
    code: ProblemCode,
    detail: string,
    options: { readonly path?: string; readonly cure: string; readonly retryAfterSeconds?: number },
  ) {
    super(detail)
    this.retryAfterSeconds = options.retryAfterSeconds
    this.name = 'HttpProblem'
    this.said = { code, path: options.path ?? '', detail, cure: options.cure }
  }
}

export function problemResponse(
  said: Said,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const answer: ProblemAnswer = {
    type: `urn:patchbay:problem:${said.code}`,
    title: TITLES[said.code],
    status: STATUS_OF[said.code],
    ...said,
    requestId,
  }
  return new Response(JSON.stringify(answer), {
    status: answer.status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  })
}

/** The first thing that a schema found wrong, at its place. `where` is what the place begins with, as `query`. */
export function invalid(error: z.ZodError, where: string): Problem {
  const { path, message } = deepest(error.issues, [])
  const place = pathText(where === '' ? path : [where, ...path])
  return new Problem('invalid', place === '' ? message : `${place}: ${message}`, {
    path: place,
    cure: 'Correct this place; /api/openapi.json describes what is expected',
  })
}

type Issue = z.core.$ZodIssue
type Place = readonly PropertyKey[]

function deepest(issues: readonly Issue[], before: Place): { readonly path: Place; readonly message: string } {
  const [first] = issues
  if (first === undefined) return { path: before, message: 'This cannot be used' }
  const path = [...before, ...first.path]
  if (first.code === 'unrecognized_keys') {
    const [key = ''] = first.keys
    return { path: [...path, key], message: 'There is no such field' }
  }
  if (first.code === 'invalid_union' && first.errors.length > 0) {
    const branches = first.errors.filter((branch) => !isOtherShape(branch))
    // Either one shape was meant, and what is wrong inside it is worth saying, or none was.
    const best = branches.toSorted((a, b) => depthOf(b) - depthOf(a) || a.length - b.length)[0]
    return best === undefined ? { path, message: shapeMessage(first.errors) } : deepest(best, path)
  }
  return { path, message: plain(first) }
}

/** A branch that got inside the value before it found something wrong is nearer to what was meant. */
function depthOf(branch: readonly Issue[]): number {
  return Math.max(0, ...branch.map((issue) => issue.path.length))
}

/** The branch wants other fields, or another kind of value, than what is there. */
function isOtherShape(branch: readonly Issue[]): boolean {
  return branch.some(
    (issue) => issue.path.length === 0 && (issue.code === 'unrecognized_keys' || issue.code === 'invalid_type'),
  )
}

function shapeMessage(branches: readonly (readonly Issue[])[]): string {
  const kinds = branches.flatMap((branch) =>
    branch.flatMap((issue) => (issue.code === 'invalid_type' && issue.path.length === 0 ? [issue.expected] : [])),
  )
  const unique = [...new Set(kinds)]
  return unique.length === branches.length && unique.every((kind) => kind !== 'object')
    ? `A ${unique.join(' or ')} is expected`
    : 'This is none of the shapes that are known here'
}

/** Zod's sentence without the value: some of its messages would show it. */
function plain(issue: Issue): string {
  if (issue.code === 'invalid_type') return `A ${issue.expected} is expected`
  if (issue.code === 'invalid_value') return `One of ${issue.values.map(String).join(', ')} is expected`
  return issue.message.replace(/^Invalid input: /, '')
}

function pathText(path: Place): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? String(part) : `.${String(part)}`
  }
  return text
}
