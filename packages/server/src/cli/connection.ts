import type { Checked, CheckStep, Client, Connection, Connector, SharedConnection } from '@patchbay/contract'
import type { Command } from 'commander'
import { askForMissing, readSecrets, readValues, type Values } from './connection-fields.ts'
import { action, readAll, type Options, type Outcome, type Run } from './command.ts'
import { EXIT } from './exit-code.ts'
import { collect, isOn, text, texts, wholeNumber, wrong } from './given.ts'
import { removeConnection, restoreConnection, shareConnection, sharingText } from './connection-reach.ts'
import { printable } from './printable.ts'
import { textPairs, textTable } from './text-table.ts'

export function addConnectionCommands(program: Command): void {
  const connection = program.command('connection').description('Connections: credentials, and what may leave over them')

  const filling = (command: Command): Command =>
    command
      .option('--set <name=value>', 'a setting of the connector, see: patchbay connector show', collect)
      .option(
        '--secret-file <name=path>',
        'a secret from a file; others from PATCHBAY_SECRET_<NAME>, or asked for',
        collect,
      )
      .option('--trust <fingerprint>', 'what the far end has to show of itself, for use without a person')
      .option('--only-fields <names>', 'only these fields may leave, separated by commas')
      .option('--not-personal', 'no field that is tagged personal may leave')
      .option('--hashed <names>', 'these fields may only leave hashed, separated by commas')
      .option('--consent-field <name>', 'only rows where this field is true may leave')
      .option('--rows-max <number>', 'the most rows that one run may send')

  filling(connection.command('add <name>'))
    .description('Add a connection: verified step by step, then saved')
    .requiredOption('--connector <id>', 'see: patchbay connector list')
    .option('--no-verify', 'save it without trying it')
    .action(action(addConnection))

  filling(connection.command('edit <connection>'))
    .description('Change a connection. A change of where or as whom drops its secrets, and asks for them again')
    .option('--name <name>', 'another name')
    .option('--unset <name>', 'take a setting away', collect)
    .option('--replace-secret <name>', 'ask for this secret again', collect)
    .action(action(editConnection))

  connection
    .command('list')
    .description('List the connections')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client) => {
          const all = await readAll<Connection | SharedConnection>((query) => client.connections.list({ query }))
          const items = all.filter((item) => 'connectorId' in item)
          terminal.answer({ items }, () =>
            items.length === 0
              ? 'There is no connection yet. See: patchbay connector list'
              : textTable(
                  ['connection', 'connector', 'health', 'last checked', 'used by', 'who can use it', 'id'],
                  items.map((item) => [
                    item.name,
                    item.connectorId,
                    item.health,
                    item.checkedAt,
                    item.usedBy,
                    sharingText(item.sharing),
                    item.id,
                  ]),
                ),
          )
          return undefined
        }),
      ),
    )

  connection
    .command('show <connection>')
    .description('Show a connection, without its secrets')
    .action(
      action(({ terminal, withSession }, [name = '']) =>
        withSession(async (client) => {
          const found = await client.connections.show({ params: { connection: name } })
          terminal.answer(found, () => connectionText(found))
          return undefined
        }),
      ),
    )

  connection
    .command('check <connection>')
    .description('Verify a connection step by step, with its stored secrets')
    .option('--trust <fingerprint>', 'trust the far end when it shows exactly this')
    .action(action(checkConnection))

  connection
    .command('remove <connection>')
    .description('Remove a connection. Exports over it are detached: they keep everything and do not run')
    .option('--with-exports', 'remove the exports on it as well, for ever')
    .option('--yes', 'do not ask')
    .action(action(removeConnection))

  connection
    .command('restore [connection]')
    .description('Put a removed connection back, for 30 days and without its secrets; alone, list what can be')
    .option('--name <name>', 'another name, where its own was taken')
    .action(action(restoreConnection))

  connection
    .command('share <connection>')
    .description('Say who may use a connection, besides Administrators. Exports stay as they are')
    .option('--with <whom>', 'administrators, contributors, or the id of a user; once for each user', collect)
    .option('--yes', 'do not ask')
    .action(action(shareConnection))
}

async function addConnection(run: Run, [name = '']: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, withSession } = run
  return withSession(async (client) => {
    const connector = await client.connectors.show({ params: { connector: text(options, 'connector') ?? '' } })
    const settings = await askForMissing(run, connector.settings, await readValues(connector.settings, options))
    const secrets = await readSecrets(run, connector.settings, settings, options, () => true)
    const draft = { connectorId: connector.id, settings, secrets }
    const verified =
      options['verify'] === false
        ? { checked: undefined, pins: givenPins(connector, options) }
        : await verify(run, client, connector, draft, options)
    if (verified.checked?.ok === false) {
      terminal.answer({ saved: false, ...verified.checked }, () => 'Nothing was saved.')
      return EXIT.failed
    }
    const body = {
      ...draft,
      name,
      pins: verified.pins,
      policy: { fields: 'all' as const, hashed: [], ...policyOf(options) },
    }
    const added = await client.connections.add({ body })
    // Once more as it is stored: so the connection knows that it is healthy, and what was sealed is known to open.
    const checked = verified.checked && (await client.connections.check({ params: { connection: added.id } }))
    const stored = checked === undefined ? added : await client.connections.show({ params: { connection: added.id } })
    terminal.answer(
      { ...stored, ...(checked && { check: checked }) },
      () => `Added the connection ${stored.name} (${stored.id})`,
    )
    return undefined
  })
}

interface Draft {
  readonly connectorId: string
  readonly settings: Values
  readonly secrets: Readonly<Record<string, string>>
}

/** Checks, and where the far end shows itself for the first time, asks whether to trust it and checks again. */
async function verify(
  run: Run,
  client: Client,
  connector: Connector,
  draft: Draft,
  options: Options,
): Promise<{ readonly checked: Checked; readonly pins: Record<string, string> }> {
  let pins: Record<string, string> = {}
  for (;;) {
    const checked = await client.connections.checkDraft({ body: { ...draft, pins } })
    showSteps(run, connector, checked)
    const shown = checked.steps.at(-1)?.pin
    if (shown === undefined || pins[shown.field] !== undefined || !(await isTrusted(run, connector, shown, options)))
      return { checked, pins }
    pins = { ...pins, [shown.field]: shown.value }
  }
}

function givenPins(connector: Connector, options: Options): Record<string, string> {
  const trust = text(options, 'trust')
  const field = connector.settings.find(({ kind }) => kind === 'pin')
  if (trust === undefined) return {}
  if (field !== undefined) return { [field.name]: trust }
  throw wrong('--trust', `${connector.name} shows nothing that could be trusted`, 'Leave it out')
}

async function isTrusted(
  { terminal }: Run,
  connector: Connector,
  shown: NonNullable<CheckStep['pin']>,
  options: Options,
): Promise<boolean> {
  const given = text(options, 'trust')
  if (given !== undefined) {
    if (given === shown.value) return true
    throw wrong(
      '--trust',
      `The far end shows ${shown.value}, not ${given}`,
      "Find out from the server's operator which one is right",
    )
  }
  const label = connector.settings.find(({ name }) => name === shown.field)?.label ?? shown.field
  if (!terminal.isInteractive)
    throw wrong(
      '--trust',
      `${label}: ${shown.value} is shown, and nobody has trusted it yet`,
      `Compare it with what the server's operator tells you, then say --trust ${shown.value}`,
    )
  terminal.note(`\n${label}:\n  ${printable(shown.value)}\nCompare it with what the server's operator tells you.`)
  return /^y(?:es)?$/i.test((await terminal.ask('Trust it? [yes/no] ')).trim())
}

function showSteps({ terminal }: Run, connector: Connector, { steps }: Checked): void {
  if (terminal.isJson) return
  for (const step of steps) {
    const label = connector.settings.find(({ name }) => name === step.field)?.label
    const said = step.ok ? (step.detail ?? '') : `${label === undefined ? '' : `${label}: `}${step.message ?? ''}`
    terminal.note(`  ${step.ok ? '✓' : '✗'} ${step.step}${said === '' ? '' : `  ${printable(said)}`}`)
  }
}

async function editConnection(run: Run, [name = '']: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, withSession } = run
  return withSession(async (client) => {
    const before = await client.connections.show({ params: { connection: name } })
    const { settings: fields } = await client.connectors.show({ params: { connector: before.connectorId } })
    const set = await readValues(fields, options)
    const unset = Object.fromEntries(texts(options, 'unset').map((field) => [field, null]))
    const after = Object.fromEntries(
      Object.entries({ ...before.settings, ...set, ...unset }).filter(([, value]) => value !== null),
    ) as Values
    const isMoved = fields.some((field) => field.endpoint && before.settings[field.name] !== after[field.name])
    const again = texts(options, 'replaceSecret')
    const secrets = await readSecrets(run, fields, after, options, (field) =>
      isMoved || again.includes(field.name) ? true : !field.optional && !before.secretsSet.includes(field.name),
    )
    const renamed = text(options, 'name')
    const policy = policyOf(options)
    const edited = await client.connections.edit({
      params: { connection: before.id },
      revision: before.revision,
      body: {
        ...(renamed === undefined ? {} : { name: renamed }),
        ...(Object.keys({ ...set, ...unset }).length === 0 ? {} : { settings: { ...set, ...unset } }),
        ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
        ...(Object.keys(policy).length === 0 ? {} : { policy: { ...before.policy, ...policy } }),
      },
    })
    terminal.answer(edited, () => connectionText(edited))
    if (isMoved)
      terminal.note(
        `It says where or as whom, so it has to be verified again: patchbay connection check "${edited.name}"`,
      )
    return undefined
  })
}

async function checkConnection(run: Run, [name = '']: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, withSession } = run
  return withSession(async (client) => {
    const params = { connection: name }
    const { connectorId } = await client.connections.show({ params })
    const connector = await client.connectors.show({ params: { connector: connectorId } })
    let checked = await client.connections.check({ params })
    showSteps(run, connector, checked)
    const shown = checked.steps.at(-1)?.pin
    if (shown !== undefined && (await isTrusted(run, connector, shown, options))) {
      await client.connections.trust({ params, body: shown })
      checked = await client.connections.check({ params })
      showSteps(run, connector, checked)
    }
    terminal.answer(checked, () => (checked.ok ? 'The connection works.' : 'The connection does not work.'))
    return checked.ok ? EXIT.done : EXIT.failed
  })
}

type Policy = Connection['policy']

function policyOf(options: Options): Partial<Policy> {
  const only = text(options, 'onlyFields')
  const hashed = text(options, 'hashed')
  const consentField = text(options, 'consentField')
  const rowsMax = wholeNumber(text(options, 'rowsMax'), '--rows-max')
  return {
    ...(isOn(options, 'notPersonal') ? { fields: 'not-personal' as const } : {}),
    ...(only === undefined ? {} : { fields: { only: listOf(only) } }),
    ...(hashed === undefined ? {} : { hashed: listOf(hashed) }),
    ...(consentField === undefined ? {} : { consentField }),
    ...(rowsMax === undefined ? {} : { rowsPerRunMax: rowsMax }),
  }
}

function listOf(names: string): string[] {
  return names.split(',').filter((name) => name !== '')
}

function connectionText(connection: Connection): string {
  const { policy } = connection
  const may = typeof policy.fields === 'string' ? policy.fields : policy.fields.only.join(', ')
  return textPairs([
    ['connection', connection.name],
    ['id', connection.id],
    ['connector', connection.connectorId],
    ...Object.entries(connection.settings).map(([name, value]): [string, string] => [`  ${name}`, String(value)]),
    ...connection.secretsSet.map((name): [string, string] => [`  ${name}`, 'stored']),
    ['health', connection.health],
    ['last checked', connection.checkedAt],
    ['used by', connection.usedBy],
    ['who can use it', sharingText(connection.sharing)],
    ['may leave', may],
    ['only hashed', policy.hashed.join(', ')],
    ['consent field', policy.consentField ?? ''],
    ['rows a run', policy.rowsPerRunMax ?? 'no limit'],
  ])
}
