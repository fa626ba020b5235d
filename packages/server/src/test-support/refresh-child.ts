/** A second process for the storm of refreshes: asks when it is told to by a line with the milliseconds, and says how many tokens it got. */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { openStore } from '../store/open-store.ts'
import { makeRefreshWorkers } from './refresh-workers.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as {
  readonly dataFolder: string
  readonly databaseUrl: string
  readonly keyFile: string
  readonly connection: string
  readonly workers: number
}
const say = (line: string): void => void writeSync(1, `${line}\n`)

const store = await openStore(options)
const workers = await makeRefreshWorkers(store.db, options)
say('ready')
for await (const line of createInterface({ input: process.stdin })) {
  const got = await workers.askAll(Number(line)).catch((error: unknown) => String(error))
  say(`got ${got}`)
}
await store.close()
