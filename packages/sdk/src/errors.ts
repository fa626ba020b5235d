import type { CheckStep } from './connector.ts'

/** The step of Verify that a failure stops. The host sets it, since it sees where a request ended; connectors need not. */
interface StepOption {
  readonly step?: CheckStep['step'] | undefined
}

/** What a connector may throw. Each class says who acts next; anything else is a bug in the connector and is shown as one. */
export abstract class ConnectorError extends Error {
  abstract readonly code:
    | 'connection-refused'
    | 'settings-invalid'
    | 'destination-invalid'
    | 'rate-limited'
    | 'unavailable'
    | 'batch-rejected'
}

/** Credentials or trust no longer hold: the run stops, and an Administrator must mend the connection (at `field`, where known). */
export class ConnectionRefused extends ConnectorError {
  readonly code = 'connection-refused'
  readonly field: string | undefined
  readonly step: CheckStep['step'] | undefined
  constructor(message: string, options?: ErrorOptions & StepOption & { readonly field?: string | undefined }) {
    super(message, options)
    this.name = 'ConnectionRefused'
    this.field = options?.field
    this.step = options?.step
  }
}

/** A setting of the connection is wrong: the run stops, and the set-up pane marks the field. */
export class SettingsInvalid extends ConnectorError {
  readonly code = 'settings-invalid'
  readonly field: string
  constructor(field: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SettingsInvalid'
    this.field = field
  }
}

/** What the export writes to cannot take it (a foreign file in the way, a column missing): the export's editor must act. */
export class DestinationInvalid extends ConnectorError {
  readonly code = 'destination-invalid'
  readonly field: string
  constructor(field: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DestinationInvalid'
    this.field = field
  }
}

/** The service asks for a pause: the same batch is sent again, no sooner than `afterSeconds`. Nothing of it was taken. */
export class RateLimited extends ConnectorError {
  readonly code = 'rate-limited'
  readonly afterSeconds: number | undefined
  constructor(afterSeconds: number | undefined, message = 'The service asked for a pause', options?: ErrorOptions) {
    super(message, options)
    this.name = 'RateLimited'
    this.afterSeconds = afterSeconds
  }
}

/**
 * The service cannot be reached or broke off. `sent` says whether the far end can have seen any of it:
 * `no` is safe to send again, `maybe` follows the destination's `repeat`. `afterSeconds` is the pause that the service
 * asked for, as a 503 with Retry-After does: unlike `RateLimited`, it does not say that nothing was taken.
 */
export class Unavailable extends ConnectorError {
  readonly code = 'unavailable'
  readonly sent: 'no' | 'maybe'
  readonly afterSeconds: number | undefined
  readonly step: CheckStep['step'] | undefined
  constructor(
    sent: 'no' | 'maybe',
    message: string,
    options?: ErrorOptions & StepOption & { readonly afterSeconds?: number | undefined },
  ) {
    super(message, options)
    this.name = 'Unavailable'
    this.sent = sent
    this.afterSeconds = options?.afterSeconds
    this.step = options?.step
  }
}

/** The service refused the whole batch and took none of it: the engine splits it until the bad rows stand alone. */
export class BatchRejected extends ConnectorError {
  readonly code = 'batch-rejected'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'BatchRejected'
  }
}
