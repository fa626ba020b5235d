/** One finished file on the spool, ready to be sent. Its bytes do not change, so it can be read again after a failure. */
export interface OutgoingFile {
  /** Path relative to the destination's folder, of checked parts joined by `/`. */
  readonly name: string
  readonly rows: number
  readonly sizeBytes: number
  /** Hex SHA-256 of the bytes. */
  readonly sha256: string
  /** The bytes in order, in pieces of `pieceBytes` (the last may be smaller). Each piece is the reader's to keep. */
  read(pieceBytes: number): AsyncIterable<Uint8Array>
}

/** What a connector saw at the far end after writing. The engine compares it with what it sent. */
export interface FileReceipt {
  readonly sizeBytes: number
}

/** A file that Patchbay wrote for this export and that stands at the destination. */
export interface DeliveredFile {
  readonly name: string
  readonly rows: number
  readonly sizeBytes: number
  readonly sha256: string
}

/** All files of one run, published together. */
export interface Manifest {
  readonly files: readonly DeliveredFile[]
  /** The description of tables and types that stands beside the files; written last. */
  readonly model: OutgoingFile
  /** Files of earlier runs of this export that this run takes the place of: removed after the new ones stand. */
  readonly superseded: readonly DeliveredFile[]
}

/**
 * One run's writing of files. `put` may run `limits.partsInFlight` times at once and leaves nothing under a final name;
 * `commit` makes all visible and may be called again after a crash in its middle; `abandon` removes what `put` left.
 */
export interface FileDelivery {
  put(file: OutgoingFile): Promise<FileReceipt>
  commit(manifest: Manifest): Promise<void>
  abandon(): Promise<void>
}
