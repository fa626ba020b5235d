import type { System } from '@patchbay/contract'
import type { Command } from 'commander'
import { action } from './command.ts'
import { EXIT } from './exit-code.ts'
import { printable } from './printable.ts'
import { textPairs, textTable } from './text-table.ts'

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('Settings and where they come from, what holds and what does not; fails when something is wrong')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client, session) => {
          const found = await client.system.show()
          terminal.answer({ ...found, answeredBy: session.where }, () => systemText(found, session.where))
          return found.findings.some(({ state }) => state === 'wrong') ? EXIT.failed : EXIT.done
        }),
      ),
    )
}

const MARK = { good: '✓', note: '·', wrong: '✗' } as const
const WHERE = {
  elsewhere: 'a server elsewhere',
  server: 'the server on this folder',
  here: 'this command: no server runs',
}

function systemText(system: System, where: keyof typeof WHERE): string {
  const findings = system.findings.map(({ subject, state, detail, cure }) => {
    const line = `  ${MARK[state]} ${subject}: ${printable(detail)}`
    return cure === null ? line : `${line}\n      what to do: ${printable(cure)}`
  })
  return [
    textPairs([
      ['Patchbay', system.version],
      ['Node.js', system.node],
      ['answered by', WHERE[where]],
      ...Object.entries(system.counts).map(([name, count]): [string, number] => [name, count]),
    ]),
    findings.join('\n'),
    textTable(
      ['setting', 'value', 'from', 'what it is'],
      system.settings.map((setting) => [
        setting.name,
        setting.value ?? (setting.source === 'default' ? '' : '(not shown)'),
        setting.source,
        setting.description,
      ]),
    ),
  ].join('\n\n')
}
