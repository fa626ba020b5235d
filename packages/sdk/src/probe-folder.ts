import type { Folder } from './context.ts'
import { Unavailable } from './errors.ts'
import type { OutgoingFile } from './files.ts'

/** One name, so that what a broken check left behind is overwritten by the next. */
const PROBE = '.patchbay-probe'
const MOVED = '.patchbay-probe-moved'

/** Does in small, in the root of a folder, what a delivery does: writes a file, renames it and removes it. */
export async function probeFolder(folder: Folder): Promise<void> {
  const bytes = new TextEncoder().encode('Patchbay was here to see whether it may write. This file can be removed.\n')
  const written = await folder.write(PROBE, probeOf(bytes))
  if (written !== bytes.length)
    throw new Unavailable('maybe', `A file of ${bytes.length} bytes came to have ${written} bytes at the far end`)
  await folder.rename(PROBE, MOVED)
  await folder.remove(MOVED)
}

function probeOf(bytes: Uint8Array): OutgoingFile {
  return {
    name: PROBE,
    rows: 0,
    sizeBytes: bytes.length,
    sha256: '',
    async *read() {
      yield await Promise.resolve(bytes)
    },
  }
}
