/**
 * The settings: one table that says of each its name, what it is for, its default and how it is read. They come from the
 * environment or from one file, with the same names in both (the environment wins), and `patchbay doctor` prints them.
 * A name that is unknown or a value that cannot be used stops the program: a setting that is silently not in force is
 * worse than none.
 */
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** A setting that cannot be used. Says which, why and what to do; holds no value, because the value may be a password. */
export class SettingInvalid extends Error {
  readonly setting: string
  readonly cure: string
  constructor(setting: string, message: string, cure: string) {
    super(`${setting}: ${message}`)
    this.name = 'SettingInvalid'
    this.setting = setting
    this.cure = cure
  }
}

/** Refuses a value, by words that go on after the setting's name. */
class Unusable extends Error {
  readonly cure: string
  constructor(message: string, cure: string) {
    super(message)
    this.cure = cure
  }
}

interface Setting<T> {
  readonly name: string
  readonly description: string
  /** Text as it would be written; undefined where there is none. May depend on the data folder. */
  readonly default: (dataFolder: string) => string | undefined
  /** `folder` is what relative paths are taken from. */
  readonly read: (text: string, folder: string) => T
  /** Holds a password: shown as set or not set. */
  readonly isSecret?: true
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const TABLE = {
  dataFolder: setting('PATCHBAY_DATA', 'The folder that holds everything', './data', readPath),
  port: setting('PORT', 'The port of the API and the pages', '4400', readWhole(0, 65_535)),
  host: setting(
    'PATCHBAY_HOST',
    'The address to listen on. 0.0.0.0 opens it to the network: put a proxy with TLS before it',
    '127.0.0.1',
    readHost,
  ),
  databaseUrl: {
    ...optional('DATABASE_URL', 'PostgreSQL in place of the store in the data folder', readDatabaseUrl),
    isSecret: true as const,
  },
  keyFile: {
    name: 'PATCHBAY_KEY_FILE',
    description: 'The key that seals secrets: made with mode 0400 where it is missing. Keep a copy elsewhere',
    default: (dataFolder: string) => join(dataFolder, 'patchbay.key'),
    read: readPath,
  },
  fileRoots: {
    name: 'PATCHBAY_FILE_ROOTS',
    description: 'Folders below which the local-folder connector may write, separated by :',
    default: (dataFolder: string) => join(dataFolder, 'files'),
    read: readPaths,
  },
  allowHosts: setting(
    'PATCHBAY_ALLOW_HOSTS',
    'Addresses beyond the public ones that connections may reach, as 10.1.2.0/24 or 127.0.0.1:2222, separated by commas',
    '',
    (text) => text,
  ),
  publicUrl: optional(
    'PATCHBAY_PUBLIC_URL',
    'The address at which browsers reach this server. Services send people back to /oauth/callback below it',
    readUrl,
  ),
  oauthClients: optional(
    'PATCHBAY_OAUTH_CLIENTS',
    'A file with the applications that you registered at services: { "hubspot": { "id": "…", "secret": "…" } }',
    readPath,
  ),
  log: setting('PATCHBAY_LOG', `How much is logged: ${LOG_LEVELS.join(', ')}`, 'info', readLogLevel),
  memoryMb: setting(
    'PATCHBAY_MEMORY_MB',
    'Memory of the data engine of one run, in megabytes; more spills to disk',
    '512',
    readWhole(128, 1_048_576),
  ),
  threads: setting(
    'PATCHBAY_THREADS',
    'Threads of the data engine of one run',
    String(Math.min(4, availableParallelism())),
    readWhole(1, 256),
  ),
  runsAtOnce: setting('PATCHBAY_RUNS_AT_ONCE', 'Runs that one process works on at once', '2', readWhole(1, 64)),
  runDays: setting(
    'PATCHBAY_RUN_DAYS',
    'Days for which finished runs are kept, with their rejected rows; the last run of each export stays',
    '90',
    readWhole(1, 36_500),
  ),
  requestsPerMinute: setting(
    'PATCHBAY_REQUESTS_PER_MINUTE',
    'Requests that one user or API key may make in a minute',
    '1200',
    readWhole(1, 10_000_000),
  ),
  uploadMaxMb: setting(
    'PATCHBAY_UPLOAD_MAX_MB',
    'The largest file that can be uploaded, in megabytes',
    '20480',
    readWhole(1, 10_485_760),
  ),
  url: optional('PATCHBAY_URL', 'A server elsewhere, for the command line to speak to', readUrl),
  apiKey: {
    ...optional('PATCHBAY_API_KEY', 'The API key for that server', (text) => text),
    isSecret: true as const,
  },
  apiKeyFile: optional('PATCHBAY_API_KEY_FILE', 'A file with the API key for that server', readPath),
} satisfies Record<string, Setting<unknown>>

export type SettingName = keyof typeof TABLE
export type Settings = { readonly [K in SettingName]: ReturnType<(typeof TABLE)[K]['read']> } & {
  /** How each setting came by its value, for `patchbay doctor`. */
  readonly described: readonly DescribedSetting[]
}

export interface DescribedSetting {
  readonly name: string
  readonly description: string
  /** Null where it holds a password, or where there is none. */
  readonly value: string | null
  readonly source: 'default' | 'environment' | 'file'
}

type Environment = Readonly<Record<string, string | undefined>>

/** Names that are no settings and begin like one: the file to read, and secrets for `patchbay connection add`. */
const CONFIG = 'PATCHBAY_CONFIG'
export const SECRET_PREFIX = 'PATCHBAY_SECRET_'

export function readSettings(environment: Environment, workingFolder: string): Settings {
  const file = readFile(environment, workingFolder)
  refuseUnknown(Object.keys(environment).filter(isOurs), 'the environment')

  const given = (name: string): Given | undefined => {
    // Empty means not set, as it does where a container's settings are filled from a form.
    const text = environment[name]
    if (text !== undefined && text !== '') return { text, folder: workingFolder, source: 'environment' }
    const line = file.values.get(name)
    return line === undefined || line === '' ? undefined : { text: line, folder: file.folder, source: 'file' }
  }
  const values: Record<string, unknown> = {}
  let dataFolder = ''
  const described: DescribedSetting[] = []
  for (const [key, entry] of Object.entries(TABLE) as [SettingName, Setting<unknown>][]) {
    const fallback = entry.default(dataFolder)
    const found = given(entry.name) ?? { text: fallback, folder: workingFolder, source: 'default' as const }
    values[key] = found.text === undefined ? undefined : readOne(entry, found.text, found.folder)
    if (key === 'dataFolder') dataFolder = String(shown(entry, found.text, values[key]))
    described.push({
      name: entry.name,
      description: entry.description,
      value: shown(entry, found.text, values[key]),
      source: found.source,
    })
  }
  return { ...values, described } as unknown as Settings
}

interface Given {
  readonly text: string
  readonly folder: string
  readonly source: 'environment' | 'file'
}

function readOne(entry: Setting<unknown>, text: string, folder: string): unknown {
  try {
    return entry.read(text, folder)
  } catch (error) {
    if (error instanceof Unusable) throw new SettingInvalid(entry.name, error.message, error.cure)
    throw error
  }
}

function shown(entry: Setting<unknown>, text: string | undefined, value: unknown): string | null {
  if (text === undefined || entry.isSecret === true) return null
  return Array.isArray(value) ? value.join(':') : String(value)
}

// ---- the file ------------------------------------------------------------------------------------------------------

function readFile(
  environment: Environment,
  workingFolder: string,
): { readonly folder: string; readonly values: ReadonlyMap<string, string> } {
  const named = environment[CONFIG]
  const isNamed = named !== undefined && named !== ''
  const path = resolve(workingFolder, isNamed ? named : 'patchbay.env')
  if (!existsSync(path)) {
    if (isNamed)
      throw new SettingInvalid(CONFIG, `there is no file ${path}`, 'Name a file that is there, or leave it out')
    return { folder: workingFolder, values: new Map() }
  }
  const values = new Map<string, string>()
  for (const [index, line] of readFileSync(path, 'utf8').split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const [, name, raw = ''] = /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$/.exec(line) ?? []
    const place = `${path}, line ${index + 1}`
    if (name === undefined)
      throw new SettingInvalid(place, 'this is not a line NAME=value', 'Write one setting a line; # begins a comment')
    refuseUnknown([name], place)
    if (values.has(name)) throw new SettingInvalid(place, `${name} is set a second time`, 'Keep one of the two lines')
    values.set(name, unquote(raw.trim()))
  }
  return { folder: dirname(path), values }
}

function unquote(text: string): string {
  const [, , inner] = /^(["'])(.*)\1$/.exec(text) ?? []
  return inner ?? text
}

/** Of the environment, only names that begin with ours are judged: the others belong to other programs. */
function isOurs(name: string): boolean {
  return name.startsWith('PATCHBAY_') && name !== CONFIG && !name.startsWith(SECRET_PREFIX)
}

function refuseUnknown(names: readonly string[], place: string): void {
  const known = Object.values(TABLE).map(({ name }) => name)
  for (const name of names) {
    if (known.includes(name)) continue
    const nearest = known.toSorted((a, b) => distance(name, a) - distance(name, b))[0]
    throw new SettingInvalid(
      name,
      `there is no such setting (in ${place})`,
      `Did you mean ${nearest}? See patchbay doctor`,
    )
  }
}

/** Levenshtein's distance: how many letters have to be changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      const change = (row[j] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

// ---- kinds of values -----------------------------------------------------------------------------------------------

function setting<T>(name: string, description: string, fallback: string, read: Setting<T>['read']): Setting<T> {
  return { name, description, default: () => fallback, read }
}

function optional<T>(name: string, description: string, read: Setting<T>['read']): Setting<T | undefined> {
  return { name, description, default: () => undefined, read }
}

function readPath(text: string, folder: string): string {
  if (text.includes('\0')) throw new Unusable('this is not a path', 'Give the path of a file or folder')
  return resolve(folder, text)
}

function readPaths(text: string, folder: string): readonly string[] {
  const parts = text.split(':').filter((part) => part !== '')
  return parts.map((part) => readPath(part, folder))
}

function readWhole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max))
      throw new Unusable('this is not a number that can be used', `Give a whole number from ${min} to ${max}`)
    return value
  }
}

function readHost(text: string): string {
  if (!/^[A-Za-z0-9.:_-]{1,255}$/.test(text))
    throw new Unusable('this is not an address', 'Give an address of this machine, as 127.0.0.1, or 0.0.0.0 for all')
  return text
}

function readLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text)
  if (level === undefined) throw new Unusable('there is no such level', `Give one of ${LOG_LEVELS.join(', ')}`)
  return level
}

function readDatabaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'postgres:' && url?.protocol !== 'postgresql:')
    throw new Unusable(
      'this is not the address of a PostgreSQL',
      'Give it as postgres://user:password@host:5432/database',
    )
  return text
}

function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new Unusable('this is not the address of a server', 'Give it as https://patchbay.example.com')
  return url.origin
}

/** The one place besides `main` where the process's environment is read. */
export function processEnvironment(): Environment {
  return process.env
}
