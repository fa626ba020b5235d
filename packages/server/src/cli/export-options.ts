/** The parts of an export as options of the command line, and as one JSON file for all of it. */
import type { Client, Export } from '@patchbay/contract'
import { MODES } from '@patchbay/contract'
import { Option, type Command } from 'commander'
import type { Options } from './command.ts'
import { collect, pairs, readJsonFile, text, texts, wrong } from './given.ts'
import type { Terminal } from './terminal.ts'

const TRANSFORMS = ['trim', 'lowercase', 'digits', 'hash'] as const

export function exportOptions(command: Command): Command {
  return command
    .option('--file <file>', 'a JSON file with the export, or - for stdin; other options come on top of it')
    .option('--connection <connection>', 'what it goes over')
    .option('--destination-type <type>', 'where the connector has several: see patchbay connector show')
    .option('--destination <name=value>', 'a field of the destination, such as its folder or table', collect)
    .addOption(new Option('--mode <mode>', 'what becomes of rows that are new, changed or gone').choices([...MODES]))
    .option('--table <table>', 'send this whole table', collect)
    .option('--segment <segment>', 'send the members of this segment of the profile table', collect)
    .option('--all-profiles', 'send every row of the profile table')
    .option(
      '--field <to=from:transform,…>',
      `a field to send, and what is done to it on its way: ${TRANSFORMS.join(', ')}`,
      collect,
    )
    .option('--identifier <to>', 'the field, or fields, by which the destination knows a row', collect)
    .option(
      '--newest-by <field>',
      'of rows with the same identifiers send the newest by this field, not the smallest key',
    )
    .addOption(new Option('--format <format>', 'of files').choices(['csv', 'parquet', 'json-lines']))
    .option('--gzip', 'compress files')
    .option('--delimiter <character>', 'between the cells of a CSV file: , ; | or \\t')
    .option('--no-header', 'CSV files without a first line of names')
    .option('--machine-readable', "do not put a ' before cells that a spreadsheet would run as a formula")
    .option('--removed-share-max <share>', 'hold a run that removes more than this share of what is there, as 0.2')
    .option('--removed-rows-min <rows>', 'and more rows than this')
    .option('--allow-empty-source', 'do not hold a run because its source is empty')
}

type Draft = Parameters<Client['exports']['add']>[0]['body']

/** What was given, and nothing else: it is a whole export for `add`, and a change for `edit`. */
export async function readExportOptions(options: Options, terminal: Terminal): Promise<Partial<Draft>> {
  const file = text(options, 'file')
  const base = file === undefined ? {} : objectOf(await readJsonFile(file, '--file', terminal))
  const destination = pairs(texts(options, 'destination'), '--destination')
  const given: Partial<Draft> = {
    ...optional('connection', text(options, 'connection')),
    ...optional('destinationType', text(options, 'destinationType')),
    ...optional('mode', text(options, 'mode') as Draft['mode'] | undefined),
    ...optional('source', sourceOf(options)),
    ...optional('merge', mergeOf(options)),
    ...optional('format', formatOf(options)),
    ...optional('guard', guardOf(options)),
  }
  const before = (base as { destination?: Draft['destination'] }).destination
  return {
    ...base,
    ...given,
    ...(destination.length === 0 ? {} : { destination: { ...before, ...Object.fromEntries(destination) } }),
  }
}

function objectOf(json: unknown): Partial<Draft> {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json
  throw wrong('--file', 'The file holds no JSON object', 'See an export as JSON: patchbay export show NAME --json')
}

function optional<K extends keyof Draft>(name: K, value: Draft[K] | undefined): Partial<Draft> {
  return value === undefined ? {} : { [name]: value }
}

function sourceOf(options: Options): Draft['source'] | undefined {
  const tables = texts(options, 'table')
  const segments = texts(options, 'segment')
  const fields = fieldsOf(options)
  const isSegment = segments.length > 0 || options['allProfiles'] === true
  if (tables.length === 0 && !isSegment) {
    if (fields.length > 0) throw wrong('--field', 'It is not said of what', 'Add --table, --segment or --all-profiles')
    return undefined
  }
  if (tables.length > 0 && isSegment)
    throw wrong('--table', 'An export sends either tables or members of segments', 'Make two exports')
  if (isSegment) {
    if (fields.length === 0)
      throw wrong(
        '--field',
        'It is not said which fields are sent',
        'Name each as --field email=Email:lowercase, and one of them with --identifier email',
      )
    return { kind: 'segment', segments: [...segments], fields }
  }
  if (fields.length > 0 && tables.length > 1)
    throw wrong('--field', 'It is not said of which table', 'Give one --table, or describe several in a --file')
  return { kind: 'data-out', tables: tables.map((table) => ({ table, ...(fields.length > 0 ? { fields } : {}) })) }
}

type MappedField = Extract<Draft['source'], { kind: 'segment' }>['fields'][number]

function fieldsOf(options: Options): MappedField[] {
  const identifiers = texts(options, 'identifier')
  const fields = pairs(texts(options, 'field'), '--field').map(([to, given]) => ({
    to,
    ...fromAndTransforms(given),
    identifier: identifiers.includes(to),
  }))
  const unknown = identifiers.find((name) => !fields.some(({ to }) => to === name))
  if (unknown !== undefined)
    throw wrong(
      '--identifier',
      `"${unknown}" is none of the fields that are sent`,
      'Name what stands before the = of a --field',
    )
  return fields
}

/** `Email:trim,hash`. A colon that is part of a field's name stays one, unless transforms follow it. */
function fromAndTransforms(given: string): Pick<MappedField, 'from' | 'transforms'> {
  const at = given.lastIndexOf(':')
  const named = at < 0 ? [] : given.slice(at + 1).split(',')
  const transforms = TRANSFORMS.filter((transform) => named.includes(transform))
  if (at < 0 || transforms.length !== named.length) return { from: given, transforms: [] }
  // In the order in which they are given, which is the order in which they are done.
  return { from: given.slice(0, at), transforms: named as MappedField['transforms'] }
}

function mergeOf(options: Options): Draft['merge'] | undefined {
  const field = text(options, 'newestBy')
  return field === undefined ? undefined : { by: 'newest', field }
}

function formatOf(options: Options): Draft['format'] | undefined {
  const delimiter = text(options, 'delimiter')?.replaceAll('\\t', '\t')
  const format = {
    ...(options['format'] === undefined ? {} : { type: options['format'] as 'csv' }),
    ...(options['gzip'] === true ? { gzip: true } : {}),
    ...(delimiter === undefined ? {} : { delimiter: delimiter as ',' }),
    ...(options['header'] === false ? { header: false } : {}),
    ...(options['machineReadable'] === true ? { neutraliseFormulas: false } : {}),
  }
  return Object.keys(format).length === 0 ? undefined : format
}

function guardOf(options: Options): Draft['guard'] | undefined {
  const share = numberOf(options, 'removedShareMax', '--removed-share-max')
  const rows = numberOf(options, 'removedRowsMin', '--removed-rows-min')
  const guard = {
    ...(share === undefined ? {} : { removedShareMax: share }),
    ...(rows === undefined ? {} : { removedRowsMin: rows }),
    ...(options['allowEmptySource'] === true ? { allowEmptySource: true } : {}),
  }
  return Object.keys(guard).length === 0 ? undefined : guard
}

function numberOf(options: Options, name: string, option: string): number | undefined {
  const given = text(options, name)
  if (given === undefined) return undefined
  if (/^\d+(?:\.\d+)?$/.test(given)) return Number(given)
  throw wrong(option, `"${given}" is not a number`, `Write it as ${option} 0.2`)
}

type Change = Parameters<Client['exports']['edit']>[0]['body']

/** For `edit`: formats, guards and destinations are changed part by part, from what they are. */
export function mergeParts(
  before: Export,
  { schedule: _apart, format, guard, destination, ...change }: Partial<Draft>,
): Change {
  return {
    ...(change as Change),
    ...(format === undefined ? {} : { format: { ...before.format, ...format } }),
    ...(guard === undefined ? {} : { guard: { ...before.guard, ...guard } }),
    ...(destination === undefined ? {} : { destination: { ...before.destination, ...destination } }),
  }
}
