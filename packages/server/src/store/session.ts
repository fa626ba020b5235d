/** Loosely what pg-boss wants of a database. */
export interface QueueDatabase {
  executeSql(text: string, values?: readonly unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}

export interface Session {
  query<R extends object>(text: string, values: readonly unknown[]): Promise<readonly R[]>
  /** Called once when the connection ends by itself; at once when it has ended already. */
  onEnd(ending: () => void): void
  close(): Promise<void>
}
