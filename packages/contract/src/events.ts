import { endpoint } from './endpoint.ts'

/** Server-sent events (`text/event-stream`): reconnect with `Last-Event-ID`, as browsers do, and nothing is missed. */
export const events = {
  follow: endpoint({
    method: 'GET',
    path: '/events',
    summary:
      'Follows every change that you may see, as events "change" with {kind, id, what}; "reset" says that changes were missed and everything should be read again. Ends when you may no longer read',
    permission: 'export.read',
    response: 'stream',
    media: 'text/event-stream',
  }),
}
