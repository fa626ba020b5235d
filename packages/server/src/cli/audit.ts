import type { Command } from 'commander'
import { action } from './command.ts'
import { EXIT } from './exit-code.ts'
import { text, wholeNumber } from './given.ts'
import { numberText, textTable } from './text-table.ts'

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('The audit log: who changed what')

  audit
    .command('list')
    .description('The newest entries')
    .option('--limit <number>', 'how many', '50')
    .option('--subject <id>', 'only what is about this id')
    .option('--actor <name>', 'only what they did')
    .option('--action <action>', 'only this, as export.edited, or all of a noun, as export.')
    .action(
      action(({ terminal, withSession }, _args, options) =>
        withSession(async (client) => {
          const subject = text(options, 'subject')
          const limit = wholeNumber(text(options, 'limit'), '--limit') ?? 50
          const [actor, what] = [text(options, 'actor'), text(options, 'action')]
          const query = {
            limit,
            ...(subject === undefined ? {} : { subject }),
            ...(actor === undefined ? {} : { actor }),
            ...(what === undefined ? {} : { action: what }),
          }
          const page = await client.audit.list({ query })
          terminal.answer({ items: page.items }, () =>
            textTable(
              ['number', 'at', 'who', 'what', 'about', 'detail'],
              page.items.map((event) => [
                event.seq,
                event.at,
                event.actor,
                event.action,
                event.subject,
                JSON.stringify(event.detail),
              ]),
            ),
          )
          return undefined
        }),
      ),
    )

  audit
    .command('export')
    .description('Write the whole log to stdout as JSON lines, the oldest first')
    .action(
      action(({ withSession, interrupt }) =>
        withSession(async (client) => {
          const stream = await client.audit.export({ signal: interrupt.signal })
          for await (const piece of stream) process.stdout.write(piece)
          return undefined
        }),
      ),
    )

  audit
    .command('verify')
    .description('Check the chain of the whole log; fails where an entry is not what was written')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client) => {
          const verdict = await client.audit.verify()
          terminal.answer(verdict, () =>
            verdict.ok
              ? `The log is whole: ${numberText(verdict.events)} entries. Its head is ${verdict.head}`
              : `The log is not what was written: entry ${verdict.brokenAt} is ${verdict.what}`,
          )
          return verdict.ok ? EXIT.done : EXIT.failed
        }),
      ),
    )
}
