/** Who consented at the service. */
export interface Account {
  readonly id: string
  readonly name: string
  /** What else the connector must know of it later, such as the host of its API. No secret: it is stored as it is. */
  readonly details?: Readonly<Record<string, string>>
}
