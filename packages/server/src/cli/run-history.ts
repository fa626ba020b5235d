/** What a run says of itself: as it goes on, why rows were not delivered, as a file, and beside the run before it. */
import { randomBytes } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { COUNT_NAMES, ROW_LISTS } from '@patchbay/contract'
import { Option, type Command } from 'commander'
import { action, type Options, type Outcome, type Run } from './command.ts'
import { text, wrong } from './given.ts'
import { textTable } from './text-table.ts'

export function addRunHistoryCommands(group: Command): void {
  group
    .command('events <run>')
    .description('Follow a run: an event a line, as JSON, until it is over')
    .action(action(followRun))

  whichOption(group.command('causes <run>'))
    .description('Say why rows were not delivered, the commonest cause first')
    .action(
      action(({ terminal, withSession }, [id = ''], options) =>
        withSession(async (client) => {
          const found = await client.runs.causes({ params: { run: id }, query: { which: whichOf(options) } })
          terminal.answer(found, () =>
            found.items.length === 0
              ? 'There is no such row'
              : textTable(
                  ['rows', 'reason', 'in the words of the service'],
                  found.items.map((item) => [item.rows, item.reason, item.message]),
                ),
          )
          return undefined
        }),
      ),
    )

  group
    .command('compare <run>')
    .description('Show how a run differs from the one before it')
    .action(
      action(({ terminal, withSession }, [id = '']) =>
        withSession(async (client) => {
          const run = await client.runs.show({ params: { run: id } })
          const { before, change, secondsMore } = await client.runs.comparison({ params: { run: id } })
          terminal.answer({ before, change, secondsMore }, () =>
            before === null || change === null
              ? 'It is the first run'
              : textTable(
                  ['', 'before', 'this', 'difference'],
                  COUNT_NAMES.map((name) => [name, before.counts[name], run.counts[name], change[name]]),
                ),
          )
          return undefined
        }),
      ),
    )

  whichOption(group.command('download <run> <file>'))
    .description('Write the rows that were not delivered to a new file: .csv, or .jsonl for programs')
    .action(action(download))
}

function whichOption(command: Command): Command {
  return command.addOption(new Option('--which <list>', 'of which rows').choices([...ROW_LISTS]).default('rejected'))
}

function whichOf(options: Options): (typeof ROW_LISTS)[number] {
  return ROW_LISTS.find((list) => list === text(options, 'which')) ?? 'rejected'
}

async function followRun(run: Run, [id = '']: readonly string[]): Promise<Outcome> {
  return run.withSession(async (client, session) => {
    // Where no server runs, nobody else would go on with it.
    await session.work()
    const stream = await client.runs.events({ params: { run: id }, signal: run.interrupt.signal })
    let said = ''
    const decoder = new TextDecoder()
    for await (const piece of stream) {
      said += decoder.decode(piece, { stream: true })
      const events = said.split('\n\n')
      said = events.pop() ?? ''
      for (const event of events) {
        const name = /^event: (.*)$/m.exec(event)?.[1]
        const data = /^data: (.*)$/m.exec(event)?.[1]
        if (name !== undefined && data !== undefined)
          process.stdout.write(`{"event":${JSON.stringify(name)},"data":${data}}\n`)
      }
    }
    return undefined
  })
}

/** Under another name until it is whole. */
async function download(run: Run, [id = '', file = '']: readonly string[], options: Options): Promise<Outcome> {
  const path = resolve(run.workingFolder, file)
  const kind = /\.(csv|jsonl)$/.exec(path)?.[1]
  if (kind === undefined)
    throw wrong('file', `${file} ends neither in .csv nor in .jsonl`, 'Name it by what it shall be')
  if (existsSync(path)) throw wrong('file', `${path} is there already`, 'Choose another name')
  const unfinished = `${path}.${randomBytes(4).toString('hex')}.part`
  return run.withSession(async (client) => {
    const call = { params: { run: id }, query: { which: whichOf(options) }, signal: run.interrupt.signal }
    try {
      const stream = await (kind === 'csv' ? client.runs.rowsCsv(call) : client.runs.rowsJsonLines(call))
      // For whoever asked for it, and for nobody else on this machine.
      const to = createWriteStream(unfinished, { flags: 'wx', mode: 0o600 })
      await pipeline(Readable.fromWeb(stream as never), to)
      await rename(unfinished, path)
    } catch (error) {
      await rm(unfinished, { force: true })
      throw error
    }
    run.terminal.answer({ file: path }, () => `Wrote ${path}`)
    return undefined
  })
}
