/** A process that rotates the key and dies at a named point, the nth time that it comes there. */
import { makeClient } from '@patchbay/contract'
import { openPatchbay } from '../main.ts'
import { readSettings } from '../settings.ts'

const { environment, point, nth } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly environment: Readonly<Record<string, string>>
  readonly point: string
  readonly nth: number
}
let times = 0
const patchbay = await openPatchbay(readSettings(environment, environment['PATCHBAY_DATA'] ?? ''), {
  rotationFailpoint: (at) => {
    if (at === point && (times += 1) === nth) process.kill(process.pid, 'SIGKILL')
  },
})
const client = makeClient(async (request) => patchbay.app.fetch(request, { door: 'operator' }))
await client.system.rotateKey()
while ((await client.system.keyRotation()).isRunning) await new Promise((resolve) => setTimeout(resolve, 5))
await patchbay.close()
