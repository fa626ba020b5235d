/** Turns what was typed into the values and secrets that a connector declares; asks for what is missing. */
import { readFile } from 'node:fs/promises'
import type { ConnectorField } from '@patchbay/contract'
import { SECRET_PREFIX } from '../settings.ts'
import { unreadable } from './client.ts'
import type { Options, Run } from './command.ts'
import { pairs, texts, wrong } from './given.ts'

export type Values = Readonly<Record<string, string | number | boolean>>

/** `--set name=value` by the declared kind; `--set name=@path` for a text of several lines, such as a certificate. What no field is called goes through as it is: the server says so. */
export async function readValues(fields: readonly ConnectorField[], options: Options): Promise<Values> {
  const values: Record<string, string | number | boolean> = {}
  for (const [name, given] of pairs(texts(options, 'set'), '--set')) {
    const field = fields.find((candidate) => candidate.name === name)
    if (field?.kind === 'secret')
      throw wrong(
        '--set',
        `"${name}" is a secret, and arguments are seen by others`,
        `Use --secret-file ${name}=path, the environment (${variableOf(name)}), or wait to be asked`,
      )
    const isFile = field?.kind === 'text' && field.multiline === true && given.startsWith('@')
    values[name] = isFile
      ? await readFile(given.slice(1), 'utf8').catch(unreadable('--set', given))
      : valueOf(field, given)
  }
  return values
}

function valueOf(field: ConnectorField | undefined, given: string): string | number | boolean {
  if (field?.kind === 'number') {
    if (/^-?\d+(?:\.\d+)?$/.test(given)) return Number(given)
    throw wrong(
      `--set ${field.name}`,
      `${field.label}: "${given}" is not a number`,
      `Write it as --set ${field.name}=22`,
    )
  }
  if (field?.kind === 'switch') {
    if (given === 'true' || given === 'false') return given === 'true'
    throw wrong(
      `--set ${field.name}`,
      `${field.label}: it is either true or false`,
      `Write it as --set ${field.name}=true`,
    )
  }
  return given
}

/** Asks a person for the settings that are needed and were not given. */
export async function askForMissing(
  { terminal }: Run,
  fields: readonly ConnectorField[],
  given: Values,
): Promise<Values> {
  if (!terminal.isInteractive) return given
  const values: Record<string, string | number | boolean> = { ...given }
  for (const field of fields) {
    const isAsked = field.kind === 'text' || field.kind === 'choice' || field.kind === 'number'
    const hasDefault = 'default' in field && field.default !== undefined
    if (!isAsked || field.optional || hasDefault || values[field.name] !== undefined || !isShown(fields, field, values))
      continue
    const hint = field.kind === 'choice' ? ` (${field.choices.map(({ value }) => value).join(', ')})` : ''
    values[field.name] = valueOf(field, await terminal.ask(`${field.label}${hint}: `))
  }
  return values
}

/** From a file, the environment, or a person, in this order. `wanted` leaves out those that are stored and stay. */
export async function readSecrets(
  run: Run,
  fields: readonly ConnectorField[],
  values: Values,
  options: Options,
  wanted: (field: ConnectorField) => boolean,
): Promise<Readonly<Record<string, string>>> {
  const files = new Map(pairs(texts(options, 'secretFile'), '--secret-file'))
  const secrets: Record<string, string> = {}
  for (const name of files.keys())
    if (!fields.some((field) => field.name === name && field.kind === 'secret'))
      throw wrong('--secret-file', `There is no secret "${name}"`, `Secrets are ${secretNames(fields)}`)
  for (const field of fields) {
    if (field.kind !== 'secret' || !isShown(fields, field, values)) continue
    const file = files.get(field.name)
    const inEnvironment = run.environment[variableOf(field.name)]
    if (file !== undefined) secrets[field.name] = await readSecretFile(file, field.multiline)
    else if (inEnvironment !== undefined && inEnvironment !== '') secrets[field.name] = inEnvironment
    else if (wanted(field) && (!field.optional || run.terminal.isInteractive)) {
      const secret = await askFor(run, field)
      if (secret !== '') secrets[field.name] = secret
    }
  }
  return secrets
}

async function askFor({ terminal }: Run, field: ConnectorField & { readonly kind: 'secret' }): Promise<string> {
  const after = field.optional ? ' (leave empty for none)' : ''
  if (!terminal.isInteractive)
    throw wrong(
      `secrets.${field.name}`,
      `${field.label}: it was not given`,
      `Use --secret-file ${field.name}=path, or the environment (${variableOf(field.name)})`,
    )
  if (!field.multiline) return terminal.askSecret(`${field.label}${after}: `)
  const path = await terminal.ask(`${field.label}: path of the file that holds it${after}: `)
  return path === '' ? '' : readSecretFile(path, true)
}

/** A line break at the end is the editor's and not the password's. */
async function readSecretFile(path: string, isMultiline: boolean): Promise<string> {
  const content = await readFile(path, 'utf8').catch(unreadable('--secret-file', path))
  return isMultiline ? content : content.replace(/\r?\n$/, '')
}

/** `privateKey` is asked for as PATCHBAY_SECRET_PRIVATE_KEY. */
function variableOf(name: string): string {
  return `${SECRET_PREFIX}${name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase()}`
}

function secretNames(fields: readonly ConnectorField[]): string {
  const names = fields.filter(({ kind }) => kind === 'secret').map(({ name }) => name)
  return names.length === 0 ? 'not asked for by this connector' : names.join(', ')
}

function isShown(fields: readonly ConnectorField[], field: ConnectorField, values: Values): boolean {
  const { showWhen } = field
  if (showWhen === undefined) return true
  const other = fields.find(({ name }) => name === showWhen.field)
  const fallback = other !== undefined && 'default' in other ? other.default : undefined
  const value = values[showWhen.field] ?? fallback ?? (other?.kind === 'switch' ? false : undefined)
  return value === showWhen.is && (other === undefined || isShown(fields, other, values))
}
