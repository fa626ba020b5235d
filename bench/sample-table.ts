import { join } from 'node:path'
import { startDuckDb } from '../packages/server/src/lake/duckdb-process.ts'

/** Twenty columns of mixed types for rows `from` to `to`: numbers, dates, times, switches, short and long text, some empty. */
function columns(from: number, to: number, changedShare = 0): string {
  const every = changedShare === 0 ? 0 : Math.round(1 / changedShare)
  const changed = every === 0 ? '' : ` + CASE WHEN i % ${every} = 1 THEN 1 ELSE 0 END`
  return `SELECT i::BIGINT AS id,
    'First' || (i * 7919 % 5003) AS first_name,
    'Last' || (i * 104729 % 100003) AS last_name,
    'user' || i || '@example.com' AS email,
    (i % 73 + 18)::BIGINT AS age,
    ((i * 31 % 1000000) / 100.0${changed})::DOUBLE AS spend,
    (i % 1000 / 100.0)::DOUBLE AS score,
    DATE '1950-01-01' + (i % 20000)::INTEGER AS birth_date,
    TIMESTAMP '2020-01-01 00:00:00' + INTERVAL (i % 100000) MINUTE AS last_seen,
    i % 2 = 0 AS consent,
    'City ' || (i % 1000) AS city,
    'C' || (i % 50) AS country,
    '+49' || (1000000 + i) AS phone,
    (i * 31 % 1000000)::BIGINT AS points,
    (i % 7)::BIGINT AS tier,
    'Street ' || (i % 5000) || ' No. ' || (i % 99) AS street,
    lpad((i % 99999)::VARCHAR, 5, '0') AS zip,
    i % 3 = 0 AS vip,
    (hash(i) % 1000000)::BIGINT AS code,
    CASE WHEN i % 4 = 0 THEN NULL ELSE 'a note, with "quotes" ' || i END AS note
  FROM range(${from}, ${to}) AS numbers(i)`
}

/** Writes the rows as one Parquet file and gives its path. With `changedShare`, that share of the rows has another `spend`. */
export async function writeSampleTable(folder: string, rows: number, changedShare = 0): Promise<string> {
  const path = join(folder, `people-${rows}-${changedShare}.parquet`)
  const duckDb = await startDuckDb({
    read: [],
    write: [folder],
    memoryLimitMb: 1024,
    threads: 2,
    signal: new AbortController().signal,
  })
  try {
    await duckDb.run(`COPY (${columns(1, rows + 1, changedShare)}) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`)
  } finally {
    await duckDb.close()
  }
  return path
}
