/** What the benchmark knows of a service on the internet. */
import type { Connector, Value } from '@patchbay/connector-sdk'
import type { SimulatedClock } from './simulated-clock.ts'

/** How long a simulated service works on a job, and on an answer. */
export const JOB_MS = 30_000
export const ANSWER_MS = 200

export interface NextRequest {
  readonly path: string
  readonly method?: 'PUT'
  readonly body?: string
  readonly done: RegExp
}

export interface Service {
  readonly id: string
  readonly connectorAt: (origin: string) => Connector
  readonly settings: Readonly<Record<string, string>>
  readonly secrets: Readonly<Record<string, string>>
  readonly destinationType: string
  readonly destination: (id: string) => Readonly<Record<string, string | boolean>>
  /** Requests that a batch cannot do without: it is sent, and where it is a job, asked for. */
  readonly requestsPerBatch: number
  /** Simulated: the fields of a row, and what the service says to a request. */
  readonly row: (seq: number) => Readonly<Record<string, Value>>
  readonly answer: (url: URL, body: string, clock: SimulatedClock) => { readonly status: number; readonly body: object }
  /** The mapping of the sample table, and the same by hand: a row's JSON as SQL, and the body of many. */
  readonly field: string
  readonly rowSql: string
  readonly bodyOf: (rows: string, id: string) => string
  readonly path: (id: string) => string
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string
  readonly method?: 'PUT'
  /** What a batch needs besides: to ask for its job, or a second step. Its answer must match `done`. */
  readonly next?: (answer: unknown, id: string) => NextRequest
}
