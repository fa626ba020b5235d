import type { Client, Imported, Inspection, Table, Upload } from '@patchbay/contract'
import { FIELD_TAGS, FIELD_TYPES } from '@patchbay/contract'
import type { Command } from 'commander'
import { action, readAll, type Options, type Run } from './command.ts'
import { collect, isOn, pairs, text, texts, wholeNumber, wrong } from './given.ts'
import { sendFiles } from './send-files.ts'
import { printable } from './printable.ts'
import { whileWaiting } from './waiting.ts'
import { numberText, textPairs, textTable } from './text-table.ts'

export function addTableCommands(program: Command): void {
  const table = program.command('table').description('Tables: import, list, show, describe')

  const reading = (command: Command): Command =>
    command
      .option('--format <format>', 'csv, parquet or json-lines; otherwise found out')
      .option('--delimiter <character>', 'what stands between the fields of a CSV file')
      .option('--encoding <name>', 'of a text file, as utf-8 or latin-1')
      .option('--no-header', 'the first line of a CSV file holds values, not names')

  reading(table.command('import <path...>'))
    .description('Import a file or a folder as a new table, or as the next version of the table with this name')
    .option('--name <name>', 'name of the table; otherwise that of the file')
    .option('--key <field>', 'the field that identifies a row: unique and never empty')
    .option('--profile', 'this is the profile table, with a row per customer')
    .option('--type <field=type>', `a type that is not to be inferred: ${FIELD_TYPES.join(', ')}`, collect)
    .option('--tag <field=tag>', `${FIELD_TAGS.join(', ')}`, collect)
    .option('--label <field=text>', 'what people call the field', collect)
    .option('--bad-lines-max <number>', 'go on while no more lines than this cannot be read', '0')
    .option('--date-order <order>', 'day-first or month-first: what 03/04/2026 means')
    .option('--allow-schema-change', 'fields of the table may go, or change their type')
    .option('--inspect', 'only show how the files would be read')
    .action(action(importTable))

  table
    .command('list')
    .description('List the tables')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client) => {
          const items = await readAll((query) => client.tables.list({ query }))
          terminal.answer({ items }, () => tablesText(items))
          return undefined
        }),
      ),
    )

  table
    .command('show <table>')
    .description('Show the fields and versions of a table')
    .option('--rows <number>', 'and its first rows')
    .option('--field <field>', 'and a profile of the values of this field')
    .action(action(showTable))

  table
    .command('set <table>')
    .description('Change the name, labels and tags, and whether it is the profile table')
    .option('--name <name>', 'another name')
    .option('--profile', 'make it the profile table')
    .option('--no-profile', 'it is the profile table no longer')
    .option('--tag <field=tag,tag>', `the tags of a field (none: field=): ${FIELD_TAGS.join(', ')}`, collect)
    .option('--label <field=text>', 'what people call the field', collect)
    .action(action(setTable))

  table
    .command('remove <table>')
    .description('Remove a table that no segment and no export uses')
    .action(
      action(({ terminal, withSession }, [name = '']) =>
        withSession(async (client) => {
          await client.tables.remove({ params: { table: name } })
          terminal.answer({ removed: name }, () => `Removed the table ${name}`)
          return undefined
        }),
      ),
    )
}

async function importTable(run: Run, paths: readonly string[], options: Options): Promise<undefined> {
  const { terminal, withSession } = run
  const started = performance.now()
  await withSession(async (client) => {
    const { uploads, name: fileName } = await sendFiles(run, client, paths)
    try {
      if (isOn(options, 'inspect')) {
        const found = await client.tables.inspect({ body: { uploads, read: readOptions(options) } })
        terminal.answer(found, () => inspectionText(found))
        return
      }
      const imported = await makeVersion(run, client, uploads, text(options, 'name') ?? fileName, options)
      terminal.answer(imported, () => importedText(imported, (performance.now() - started) / 1000))
    } finally {
      // Those that were imported are gone already; nothing is left behind of a refused import.
      for (const upload of uploads) await client.uploads.remove({ params: { upload } }).catch(() => undefined)
    }
  })
  return undefined
}

async function makeVersion(
  run: Run,
  client: Client,
  uploads: Upload['id'][],
  name: string,
  options: Options,
): Promise<Imported> {
  const how = {
    uploads,
    read: readOptions(options),
    types: Object.fromEntries(pairs(texts(options, 'type'), '--type')) as Record<string, 'text'>,
    badLinesMax: wholeNumber(text(options, 'badLinesMax'), '--bad-lines-max') ?? 0,
  }
  const existing = (await readAll((query) => client.tables.list({ query }))).find(
    (table) => table.name.toLowerCase() === name.toLowerCase(),
  )
  if (existing !== undefined) return refresh(run, client, existing, how, options)
  const key = text(options, 'key') ?? (await askForKey(run, client, how))
  const body = {
    ...how,
    name,
    key,
    isProfile: isOn(options, 'profile'),
    tags: tagsOf(options),
    labels: Object.fromEntries(pairs(texts(options, 'label'), '--label')),
  }
  return whileWaiting(run.terminal, 'importing', client.tables.import({ body, signal: run.interrupt.signal }))
}

async function refresh(
  run: Run,
  client: Client,
  table: Table,
  how: Omit<Parameters<Client['tables']['refresh']>[0]['body'], 'allowSchemaChange'>,
  options: Options,
): Promise<Imported> {
  const key = text(options, 'key')
  if (key !== undefined && key !== table.key)
    throw wrong(
      '--key',
      `The table ${table.name} is there already, with the key ${table.key}`,
      'Leave --key out to import its next version, or choose another --name',
    )
  const body = { ...how, allowSchemaChange: isOn(options, 'allowSchemaChange') }
  const making = client.tables.refresh({ params: { table: table.id }, body, signal: run.interrupt.signal })
  const imported = await whileWaiting(run.terminal, 'importing', making)
  const edited = await editTable(client, table.id, options)
  return edited === undefined ? imported : { ...imported, table: edited }
}

/** A person is asked, with the likeliest one proposed; a script has to say it. */
async function askForKey(
  { terminal }: Run,
  client: Client,
  how: { readonly uploads: Upload['id'][]; readonly read: ReadOptions },
): Promise<string> {
  const found = await client.tables.inspect({ body: { uploads: how.uploads, read: how.read } })
  const candidates = found.fields.filter((field) => field.isKeyCandidate === true).map(({ name }) => name)
  if (terminal.isInteractive) {
    const proposed = found.suggestedKey
    const answer = await terminal.ask(`Which field identifies a row?${proposed === null ? '' : ` [${proposed}]`} `)
    const key = answer.trim() === '' ? proposed : answer.trim()
    if (key !== null) return key
  }
  throw wrong(
    '--key',
    'It is not said which field identifies a row',
    candidates.length === 0
      ? `Name it with --key; the fields are ${found.fields.map(({ name }) => name).join(', ')}`
      : `Name it with --key; these could be it: ${candidates.join(', ')}`,
  )
}

type ReadOptions = NonNullable<Parameters<Client['tables']['inspect']>[0]['body']['read']>

function readOptions(options: Options): ReadOptions {
  const format = text(options, 'format')
  const delimiter = text(options, 'delimiter')
  const encoding = text(options, 'encoding')
  return {
    ...(format === undefined ? {} : { format: format as 'csv' }),
    ...(delimiter === undefined ? {} : { delimiter: delimiter.replaceAll('\\t', '\t') }),
    ...(encoding === undefined ? {} : { encoding }),
    ...(options['header'] === false ? { header: false } : {}),
    ...optionalOrder(text(options, 'dateOrder')),
  }
}

function optionalOrder(order: string | undefined): { dateOrder?: 'day-first' | 'month-first' } {
  return order === undefined ? {} : { dateOrder: order as 'day-first' }
}

type Tags = Table['fields'][number]['tags']

function tagsOf(options: Options): Record<string, Tags> {
  const tags: Record<string, Tags> = {}
  for (const [field, given] of pairs(texts(options, 'tag'), '--tag'))
    tags[field] = [...(tags[field] ?? []), ...(given.split(',').filter((tag) => tag !== '') as Tags)]
  return tags
}

async function editTable(client: Client, table: string, options: Options): Promise<Table | undefined> {
  const tags = tagsOf(options)
  const labels = Object.fromEntries(pairs(texts(options, 'label'), '--label'))
  const fields = Object.fromEntries(
    [...new Set([...Object.keys(tags), ...Object.keys(labels)])].map((name) => [
      name,
      {
        ...(tags[name] === undefined ? {} : { tags: tags[name] }),
        ...(labels[name] === undefined ? {} : { label: labels[name] }),
      },
    ]),
  )
  const profile = options['profile']
  const body = {
    ...(Object.keys(fields).length === 0 ? {} : { fields }),
    ...(typeof profile === 'boolean' ? { isProfile: profile } : {}),
  }
  if (Object.keys(body).length === 0) return undefined
  return client.tables.edit({ params: { table }, body })
}

async function setTable(
  { terminal, withSession }: Run,
  [name = '']: readonly string[],
  options: Options,
): Promise<undefined> {
  await withSession(async (client) => {
    const renamed = text(options, 'name')
    if (renamed !== undefined) await client.tables.edit({ params: { table: name }, body: { name: renamed } })
    const reference = renamed ?? name
    const table =
      (await editTable(client, reference, options)) ?? (await client.tables.show({ params: { table: reference } }))
    terminal.answer(table, () => fieldsText(table))
  })
  return undefined
}

async function showTable(
  { terminal, withSession }: Run,
  [name = '']: readonly string[],
  options: Options,
): Promise<undefined> {
  const limit = wholeNumber(text(options, 'rows'), '--rows')
  const field = text(options, 'field')
  await withSession(async (client) => {
    const params = { table: name }
    const table = await client.tables.show({ params })
    const { items: versions } = await client.tables.versions({ params })
    const rows = limit === undefined ? undefined : await client.tables.rows({ params, query: { limit } })
    const profile = field === undefined ? undefined : await client.tables.profile({ params, query: { field } })
    terminal.answer({ ...table, versions, ...(rows && { rowsShown: rows }), ...(profile && { profile }) }, () =>
      [
        fieldsText(table),
        textTable(
          ['version', 'rows', 'bytes', 'bad lines', 'created'],
          versions.map((version) => [
            version.version,
            version.rows,
            version.sizeBytes,
            version.badLines,
            `${version.createdAt}${version.isCurrent ? ' (current)' : ''}`,
          ]),
        ),
        rows && textTable(rows.fields, rows.items),
        profile &&
          textPairs([
            ['field', profile.name],
            ['rows', profile.rows],
            ['empty', profile.empty],
            ['distinct', profile.distinct],
            ['smallest', profile.smallest],
            ['largest', profile.largest],
            ['common', profile.common.map(({ value, rows: count }) => `${value} (${numberText(count)})`).join(', ')],
          ]),
      ]
        .filter((part) => part !== undefined)
        .join('\n\n'),
    )
  })
  return undefined
}

function tablesText(tables: readonly Table[]): string {
  if (tables.length === 0)
    return 'There is no table yet. Import one: patchbay table import customers.csv --key id --profile'
  return textTable(
    ['table', 'rows', 'fields', 'key', 'version', 'profile', 'id'],
    tables.map((table) => [
      table.name,
      table.rows,
      table.fields.length,
      table.key,
      table.currentVersion,
      table.isProfile,
      table.id,
    ]),
  )
}

function fieldsText(table: Table): string {
  const head = textPairs([
    ['table', table.name],
    ['id', table.id],
    ['profile', table.isProfile],
    ['rows', table.rows],
  ])
  const fields = textTable(
    ['field', 'type', 'tags', 'label'],
    table.fields.map((field) => [
      field.name === table.key ? `${field.name} (key)` : field.name,
      field.type,
      field.tags.join(', '),
      field.label,
    ]),
  )
  return `${head}\n\n${fields}`
}

function inspectionText(found: Inspection): string {
  const head = textPairs([
    ['format', found.format],
    ['delimiter', found.delimiter],
    ['header', found.header],
    ['encoding', found.encoding],
    ['likely key', found.suggestedKey],
  ])
  const fields = textTable(
    ['field', 'type', 'can be the key'],
    found.fields.map((field) => [field.name, field.type, field.isKeyCandidate]),
  )
  const sample = textTable(
    found.fields.map(({ name }) => name),
    found.sample,
  )
  const notes = found.notes.map(printable)
  const bad = found.badLines.map(({ file, line, field, reason }) => [file, line, field, reason])
  const badLines =
    bad.length === 0 ? [] : [`These lines cannot be read:\n${textTable(['file', 'line', 'field', 'reason'], bad)}`]
  return [head, fields, sample, ...notes, ...badLines].join('\n\n')
}

function importedText({ table, version, badLines, notes, change }: Imported, seconds: number): string {
  const rate = seconds < 0.05 ? '' : `, ${numberText(Math.round(version.rows / seconds))} rows/s`
  const lines = [
    `Imported ${numberText(version.rows)} rows as version ${version.version} of ${table.name} in ${seconds.toFixed(1)} s${rate}`,
    '',
    fieldsText(table),
  ]
  for (const note of notes) lines.push('', printable(note))
  if (version.version > 1) lines.push(...changeTexts(change))
  if (version.badLines > 0) {
    lines.push('', `${numberText(version.badLines)} lines could not be read and were left out:`)
    lines.push(
      textTable(
        ['file', 'line', 'field', 'reason'],
        badLines.map(({ file, line, field, reason }) => [file, line, field, reason]),
      ),
    )
  }
  return lines.join('\n')
}

function changeTexts({ added, removed, retyped }: Imported['change']): readonly string[] {
  return [
    ...(added.length === 0 ? [] : [`New fields: ${added.join(', ')}`]),
    ...(removed.length === 0 ? [] : [`Fields that are gone: ${removed.join(', ')}`]),
    ...retyped.map(({ field, from, to }) => `${field} is ${to} now, and was ${from}`),
  ]
}
