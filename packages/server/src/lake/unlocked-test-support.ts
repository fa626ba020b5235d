/**
 * An engine with every lock of its own off, for the test that asks what the sandbox alone holds back. Takes statements as
 * JSON on stdin; gives what each brought, as JSON on stdout.
 */
import { text } from 'node:stream/consumers'
import duckdb from '@duckdb/node-bindings'
import { readVector } from './duckdb-values.ts'

const config = duckdb.create_config()
duckdb.set_config(config, 'allow_unsigned_extensions', 'true')
const database = await duckdb.open(':memory:', config)
const outcomes: string[] = []
for (const sql of JSON.parse(await text(process.stdin)) as readonly string[]) {
  // A connection each, since one of them may wedge it.
  const connection = await duckdb.connect(database)
  try {
    const result = await duckdb.query(connection, sql)
    const chunk = await duckdb.fetch_chunk(result)
    const rows = chunk === null ? 0 : duckdb.data_chunk_get_size(chunk)
    const columns =
      chunk === null || rows === 0
        ? []
        : Array.from({ length: duckdb.column_count(result) }, (_, index) => {
            const vector = duckdb.data_chunk_get_vector(chunk, index)
            return readVector(vector, duckdb.column_logical_type(result, index), 0, Math.min(rows, 50))
          })
    outcomes.push(`gave ${JSON.stringify(columns)}`)
  } catch (error) {
    outcomes.push(`failed: ${error instanceof Error ? error.message : String(error)}`)
  }
}
process.stdout.write(JSON.stringify(outcomes))
