/** An import to be killed: of the given file, as version 2 of the given table. */
import type { TableId } from '../domain/ids.ts'
import { importTable } from './import-table.ts'

const [, , root = '', tableId = '', path = ''] = process.argv
process.stdout.write('begins\n')
await importTable({
  root,
  tableId: tableId as TableId,
  version: 2,
  source: { format: 'csv', files: [{ path, name: 'data.csv' }] },
  key: 'id',
  memoryLimitMb: 256,
  threads: 2,
  signal: new AbortController().signal,
})
process.stdout.write('done\n')
