/**
 * What MySQL and MariaDB answer, as one of the errors that say who acts next. Their own words are never passed on, and
 * neither is the error as `cause`: they quote the values of rows. What is told instead is the number, the column and the line.
 */
import {
  ConnectorError,
  ConnectionRefused,
  DestinationInvalid,
  SettingsInvalid,
  Unavailable,
} from '@patchbay/connector-sdk'

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
  /** Of a table that is written to, the names of its columns there and in the export. */
  readonly columns?: ReadonlyMap<string, string>
}

export interface ServerError extends Error {
  readonly errno: number
  readonly sqlState: string
}

export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'errno' in error && 'sqlState' in error && typeof error.errno === 'number'
}

/** Rolled back whole by the server, and worth another try later. */
const PASSING: Readonly<Record<number, string>> = {
  1021: "The server's disk is full",
  1037: 'The server is out of memory',
  1040: 'The server has no connection free',
  1041: 'The server is out of memory',
  1053: 'The server is shutting down',
  1114: 'The table is full: mostly, the disk of the server is',
  1129: 'The server has blocked this host after many broken connections (FLUSH HOSTS)',
  1203: 'The user has no connection free',
  1205: 'Another transaction holds the rows or the table for too long',
  1213: 'Another transaction was in the way (deadlock)',
  1226: 'The user has reached a limit of the server',
  1317: 'The statement was canceled',
  1927: 'An administrator ended the session',
  1969: 'The statement took too long',
  3024: 'The statement took too long',
  3169: 'An administrator ended the session',
}

const CONDITIONS: Readonly<Record<number, string>> = {
  1048: 'A column that must be filled is empty',
  1062: "Two rows have the same value where the table's unique index allows one",
  1071: 'The key is too long for an index of this table',
  1118: 'A row is too large for this table',
  1146: 'The table is gone',
  1216: 'A row breaks a foreign key of the table',
  1217: 'A row breaks a foreign key of another table',
  1261: 'A line has too few cells',
  1262: 'A line has too many cells',
  1263: 'A column that must be filled is empty',
  1264: 'A number is out of range',
  1265: 'A value does not fit the column',
  1292: 'A date or time does not fit the column',
  1364: 'A column without a default must be filled',
  1366: 'A value does not fit the column',
  1406: 'A value is too long',
  1451: 'A row breaks a foreign key of another table',
  1452: 'A row breaks a foreign key of the table',
  1644: 'A trigger of the table refuses a row',
  3819: 'A row breaks a rule (CHECK) of the table',
  4025: 'A row breaks a rule (CHECK) of the table',
}

const RIGHTS_MISSING = new Set([1044, 1142, 1143, 1227, 1370, 1410])
const LOCAL_FORBIDDEN = new Set([1148, 3948, 4166])
const READ_ONLY = new Set([1290, 1792, 1836])

/** Turns whatever a driver call threw into what the connector throws. Anything that is no answer of the server stays as it is. */
export function translate(error: unknown, doing: Doing): Error {
  if (error instanceof ConnectorError) return error
  if (error instanceof ConnectionLost) return translateLoss(error, doing)
  if (isServerError(error)) return translateAnswer(error, doing)
  return error instanceof Error ? error : new Error('Not an error', { cause: error })
}

function translateLoss({ cause }: ConnectionLost, { step }: Doing): ConnectorError {
  if (step === 'commit') return new Unavailable('maybe', 'The connection broke while the server committed')
  const trouble = step === 'connect' ? trustTrouble(cause) : undefined
  return trouble ?? new Unavailable('no', 'The connection to the server broke')
}

function translateAnswer(error: ServerError, doing: Doing): ConnectorError {
  const { errno, sqlState } = error
  if (doing.step === 'commit' && !sqlState.startsWith('40'))
    return new Unavailable('maybe', `The server answered ${errno} to the COMMIT, which may still have been done`)
  if (doing.step === 'connect') {
    const refused = refusedConnection(errno)
    if (refused !== undefined) return refused
  }
  const passing = PASSING[errno]
  if (passing !== undefined) return new Unavailable('no', `${passing} (${errno})`)
  if (READ_ONLY.has(errno))
    return new SettingsInvalid(
      'host',
      `This server is read-only (a replica): name the one that is written to (${errno})`,
    )
  if (LOCAL_FORBIDDEN.has(errno)) return localForbidden(errno)
  if (RIGHTS_MISSING.has(errno))
    return new DestinationInvalid(
      'table',
      `The user lacks a right on the table or the database (${errno}): see the GRANT of this connector's page`,
    )
  return rowTrouble(errno, error.message, doing)
}

function localForbidden(errno: number | string): SettingsInvalid {
  return new SettingsInvalid(
    'host',
    `The server takes no rows by LOAD DATA LOCAL (${errno}): switch it on there, by local_infile = ON in its configuration ` +
      'or SET GLOBAL local_infile = ON',
  )
}

/** An error or a warning of a statement that writes rows. Of the server's words only a known column and the line are told. */
export function rowTrouble(errno: number, message: string, { columns }: Doing): DestinationInvalid {
  const what = CONDITIONS[errno] ?? 'The server refused the rows'
  const parts = [columnIn(message, columns), lineIn(message)].filter((part) => part !== undefined)
  return new DestinationInvalid('table', `${what} (${errno})${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`)
}

function columnIn(message: string, columns: Doing['columns']): string | undefined {
  const place = message.toLowerCase().lastIndexOf('column')
  if (columns === undefined || place === -1) return undefined
  const rest = message.slice(place)
  const found = [...columns.keys()].filter((name) => rest.includes(`'${name}'`) || rest.includes(`\`${name}\``))
  const [longest] = found.toSorted((a, b) => b.length - a.length)
  return longest === undefined ? undefined : `column ${JSON.stringify(columns.get(longest))}`
}

function lineIn(message: string): string | undefined {
  const line = /\bat row (\d+)$|^Row (\d+) /.exec(message)
  return line === null ? undefined : `line ${line[1] ?? line[2]} of the file`
}

function refusedConnection(errno: number): ConnectorError | undefined {
  const refused = (field: string, message: string): ConnectionRefused =>
    new ConnectionRefused(`${message} (${errno})`, { field, step: 'signed-in' })
  switch (errno) {
    case 1045:
    case 1698:
      return refused('password', 'The server does not accept this user with this password from here')
    case 1044:
      return refused('database', 'The user may not use this database')
    case 1049:
      return new SettingsInvalid('database', 'There is no database of this name')
    case 1130:
      return refused('user', 'The server lets no user in from here')
    case 1820:
    case 1862:
      return refused('password', 'The password of the user has expired: set a new one there')
    case 3118:
    case 4151:
      return refused('user', 'The user is locked')
    case 3159:
      return new ConnectionRefused(`The server asks for TLS (${errno})`, { field: 'tls', step: 'trusted' })
    default:
      return undefined
  }
}

/** The driver's words for a server without TLS, Node's for a certificate that does not hold. */
function trustTrouble(cause: unknown): ConnectionRefused | undefined {
  const refused = (field: string, message: string): ConnectionRefused =>
    new ConnectionRefused(message, { field, step: 'trusted' })
  const codes = codesOf(cause)
  if (codes.includes('HANDSHAKE_NO_SSL_SUPPORT'))
    return refused('tls', 'The server does not speak TLS: set it up there')
  if (codes.some((code) => code.startsWith('AUTH_SWITCH') || code === 'PLUGIN_NOT_FOUND'))
    return new ConnectionRefused(
      'The server asks for a way to sign in that Patchbay does not speak: give the user a password',
      {
        field: 'user',
        step: 'signed-in',
      },
    )
  const words = cause instanceof Error ? cause.message : ''
  // The driver writes a code of its own over Node's, so these are told by Node's words.
  if (words.includes('altnames'))
    return refused('host', 'The certificate is for another name: write the host as the certificate names it')
  if (words.includes('certificate has expired')) return refused('tls', "The server's certificate has expired")
  if (words.includes('not yet valid')) return refused('tls', "The server's certificate is not valid yet")
  if (/self.signed certificate|local issuer certificate|verify the first certificate/.test(words))
    return refused(
      'ca',
      "The server's certificate is not by an authority that is trusted: paste the certificate of yours",
    )
  const tls = codes.find((code) => code.startsWith('ERR_SSL_') || code === 'HANDSHAKE_SSL_ERROR')
  return tls === undefined ? undefined : refused('tls', `The server does not speak TLS as we do (${tls})`)
}

function codesOf(cause: unknown, depth = 0): readonly string[] {
  if (!(cause instanceof Error) || depth > 4) return []
  const own = 'code' in cause && typeof cause.code === 'string' ? [cause.code] : []
  return [...own, ...codesOf(cause.cause, depth + 1)]
}
