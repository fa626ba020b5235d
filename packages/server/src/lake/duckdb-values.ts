/**
 * DuckDB's vectors as JavaScript values. Written over the bindings and not over `@duckdb/node-api`, because that one
 * takes 45 ms longer to load in every child, and drops a leading U+FEFF from texts.
 */
import duckdb from '@duckdb/node-bindings'
import type { LogicalType, Vector } from '@duckdb/node-bindings'
import type { DuckDbValue } from './duckdb.ts'

/** The numbers of DuckDB's C interface; the enum of the bindings' types cannot be imported under type stripping. */
const TYPE = {
  boolean: 1,
  tinyint: 2,
  smallint: 3,
  integer: 4,
  bigint: 5,
  utinyint: 6,
  usmallint: 7,
  uinteger: 8,
  ubigint: 9,
  float: 10,
  double: 11,
  timestamp: 12,
  date: 13,
  hugeint: 16,
  varchar: 17,
  decimal: 19,
  list: 24,
  timestampTz: 31,
  uhugeint: 32,
  sqlNull: 36,
} as const

type ReadValue = (row: number) => DuckDbValue

/** Reads values `from` to `to` (not included) of a vector with at least `to` rows. */
export function readVector(vector: Vector, type: LogicalType, from: number, to: number): DuckDbValue[] {
  const isValid = validityOf(vector, to)
  const read = readerOf(vector, type, to)
  const values: DuckDbValue[] = []
  for (let row = from; row < to; row += 1) values.push(isValid(row) ? read(row) : null)
  return values
}

function validityOf(vector: Vector, rows: number): (row: number) => boolean {
  const bits = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8) as Uint8Array | null
  if (bits === null) return () => true
  return (row) => (((bits[row >> 3] ?? 0) >> (row & 7)) & 1) === 1
}

function readerOf(vector: Vector, type: LogicalType, rows: number): ReadValue {
  const id: number = duckdb.get_type_id(type)
  const view = (bytes: number): DataView => {
    const data = duckdb.vector_get_data(vector, rows * bytes)
    return new DataView(data.buffer, data.byteOffset, data.byteLength)
  }
  switch (id) {
    case TYPE.sqlNull:
      return () => null
    case TYPE.varchar:
      return textReader(view(16))
    case TYPE.boolean: {
      const data = view(1)
      return (row) => data.getUint8(row) !== 0
    }
    case TYPE.date: {
      const data = view(4)
      return (row) => dateText(data.getInt32(row * 4, true))
    }
    case TYPE.timestamp:
    case TYPE.timestampTz: {
      const data = view(8)
      return (row) => timestampText(data.getBigInt64(row * 8, true))
    }
    case TYPE.decimal:
      return decimalReader(type, view)
    case TYPE.list:
      return listReader(vector, type, view(16))
    default:
      return numberReader(id, view)
  }
}

function numberReader(id: number, view: (bytes: number) => DataView): ReadValue {
  const sized = (bytes: number, get: (data: DataView, offset: number) => DuckDbValue): ReadValue => {
    const data = view(bytes)
    return (row) => get(data, row * bytes)
  }
  switch (id) {
    case TYPE.tinyint:
      return sized(1, (data, at) => data.getInt8(at))
    case TYPE.smallint:
      return sized(2, (data, at) => data.getInt16(at, true))
    case TYPE.integer:
      return sized(4, (data, at) => data.getInt32(at, true))
    case TYPE.bigint:
      return sized(8, (data, at) => numberOrText(data.getBigInt64(at, true)))
    case TYPE.utinyint:
      return sized(1, (data, at) => data.getUint8(at))
    case TYPE.usmallint:
      return sized(2, (data, at) => data.getUint16(at, true))
    case TYPE.uinteger:
      return sized(4, (data, at) => data.getUint32(at, true))
    case TYPE.ubigint:
      return sized(8, (data, at) => numberOrText(data.getBigUint64(at, true)))
    case TYPE.hugeint:
      return sized(16, (data, at) =>
        numberOrText((data.getBigInt64(at + 8, true) << 64n) + data.getBigUint64(at, true)),
      )
    case TYPE.uhugeint:
      return sized(16, (data, at) =>
        numberOrText((data.getBigUint64(at + 8, true) << 64n) + data.getBigUint64(at, true)),
      )
    case TYPE.float:
      return sized(4, (data, at) => data.getFloat32(at, true))
    case TYPE.double:
      return sized(8, (data, at) => data.getFloat64(at, true))
    default:
      // Our statements cast everything else to text.
      throw new Error(`Invalid Input Error: type ${id} cannot be handed over`)
  }
}

/** A text of up to 12 bytes stands in its 16-byte entry, a longer one behind a pointer. */
function textReader(data: DataView): ReadValue {
  const entries = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return (row) => {
    const at = row * 16
    const length = data.getUint32(at, true)
    if (length <= 12) return entries.toString('utf8', at + 4, at + 4 + length)
    const bytes = duckdb.get_data_from_pointer(data.buffer as ArrayBuffer, data.byteOffset + at + 8, length)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  }
}

/** As a number, by way of its digits: so the nearest double, which `value / 10 ** scale` is not always. */
function decimalReader(type: LogicalType, view: (bytes: number) => DataView): ReadValue {
  const scale = duckdb.decimal_scale(type)
  const internal: number = duckdb.decimal_internal_type(type)
  const asNumber = (digits: bigint): number => Number(`${digits}e-${scale}`)
  const bytes = { [TYPE.smallint]: 2, [TYPE.integer]: 4, [TYPE.bigint]: 8 }[internal] ?? 16
  const data = view(bytes)
  return (row) => {
    const at = row * bytes
    if (bytes === 2) return asNumber(BigInt(data.getInt16(at, true)))
    if (bytes === 4) return asNumber(BigInt(data.getInt32(at, true)))
    if (bytes === 8) return asNumber(data.getBigInt64(at, true))
    return asNumber((data.getBigInt64(at + 8, true) << 64n) + data.getBigUint64(at, true))
  }
}

function listReader(vector: Vector, type: LogicalType, entries: DataView): ReadValue {
  const size = duckdb.list_vector_get_size(vector)
  const items = readVector(duckdb.list_vector_get_child(vector), duckdb.list_type_child_type(type), 0, size)
  return (row) => {
    const from = Number(entries.getBigUint64(row * 16, true))
    return items.slice(from, from + Number(entries.getBigUint64(row * 16 + 8, true)))
  }
}

function numberOrText(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}

const MS_PER_DAY = 86_400_000

/** `YYYY-MM-DD`; years from 10000 on have more digits, those before 0 a sign, as in ISO 8601. */
export function dateText(days: number): string {
  if (days === 2_147_483_647) return 'infinity'
  if (days === -2_147_483_647) return '-infinity'
  const date = new Date(days * MS_PER_DAY)
  // JavaScript's calendar ends at the year 275760, DuckDB's far beyond; nothing that is imported gets there.
  if (Number.isNaN(date.getTime())) return `${days} days`
  return plainYear(date.toISOString()).replace(/T.*$/, '')
}

/** `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`, the fraction only where there is one. */
export function timestampText(micros: bigint): string {
  if (micros === 9_223_372_036_854_775_807n) return 'infinity'
  if (micros === -9_223_372_036_854_775_807n) return '-infinity'
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const date = new Date(Number((micros - fraction) / 1000n))
  if (Number.isNaN(date.getTime())) return `${micros} us`
  const text = plainYear(date.toISOString()).replace(/\.000Z$/, '')
  return fraction === 0n ? `${text}Z` : `${text}.${fraction.toString().padStart(6, '0')}Z`
}

function plainYear(iso: string): string {
  return iso.replace(/^\+0*(?=\d{4})/, '').replace(/^-0*(?=\d{4})/, '-')
}
