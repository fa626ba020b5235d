import type { checkConnection } from '../connector-host/check-connection.ts'
import type { Registry } from '../connector-host/registry.ts'

/** The SDK's types as the registry hands them out: this area does not see the SDK itself. */
export type Connector = Registry['connectors'][number]
export type Fields = Connector['settings']
export type Field = Fields[string]
export type Destination = Connector['destinations'][string]
export type CheckStep = ReturnType<typeof checkConnection> extends AsyncIterable<infer S> ? S : never
