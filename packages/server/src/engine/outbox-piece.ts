import { createHash } from 'node:crypto'
import type { Change } from '@patchbay/connector-sdk'
import type { OutboxBatch } from './ports.ts'

/** Some rows of an outbox batch, sent as one request. `indexes` say where its rows stand in the batch. */
export interface Piece extends Omit<OutboxBatch, 'first' | 'last'> {
  readonly indexes: readonly number[]
}

/** The whole batch as one piece, under the batch's own id. */
export function wholePiece(batch: OutboxBatch): Piece {
  return makePiece(
    batch,
    batch.keys.map((_, index) => index),
    batch.id,
  )
}

/**
 * Some of the batch's rows under an id that depends on nothing but the batch, the rows and the round, so that a process that
 * starts again after a crash sends the same pieces under the same ids. A next `round` is a new question about the same rows.
 */
export function pieceOf(batch: OutboxBatch, indexes: readonly number[], round: number): Piece {
  const digest = createHash('sha256')
    .update(`${batch.id}|${round}|${indexes.join(',')}`)
    .digest('hex')
  return makePiece(batch, indexes, `${batch.id.slice(0, 40)}-${digest.slice(0, 16)}`)
}

function makePiece(batch: OutboxBatch, indexes: readonly number[], id: string): Piece {
  const json = indexes.map((index) => at(batch.json, index))
  let changes: readonly Change[] | undefined
  return {
    id,
    source: batch.source,
    size: indexes.length,
    sizeBytes:
      indexes.length === batch.size ? batch.sizeBytes : json.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    keys: indexes.map((index) => at(batch.keys, index)),
    json,
    indexes,
    get changes() {
      changes ??= json.map((text) => JSON.parse(text) as Change)
      return changes
    },
  }
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index]
  if (item === undefined) throw new RangeError(`A batch of ${list.length} rows has no row ${index}`)
  return item
}
