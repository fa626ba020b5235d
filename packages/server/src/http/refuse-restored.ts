import { Problem } from '../domain/problem.ts'
import type { SystemPort } from './ports.ts'

/**
 * After a backup was put back nothing is started, since what was delivered in between is not known here. A worker would not
 * touch it either; said here, nobody waits for it. Asked before a transaction: the store has one connection.
 */
export async function refuseRestored(system: SystemPort): Promise<void> {
  if (await system.isReady()) return
  throw new Problem('not-ready', 'The store was put back from a backup, and nobody has confirmed that yet', {
    cure: 'See what was sent since the backup, then: patchbay restore --confirm',
  })
}
