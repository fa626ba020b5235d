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
    .action(
      action(({ terminal, withSession }, _args, options) =>
        withSession(async (client) => {
          const subject = text(options, 'subject')
          const limit = wholeNumber(text(options, 'limit'), '--limit') ?? 50
          const page = await client.audit.list({ query: { limit, ...(subject === undefined ? {} : { subject }) } })
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
