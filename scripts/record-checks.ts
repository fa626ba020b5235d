/** Set up before the connectors' tests by `record-checks.config.ts`: keeps what the conformance kit finds, a file for each finding. */
import { subscribe } from 'node:diagnostics_channel'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.env['CONNECTOR_CHECKS']
let count = 0
subscribe('patchbay:connector-checks', (findings) => {
  if (folder === undefined) return
  count += 1
  writeFileSync(join(folder, `${process.pid}-${count}.json`), JSON.stringify(findings))
})
