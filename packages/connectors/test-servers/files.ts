/** Files to deliver, for tests and measurements. */
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import type { DeliveredFile, Manifest, OutgoingFile } from '@patchbay/connector-sdk'

export function fileOf(name: string, content: string | Uint8Array): OutgoingFile {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  return {
    ...{ name, rows: 1, sizeBytes: bytes.length },
    sha256: createHash('sha256').update(bytes).digest('hex'),
    async *read(pieceBytes) {
      for (let at = 0; at < bytes.length; at += pieceBytes)
        yield await Promise.resolve(bytes.subarray(at, at + pieceBytes))
    },
  }
}

/** A file of this machine, read as it is sent. */
export function fileAt(name: string, path: string): OutgoingFile {
  return {
    ...{ name, rows: 1, sizeBytes: statSync(path).size, sha256: '' },
    async *read(pieceBytes) {
      yield* createReadStream(path, { highWaterMark: pieceBytes }) as AsyncIterable<Buffer>
    },
  }
}

export function manifestOf(
  files: readonly OutgoingFile[],
  superseded: readonly DeliveredFile[] = [],
  model = fileOf('model.json', '{"name":"test"}'),
): Manifest {
  return { files: files.map(deliveredOf), model, superseded }
}

export function deliveredOf({ name, rows, sizeBytes, sha256 }: OutgoingFile): DeliveredFile {
  return { name, rows, sizeBytes, sha256 }
}
