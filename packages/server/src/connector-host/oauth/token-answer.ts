/**
 * Services answer a token request each in their own dialect. What is harmless of it is brought into the standard's form
 * before the library judges it: members that are null, numbers written as text, lists of scopes, a missing token type. The
 * type is always taken for `bearer`, since the connector declares how its token is sent.
 */
import type { FetchAnswer } from '@patchbay/connector-sdk'

export function standardAnswer(answer: FetchAnswer, keepIdToken: boolean): Response {
  const body = parse(answer.text())
  const said = body === undefined ? undefined : inStandardForm(body, keepIdToken)
  const isError = said !== undefined && said['access_token'] === undefined && typeof said['error'] === 'string'
  const status = isError && answer.status < 400 ? 400 : answer.status
  return new Response(JSON.stringify(said ?? null), { status, headers: { 'content-type': 'application/json' } })
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}

function inStandardForm(body: Readonly<Record<string, unknown>>, keepIdToken: boolean): Record<string, unknown> {
  const said: Record<string, unknown> = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
  const seconds = Number(said['expires_in'])
  delete said['expires_in']
  // 0 is what a service says whose tokens do not end.
  if (Number.isFinite(seconds) && seconds > 0) said['expires_in'] = Math.floor(seconds)
  const { scope } = said
  delete said['scope']
  if (typeof scope === 'string') said['scope'] = scope
  if (Array.isArray(scope)) said['scope'] = scope.map(String).join(' ')
  if (said['refresh_token'] === '') delete said['refresh_token']
  if (!keepIdToken) delete said['id_token']
  if (said['access_token'] !== undefined) said['token_type'] = 'bearer'
  const code = oddErrorOf(said['error'])
  if (code !== undefined) said['error'] = code
  return said
}

/** An error that is an object, as Meta's: 190 is a token that does not hold any more. */
function oddErrorOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  return 'code' in error && error.code === 190 ? 'invalid_grant' : 'invalid_request'
}
