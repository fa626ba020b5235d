import type { Segment } from '@patchbay/contract'
import type { Command } from 'commander'
import { action, readAll } from './command.ts'
import { isOn, readJsonFile, text } from './given.ts'
import { numberText, textPairs, textTable } from './text-table.ts'

export function addSegmentCommands(program: Command): void {
  const segment = program.command('segment').description('Segments: rules that pick rows of the profile table')

  segment
    .command('add <name>')
    .description('Add a segment by the rule in a JSON file, as {"on": {"field": "Country"}, "equals": "Brazil"}')
    .requiredOption('--rule <file>', 'a JSON file with the rule tree, or - for stdin')
    .action(
      action(async ({ terminal, withSession }, [name = ''], options) => {
        const rule = await readJsonFile(text(options, 'rule') ?? '-', '--rule', terminal)
        return withSession(async (client) => {
          const added = await client.segments.add({ body: { name, rule: rule as Segment['rule'] } })
          const counted = await client.segments.count({ params: { segment: added.id } })
          terminal.answer(
            { ...added, ...counted },
            () => `Added the segment ${added.name}: ${numberText(counted.members)} of ${numberText(counted.of)} rows`,
          )
          return undefined
        })
      }),
    )

  segment
    .command('edit <segment>')
    .description('Change the name or the rule of a segment')
    .option('--name <name>', 'another name')
    .option('--rule <file>', 'a JSON file with the rule tree, or - for stdin')
    .action(
      action(async ({ terminal, withSession }, [name = ''], options) => {
        const file = text(options, 'rule')
        const rule = file === undefined ? undefined : await readJsonFile(file, '--rule', terminal)
        const renamed = text(options, 'name')
        return withSession(async (client) => {
          const before = await client.segments.show({ params: { segment: name } })
          const edited = await client.segments.edit({
            params: { segment: before.id },
            revision: before.revision,
            body: {
              ...(renamed === undefined ? {} : { name: renamed }),
              ...(rule === undefined ? {} : { rule: rule as Segment['rule'] }),
            },
          })
          terminal.answer(edited, () => `Changed the segment ${edited.name}`)
          return undefined
        })
      }),
    )

  segment
    .command('list')
    .description('List the segments')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client) => {
          const items = await readAll((query) => client.segments.list({ query }))
          terminal.answer({ items }, () => segmentsText(items))
          return undefined
        }),
      ),
    )

  segment
    .command('show <segment>')
    .description('Show the rule of a segment, and how many members it has now')
    .option('--members', 'and the first 100 of them')
    .action(
      action(({ terminal, withSession }, [name = ''], options) =>
        withSession(async (client) => {
          const params = { segment: name }
          const found = await client.segments.show({ params })
          const counted = await client.segments.count({ params })
          const members = isOn(options, 'members') ? await client.segments.members({ params }) : undefined
          terminal.answer({ ...found, ...counted, ...(members && { firstMembers: members }) }, () =>
            [
              textPairs([
                ['segment', found.name],
                ['id', found.id],
                ['members', `${numberText(counted.members)} of ${numberText(counted.of)} rows`],
                ['created', found.createdAt],
              ]),
              JSON.stringify(found.rule, null, 2),
              ...(members === undefined ? [] : [textTable(members.fields, members.items)]),
            ].join('\n\n'),
          )
          return undefined
        }),
      ),
    )

  segment
    .command('remove <segment>')
    .description('Remove a segment that no other segment and no export uses')
    .action(
      action(({ terminal, withSession }, [name = '']) =>
        withSession(async (client) => {
          await client.segments.remove({ params: { segment: name } })
          terminal.answer({ removed: name }, () => `Removed the segment ${name}`)
          return undefined
        }),
      ),
    )
}

function segmentsText(segments: readonly Segment[]): string {
  if (segments.length === 0)
    return 'There is no segment yet. Add one: patchbay segment add "Valued customers" --rule rule.json'
  return textTable(
    ['segment', 'created', 'revision', 'id'],
    segments.map(({ name, createdAt, revision, id }) => [name, createdAt, revision, id]),
  )
}
