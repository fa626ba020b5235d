import { Command } from 'commander'
import { VERSION } from '../main/version.ts'
import { addAuditCommands } from './audit.ts'
import { addBackupCommands } from './backup.ts'
import { addConnectionCommands } from './connection.ts'
import { addConnectorCommands } from './connector.ts'
import { addDemoCommand } from './demo.ts'
import { addDoctorCommand } from './doctor.ts'
import { EXIT_CODES_TEXT } from './exit-code.ts'
import { addExportCommands } from './export.ts'
import { addKeyCommands } from './key.ts'
import { addPersonCommands } from './person.ts'
import { addNotificationCommands } from './notification.ts'
import { addLoginCommands } from './login.ts'
import { addRunCommands } from './run.ts'
import { addSegmentCommands } from './segment.ts'
import { addServeCommands } from './serve.ts'
import { addTableCommands } from './table.ts'
import { addUserCommands } from './user.ts'

/** `onUsage` is given what commander would say on stderr, such as the help of a group without a command. */
export function makeProgram(onUsage: (text: string) => void): Command {
  const program = new Command('patchbay')
    .description(
      'Exports customer data to other services, and accounts for every row.\n\n' +
        'Commands work on the server that runs on the data folder, or, where none does, on the folder itself.',
    )
    .version(VERSION, '--version', 'show the version')
    .option('--json', 'one JSON value on stdout, and errors as JSON on stderr')
    .helpOption('--help', 'show what a command does and takes')
    .addHelpText('after', EXIT_CODES_TEXT)
    .showSuggestionAfterError()
  addServeCommands(program)
  addDemoCommand(program)
  addTableCommands(program)
  addSegmentCommands(program)
  addConnectorCommands(program)
  addConnectionCommands(program)
  addExportCommands(program)
  addRunCommands(program)
  addPersonCommands(program)
  addNotificationCommands(program)
  addUserCommands(program)
  addKeyCommands(program)
  addLoginCommands(program)
  addAuditCommands(program)
  addBackupCommands(program)
  addDoctorCommand(program)
  prepare(program, onUsage)
  return program
}

/** Wrong usage is an error like all others: thrown here, told in one place, by one exit code. */
function prepare(command: Command, onUsage: (text: string) => void): void {
  command.exitOverride().configureOutput({ writeErr: onUsage, outputError: () => undefined })
  for (const child of command.commands) {
    // So that `--json` may stand at the end as well.
    if (child.commands.length === 0) child.option('--json', 'one JSON value on stdout, and errors as JSON on stderr')
    child.helpOption('--help', 'show what it does and takes').helpCommand(false)
    prepare(child, onUsage)
  }
}
