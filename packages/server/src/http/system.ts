import type { contract } from '@patchbay/contract'
import { Problem } from '../domain/problem.ts'
import type { Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'

export function makeSystemHandlers(ports: HttpPorts): Handlers<typeof contract.system> {
  return {
    show: (_input, { signal }) => ports.system.describe(signal),
    backup: (_input, { signal }) => ports.system.backup(signal),
    keyRotation: () => ports.system.keyRotation.status(),
    async rotateKey(_input, { by }) {
      const { oldKeyFile } = await ports.system.keyRotation.rotate(by)
      return { oldKeyFile, ...(await ports.system.keyRotation.status()) }
    },
    async finishKeyRotation(_input, { by }) {
      await ports.system.keyRotation.settle(by)
      return ports.system.keyRotation.status()
    },
    async confirmRestore(_input, { by }) {
      if (await ports.system.confirmRestore(by)) return
      throw new Problem('not-ready', 'Nothing was restored here that waits to be confirmed', {
        cure: 'There is nothing to do',
      })
    },
  }
}
