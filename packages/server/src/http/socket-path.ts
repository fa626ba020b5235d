import { join } from 'node:path'

/** Where a server is reached by whoever can open its data folder: they are the operator, and need no key. */
export function socketPath(dataFolder: string): string {
  return join(dataFolder, 'patchbay.sock')
}
