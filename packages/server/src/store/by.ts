/** Who makes a change, and when: handed to every write that a person or a schedule asks for. */
export interface By {
  /** A user's or an API key's name, `schedule`, or `command line`. */
  readonly actor: string
  readonly now: Date
  readonly randomBytes: (size: number) => Uint8Array
}
