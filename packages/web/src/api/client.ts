/** The one door from the pages to the server: the contract's typed client over `fetch`, at the page's own origin. */
import { API_ROOT, makeClient } from '@patchbay/contract'

type Listener = () => void
const listeners = new Set<Listener>()

/** Called when the server no longer knows who asks: the session has ended, here or in another tab. */
export function onSignedOut(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** The server could not be reached at all, so nobody knows whether it did what was asked. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

async function transport(request: Request): Promise<Response> {
  const response = await fetch(request, { credentials: 'same-origin' }).catch((error: unknown) => {
    if (request.signal.aborted) throw error
    throw new Unreachable('The server does not answer', { cause: error })
  })
  if (response.status === 401 && !request.url.endsWith(`${API_ROOT}/session`))
    for (const listener of listeners) listener()
  return response
}

export const client = makeClient(transport, location.origin)
