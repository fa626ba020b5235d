import { createHash } from 'node:crypto'
import { Unavailable } from './errors.ts'
import type { OutgoingFile } from './files.ts'
import type { ObjectStore } from './object-delivery.ts'

/** One name, so that what a broken check left behind is overwritten by the next. */
const PROBE = '.patchbay-probe'
const RUN = 'probe'
const BYTES = new TextEncoder().encode('Patchbay was here to see whether it may write. This object can be removed.\n')
const FILE: OutgoingFile = {
  name: PROBE,
  rows: 0,
  sizeBytes: BYTES.length,
  sha256: createHash('sha256').update(BYTES).digest('hex'),
  async *read() {
    yield await Promise.resolve(BYTES)
  },
}

/** Does in small, in the root of a store, what a delivery does: sends ahead, gives up, sends ahead again, publishes and removes. */
export async function probeObjects(store: ObjectStore): Promise<void> {
  await store.stage(PROBE, FILE, RUN)
  await store.discard(RUN)
  await store.stage(PROBE, FILE, RUN)
  await store.publish(PROBE, FILE, RUN, (await store.look(PROBE)) ?? 'nothing')
  const standing = await store.look(PROBE)
  if (standing?.sizeBytes !== BYTES.length)
    throw new Unavailable('maybe', `Of ${BYTES.length} bytes that were written ${standing?.sizeBytes ?? 0} stand there`)
  await store.remove(PROBE, standing)
}
