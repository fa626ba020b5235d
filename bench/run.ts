/**
 * `npm run bench [case …] [--scale 0.1]`: one JSON line a case, each beside the limit of the same machine in the same run.
 * A scale below 1 is for trying the benchmark itself; figures that count are made at 1.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { difference, folder, growth, postgresql, sftp, tryEngine, webhook, type Case } from './cases.ts'
import { lists } from './lists.ts'
import { amazonS3, azureBlob, mysql } from './remote-cases.ts'
import { SERVICE_CASES } from './services.ts'

const CASES: Readonly<Record<string, Case>> = {
  folder,
  sftp,
  'amazon-s3': amazonS3,
  'azure-blob': azureBlob,
  postgresql,
  mysql,
  webhook,
  difference,
  growth,
  lists,
  ...SERVICE_CASES,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { scale: { type: 'string', default: '1' }, folder: { type: 'string', default: tmpdir() } },
})
const scale = Number(values.scale)
const names = positionals.length === 0 ? Object.keys(CASES) : positionals
let isAllOk = true
for (const name of names) {
  const run = CASES[name]
  if (run === undefined) throw new Error(`There is no case "${name}": ${Object.keys(CASES).join(', ')}`)
  const where = await mkdtemp(join(values.folder, 'patchbay-bench-'))
  try {
    await tryEngine(where)
    for (const figure of await run(where, scale)) {
      isAllOk &&= figure.ok
      process.stdout.write(`${JSON.stringify(figure)}\n`)
    }
  } finally {
    await rm(where, { recursive: true, force: true })
  }
}
process.exitCode = isAllOk ? 0 : 1
