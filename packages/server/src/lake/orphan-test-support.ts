/** A parent to be killed: starts an engine in the given folder, keeps it busy, and says so. */
import { startWithin } from './duckdb-process.ts'

const [, , folder = '', bubblewrap = ''] = process.argv
const { db } = await startWithin(bubblewrap === '' ? undefined : bubblewrap, {
  read: [],
  write: [folder],
  memoryLimitMb: 64,
  threads: 1,
  signal: new AbortController().signal,
})
const running = db.run('SELECT sum(hash(i)) FROM range(1000000000000) r(i)')
process.stdout.write('busy\n')
await running
