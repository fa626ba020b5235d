import { join } from 'node:path'
import { startDuckDb } from '../../lake/duckdb-process.ts'

export const SAMPLE_ROWS = 100_000

/**
 * 100,000 customers that nobody is: made by arithmetic alone, so that every demo has the same. Addresses end in
 * `example.com`, which belongs to no one (RFC 2606); numbers are of the range kept for fiction.
 * `changed` moves some of them on by a day: some spend more, some withdraw their consent, some leave, some are new.
 */
export async function writeSampleCustomers(
  folder: string,
  day: 'first' | 'changed',
  options: { readonly memoryLimitMb: number; readonly threads: number; readonly signal: AbortSignal },
): Promise<string> {
  const path = join(folder, `customers-${day}.csv`)
  const duckDb = await startDuckDb({ read: [], write: [folder], ...options })
  try {
    await duckDb.run(
      `COPY (${day === 'first' ? customers(0) : changedCustomers()}) TO '${path.replaceAll("'", "''")}' (HEADER)`,
    )
  } finally {
    await duckDb.close()
  }
  return path
}

const FIRST_NAMES = [
  'Ada',
  'Björn',
  'Chloé',
  'Đorđe',
  'Eszter',
  'Fatma',
  'Grażyna',
  'Hồng',
  'İlker',
  'José',
  'Κώστας',
  'Лев',
  'Måns',
  '美咲',
  'Óscar',
  'Renée',
]
const LAST_NAMES = [
  'Okafor',
  'Müller',
  'Nguyễn',
  'Novák',
  "O'Neill",
  'García',
  'Sørensen',
  'Ивановa',
  '佐藤',
  'Smith-Jones',
  'Ünal',
  'de la Cruz',
]
const COUNTRIES = ['DE', 'FR', 'GB', 'JP', 'MX', 'NG', 'PL', 'TR', 'US', 'VN']

/** A stable number from the row's own, different for each purpose (a linear congruence is mixed enough for a sample). */
const mixed = (purpose: number, below: number): string =>
  `((i * ${2_654_435_761 + purpose * 40_503} + ${purpose * 7919}) % 1000003) % ${below}`
const pick = (values: readonly string[], purpose: number): string =>
  `[${values.map((value) => `'${value.replaceAll("'", "''")}'`).join(', ')}][1 + ${mixed(purpose, values.length)}]`

function customers(from: number, to: number = from + SAMPLE_ROWS): string {
  return `SELECT 'C' || lpad(i::VARCHAR, 7, '0') AS customer_id,
    ${pick(FIRST_NAMES, 1)} AS first_name,
    ${pick(LAST_NAMES, 2)} AS last_name,
    'customer' || i || '@example.com' AS email,
    '+1555' || lpad((${mixed(3, 10_000_000)})::VARCHAR, 7, '0') AS phone,
    ${pick(COUNTRIES, 4)} AS country,
    DATE '1950-01-01' + (${mixed(5, 20_000)})::INTEGER AS birth_date,
    DATE '2018-01-01' + (${mixed(6, 2_800)})::INTEGER AS customer_since,
    round((${mixed(7, 250_000)}) / 100.0, 2) AS spend_last_year,
    (${mixed(8, 100)} < 82)::VARCHAR AS consent
  FROM range(${from}, ${to}) AS numbers(i)`
}

function changedCustomers(): string {
  return `SELECT * EXCLUDE (n) REPLACE (
      CASE WHEN n % 50 = 7 THEN spend_last_year + 25 ELSE spend_last_year END AS spend_last_year,
      CASE WHEN n % 211 = 3 THEN 'false' ELSE consent END AS consent
    )
    FROM (SELECT *, substr(customer_id, 2)::INTEGER AS n FROM (${customers(0)} UNION ALL ${customers(SAMPLE_ROWS, SAMPLE_ROWS + 600)}))
    WHERE n % 401 <> 5`
}
