/**
 * What PostgreSQL answers, as one of the errors that say who acts next. Its own words are never passed on, and neither
 * is its error as `cause`: message, detail and context quote the values of rows. What is told instead is the SQLSTATE,
 * the condition's name, the column and the line of the file.
 */
import {
  ConnectorError,
  ConnectionRefused,
  DestinationInvalid,
  SettingsInvalid,
  Unavailable,
} from '@patchbay/connector-sdk'
import { DatabaseError } from 'pg'

/** The connection broke, as `Session` saw it. */
export class ConnectionLost extends Error {
  constructor(options?: ErrorOptions) {
    super('The connection broke', options)
    this.name = 'ConnectionLost'
  }
}

/** What was being done when the error came; it decides what an error means and helps to say where it is. */
export interface Doing {
  /** `commit`: the COMMIT was sent, and an error may hide that it was done. */
  readonly step: 'connect' | 'work' | 'commit'
  /** For COPY: the name of the relation as PostgreSQL shows it, and its columns with the names that the export knows. */
  readonly copy?: { readonly relation: string; readonly columns: ReadonlyMap<string, string> }
}

const CONDITIONS: Readonly<Record<string, string>> = {
  '0A000': 'feature_not_supported',
  '21000': 'cardinality_violation',
  '22001': 'string_data_right_truncation',
  '22003': 'numeric_value_out_of_range',
  '22007': 'invalid_datetime_format',
  '22008': 'datetime_field_overflow',
  '22021': 'character_not_in_repertoire',
  '22P02': 'invalid_text_representation',
  '22P04': 'bad_copy_file_format',
  '22P05': 'untranslatable_character',
  '23502': 'not_null_violation',
  '23503': 'foreign_key_violation',
  '23505': 'unique_violation',
  '23514': 'check_violation',
  '23P01': 'exclusion_violation',
  '42501': 'insufficient_privilege',
  '42P01': 'undefined_table',
  '42703': 'undefined_column',
  P0001: 'raise_exception',
}

/** Rolled back whole by the server, and worth another try later. */
const PASSING: Readonly<Record<string, string>> = {
  '25P03': 'The server ended the transaction because it waited too long',
  '40001': 'Another transaction was in the way',
  '40P01': 'Another transaction was in the way (deadlock)',
  '53100': "The server's disk is full",
  '53200': 'The server is out of memory',
  '53300': 'The server has no connection free',
  '53400': 'The server has reached a configured limit',
  '55P03': 'Another transaction holds the table for too long',
  '57014': 'The statement was canceled or took too long',
  '57P01': 'The server is shutting down or an administrator ended the session',
  '57P02': 'The server crashed',
  '57P03': 'The server is starting up or shutting down',
}

/** Classes by which the server says for certain that the COMMIT was not done. */
const DEFINITE_AT_COMMIT = new Set(['21', '22', '23', '40', '42', '44', '55', 'P0'])

/** Turns whatever a driver call threw into what the connector throws. Anything that is no answer of the server stays as it is. */
export function translate(error: unknown, doing: Doing): Error {
  if (error instanceof ConnectorError) return error
  if (error instanceof ConnectionLost) return translateLoss(error, doing)
  if (error instanceof DatabaseError) return translateAnswer(error, doing)
  return error instanceof Error ? error : new Error('Not an error', { cause: error })
}

function translateLoss({ cause }: ConnectionLost, { step }: Doing): ConnectorError {
  if (step === 'commit') return new Unavailable('maybe', 'The connection broke while PostgreSQL committed')
  const trouble = step === 'connect' ? tlsTrouble(cause) : undefined
  if (trouble !== undefined) return trouble
  const code = cause instanceof DatabaseError || cause instanceof Error ? codeOf(cause) : undefined
  const why = (code !== undefined && PASSING[code]) || 'The connection to PostgreSQL broke'
  return new Unavailable('no', code === undefined ? why : `${why} (${code})`)
}

function translateAnswer(error: DatabaseError, doing: Doing): ConnectorError {
  const code = error.code ?? 'none'
  if (doing.step === 'commit' && !DEFINITE_AT_COMMIT.has(code.slice(0, 2)))
    return new Unavailable('maybe', `PostgreSQL answered ${code} to the COMMIT, which may still have been done`)
  if (doing.step === 'connect') {
    const refused = refusedConnection(code)
    if (refused !== undefined) return refused
  }
  const passing = PASSING[code]
  if (passing !== undefined) return new Unavailable('no', `${passing} (${code})`)
  // 08 connection, 53 resources, 57 operator, 58 system, XX internal: nothing about the table or its rows.
  if (/^(?:08|53|57|58|XX)/.test(code)) return new Unavailable('no', `PostgreSQL failed inside (${code})`)
  if (code === '25006')
    return new SettingsInvalid('host', 'This server is read-only (a standby): name the primary server')
  return new DestinationInvalid('table', `${describe(error, code)}${whereOf(error, doing)}`)
}

function refusedConnection(code: string): ConnectorError | undefined {
  if (code === '28P01')
    return new ConnectionRefused('PostgreSQL does not accept this user with this password', { field: 'password' })
  if (code.startsWith('28'))
    return new ConnectionRefused(
      `PostgreSQL does not let this user in (${code}): it may not log in, or pg_hba.conf has no line for it from here`,
      { field: 'user' },
    )
  if (code === '3D000') return new SettingsInvalid('database', 'There is no database of this name')
  if (code === '42501')
    return new ConnectionRefused('The user may not connect to this database: GRANT CONNECT ON DATABASE', {
      field: 'database',
    })
  return undefined
}

function describe(error: DatabaseError, code: string): string {
  const condition = CONDITIONS[code]
  const name = condition === undefined ? `SQLSTATE ${code}` : `SQLSTATE ${code}, ${condition}`
  const by = error.constraint === undefined ? '' : ` ${JSON.stringify(error.constraint)}`
  switch (code) {
    case '21000':
      return `Two rows of the export are one row to the table: their keys differ, and its unique index holds them equal (${name})`
    case '23505':
      return `Two rows have the same value where the table's unique index${by} allows one (${name})`
    case '23502':
    case '23503':
    case '23514':
    case '23P01':
      return `A row breaks a rule of the table${by} (${name})`
    case '42501':
      return `The role lacks a right on the table or its schema (${name})`
    case '42P01':
      return `The table or schema is gone (${name})`
    default:
      return code.startsWith('22') ? `The table cannot take a value (${name})` : `PostgreSQL refused the rows (${name})`
  }
}

/**
 * Column and line of a failed COPY. They stand in the context only, as `COPY relation, line 3, column age: "the value"`,
 * perhaps in another language: the number and the longest known column name at its place are taken, and nothing else.
 */
function whereOf(error: DatabaseError, { copy }: Doing): string {
  const parts: string[] = []
  const place = copy === undefined ? undefined : placeOf(error.where ?? '', copy.relation, [...copy.columns.keys()])
  const column = place?.column ?? error.column
  if (column !== undefined) parts.push(`column ${JSON.stringify(copy?.columns.get(column) ?? column)}`)
  if (place !== undefined) parts.push(`line ${place.line} of the file`)
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`
}

function placeOf(
  where: string,
  relation: string,
  columns: readonly string[],
): { readonly line: number; readonly column: string | undefined } | undefined {
  const start = where.indexOf(`COPY ${relation}, `)
  if (start < 0) return undefined
  const match = /^\S+ (\d+)(?:, \S+ ([\s\S]*))?/.exec(where.slice(start + `COPY ${relation}, `.length))
  if (match?.[1] === undefined) return undefined
  const rest = match[2] ?? ''
  const column = columns
    .filter((name) => rest === name || rest.startsWith(`${name}:`))
    .toSorted((a, b) => b.length - a.length)[0]
  return { line: Number(match[1]), column }
}

/** Node's words for a certificate that does not hold; pg's for a server without TLS. */
function tlsTrouble(cause: unknown): ConnectionRefused | undefined {
  if (!(cause instanceof Error)) return undefined
  if (cause.message.includes('does not support SSL'))
    return trustRefused('tls', 'The server does not speak TLS: set it up there')
  const code = codeOf(cause)
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return trustRefused('host', 'The certificate is for another name: write the host as the certificate names it')
    case 'CERT_HAS_EXPIRED':
      return trustRefused('tls', "The server's certificate has expired")
    case 'CERT_NOT_YET_VALID':
      return trustRefused('tls', "The server's certificate is not valid yet")
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return trustRefused('ca', `The certificate is not by an authority that is trusted here (${code})`)
    default:
      return code !== undefined && /^(?:ERR_SSL|ERR_TLS|ERR_OSSL|CERT_)/.test(code)
        ? trustRefused('tls', `The encrypted connection could not be made (${code})`)
        : undefined
  }
}

export function trustRefused(field: 'host' | 'tls' | 'ca', message: string): ConnectionRefused {
  return new ConnectionRefused(message, { field, step: 'trusted' })
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
