import { randomBytes } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { action, type Options, type Outcome, type Run } from './command.ts'
import { isOn, wrong } from './given.ts'
import { numberText } from './text-table.ts'

export function addBackupCommands(program: Command): void {
  program
    .command('backup <file>')
    .description('Write a sealed copy of everything but the key file, which you have to keep elsewhere')
    .action(action(backup))

  program
    .command('restore [file]')
    .description('Put a backup back into an empty data folder. Nothing is sent until it is confirmed')
    .option('--confirm', 'let exports run again, after you have looked at what was sent since the backup')
    .action(action(restore))
}

/** Under another name until it is whole, so that a backup that broke off is never taken for one. */
async function backup(run: Run, [file = '']: readonly string[]): Promise<Outcome> {
  const path = resolve(run.workingFolder, file)
  if (existsSync(path))
    throw wrong('file', `${path} is there already`, 'Choose another name: a backup is never written over')
  const unfinished = `${path}.${randomBytes(4).toString('hex')}.part`
  return run.withSession(async (client) => {
    try {
      const stream = await client.system.backup({ signal: run.interrupt.signal })
      await pipeline(
        Readable.fromWeb(stream as never),
        createWriteStream(unfinished, { flags: 'wx', mode: 0o600, flush: true }),
      )
      await rename(unfinished, path)
    } catch (error) {
      await rm(unfinished, { force: true })
      throw error
    }
    const { size } = await stat(path)
    run.terminal.answer({ file: path, sizeBytes: size }, () => `Wrote ${path} (${numberText(size)} bytes)`)
    if (!run.terminal.isJson)
      run.terminal.note('It can only be read with the key file (see patchbay doctor), which is not in it')
    return undefined
  })
}

async function restore(run: Run, [file]: readonly string[], options: Options): Promise<Outcome> {
  if (isOn(options, 'confirm')) {
    await run.withSession((client) => client.system.confirmRestore())
    run.terminal.answer({ confirmed: true }, () => 'Exports run again')
    return undefined
  }
  if (file === undefined) throw wrong('file', 'It is not said what to put back', 'Name the backup, or say --confirm')
  const { restoreBackup } = await import('../main/restore.ts')
  const restored = await restoreBackup(run.settings(), resolve(run.workingFolder, file))
  run.terminal.answer(restored, () =>
    [
      `Put back the backup of ${restored.createdAt}: ${numberText(restored.rows)} rows of the control store, ${numberText(restored.files)} files`,
      'Exports do not run until you say: patchbay restore --confirm',
      'Look first: what was delivered after that time is not known here, and would be sent again.',
    ].join('\n'),
  )
  return undefined
}
