/** What a destination of the proof tells of itself. */
export interface Sink {
  readonly connector: string
  readonly settings: Readonly<Record<string, string | number>>
  /** Secrets by the field's name. */
  readonly secrets: Readonly<Record<string, string>>
  readonly destination: Readonly<Record<string, string | number | boolean>>
  /** A fake of a service on the internet, with the mapping that its fields ask for. */
  readonly service?: { readonly origin: string; readonly fields: readonly object[] }
  readonly mode: string
  /** More than one where a run publishes several files together. */
  readonly tables: number
  /** Rows that may be left uncertain by one crash: those of one batch where a repeat is blind. */
  readonly uncertainMax: number
  /** How often each row took effect, by its key. */
  readEffects(): Promise<ReadonlyMap<string, number>>
  /** Names that should not be there any more: temporary files, staging tables. */
  readLeftovers(): Promise<readonly string[]>
  reset(): Promise<void>
  stop(): Promise<void>
}
