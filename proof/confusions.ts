/** The last part of the proof: 2,000 requests made by chance for each endpoint that takes a body. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const REQUESTS = 2000

/** Whether every answer was one that the description names, and nothing that was refused had changed anything. */
export function proveConfusions(): boolean {
  const { status } = spawnSync(
    'npx',
    ['--no-install', 'vitest', 'run', 'packages/server/src/http/generated-requests.integration.test.ts'],
    {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env: { ...process.env, PATCHBAY_CONFUSIONS: String(REQUESTS) },
      stdio: 'inherit',
    },
  )
  return status === 0
}
