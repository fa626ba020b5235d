import type { contract } from '@patchbay/contract'
import { Problem } from '../domain/problem.ts'
import { createUpload, finishUpload, readUpload, removeUpload } from '../store/upload.ts'
import type { Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'
import { limited } from './request-body.ts'

export function makeUploadHandlers(ports: HttpPorts): Handlers<typeof contract.uploads> {
  return {
    /** The bytes go to a path made of the new id. What fails on the way leaves nothing. */
    async add({ query, body }, { by }) {
      const upload = await createUpload(ports.db, query.name, by)
      try {
        const sizeBytes = await ports.lake.receive(upload.id, limited(body, ports.uploadBytesMax))
        await finishUpload(ports.db, upload.id, sizeBytes)
        return uploadOf(await readUpload(ports.db, upload.id))
      } catch (error) {
        await ports.lake.discardUpload(upload.id)
        await removeUpload(ports.db, upload.id)
        throw error
      }
    },
    async remove({ params }) {
      const upload = await readUpload(ports.db, params.upload)
      await removeUpload(ports.db, upload.id)
      await ports.lake.discardUpload(upload.id)
    },
  }
}

/** Uploads that are whole, in the order in which they were named. */
export async function completeUploads(
  ports: HttpPorts,
  ids: readonly string[],
): Promise<readonly { readonly uploadId: string; readonly name: string }[]> {
  const files: { uploadId: string; name: string }[] = []
  for (const [index, id] of ids.entries()) {
    const path = `uploads[${index}]`
    if (ids.indexOf(id) !== index)
      throw new Problem('invalid', `${path}: This upload is named twice`, { path, cure: 'Name it once' })
    const upload = await readUpload(ports.db, id)
    if (upload.state !== 'complete')
      throw new Problem('conflict', `${path}: This upload is not finished`, {
        path,
        cure: 'Send all of its bytes first',
      })
    files.push({ uploadId: upload.id, name: upload.name })
  }
  return files
}

export async function discardUploads(ports: HttpPorts, files: readonly { readonly uploadId: string }[]): Promise<void> {
  for (const { uploadId } of files) {
    await removeUpload(ports.db, uploadId)
    await ports.lake.discardUpload(uploadId)
  }
}

function uploadOf(upload: Awaited<ReturnType<typeof readUpload>>) {
  const { id, name, sizeBytes, expiresAt } = upload
  return { id, name, sizeBytes, expiresAt: expiresAt.toISOString() }
}
