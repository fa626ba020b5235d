/** A connector and a host around it that tests can bend. */
import { defineConnector, type Connector } from '@patchbay/connector-sdk'
import { parseAllowedHosts } from '../allow-hosts.ts'
import { makeContext, type HostedContext } from '../context.ts'
import { makeConnectorHost, type ConnectorHost, type HostOptions } from '../host.ts'

export const CANARY = 'cnry-7f3!x"k/9\\Ω value'

/** Rows over HTTP to `url`, with a token: the least that a service wants. */
export const exampleConnector: Connector = defineConnector({
  id: 'example',
  name: 'Example',
  summary: 'A service for tests.',
  category: 'messaging',
  direction: 'export',
  settings: {
    url: { kind: 'text', label: 'Address', endpoint: true },
    token: { kind: 'secret', label: 'Token', help: 'Account, then Keys.' },
  },
  auth: {
    type: 'header',
    // A header takes ASCII only; the canary in full goes elsewhere.
    headers: ({ token }) => ({ authorization: `Bearer ${Buffer.from(token.reveal()).toString('base64')}` }),
  },
  async *check(ctx) {
    await ctx.fetch(ctx.settings.url)
    yield { step: 'reached', ok: true }
  },
  destinations: {},
})

export interface Example {
  readonly host: ConnectorHost
  readonly lines: string[]
}

export function exampleHost(options: Partial<HostOptions> = {}): Example {
  const lines: string[] = []
  const host = makeConnectorHost({
    rules: { allowed: parseAllowedHosts('127.0.0.0/8, localhost') },
    fileRoots: [],
    log: { info: (fields, message) => lines.push(JSON.stringify({ ...fields, message })) },
    ...options,
  })
  return { host, lines }
}

export function openExample(
  url: string,
  options: Partial<HostOptions> & { readonly connector?: Connector; readonly signal?: AbortSignal } = {},
): Promise<HostedContext & { readonly lines: string[] }> {
  const { connector = exampleConnector, signal = new AbortController().signal, ...rest } = options
  const { host, lines } = exampleHost(rest)
  const access = { connectionId: 'con_1', settings: { url }, readSecret: () => Promise.resolve(CANARY) }
  return makeContext(host, connector, access, signal, 'administrators').then((hosted) => ({ ...hosted, lines }))
}
