import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { watchMemory } from './process-memory.ts'

const PROGRAM = fileURLToPath(new URL('../packages/server/src/cli/patchbay.ts', import.meta.url))

export interface RunFigures {
  readonly status: string
  readonly counts: Readonly<Record<string, number>>
  /** From the moment a worker took it to its end: queueing and the start of the program are not in it. */
  readonly seconds: number
  /** Highest sum over the program and its data engine, in MB. */
  readonly memoryMb: number
}

/** A Patchbay with a data folder of its own, driven as a person would: by its command line. */
export class BenchedPatchbay {
  readonly #environment: NodeJS.ProcessEnv
  readonly #folder: string

  constructor(folder: string, settings: Readonly<Record<string, string>> = {}) {
    this.#folder = folder
    this.#environment = {
      PATH: process.env['PATH'],
      PATCHBAY_DATA: join(folder, 'data'),
      PATCHBAY_FILE_ROOTS: folder,
      PATCHBAY_ALLOW_HOSTS: '127.0.0.1',
      PATCHBAY_LOG: 'error',
      ...settings,
    }
  }

  async importTable(path: string, name: string): Promise<void> {
    await this.#run(['table', 'import', path, '--name', name, '--key', 'id'])
  }

  async addConnection(
    name: string,
    connector: string,
    settings: Readonly<Record<string, string | number>>,
    options: readonly string[] = [],
  ): Promise<void> {
    const set = Object.entries(settings).flatMap(([field, value]) => ['--set', `${field}=${value}`])
    await this.#run(['connection', 'add', name, '--connector', connector, ...set, ...options])
  }

  async addExport(body: Readonly<Record<string, unknown>> & { readonly name: string }): Promise<void> {
    const path = join(this.#folder, 'export.json')
    const { name, ...rest } = body
    await writeFile(path, JSON.stringify(rest))
    await this.#run(['export', 'add', name, '--file', path])
  }

  async run(exportName: string): Promise<RunFigures> {
    const { answer, memoryMb } = await this.#run(['export', 'run', exportName])
    const run = answer as { status: string; counts: Record<string, number>; startedAt: string; finishedAt: string }
    const seconds = (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000
    if (run.status !== 'successful') throw new Error(`The run of ${exportName} is ${JSON.stringify(answer)}`)
    return { status: run.status, counts: run.counts, seconds, memoryMb }
  }

  async preview(exportName: string): Promise<RunFigures> {
    const { answer, memoryMb } = await this.#run(['export', 'preview', exportName, '--rows', '1'])
    const found = answer as Record<string, unknown>
    const run = (found['run'] ?? found) as {
      status: string
      counts: Record<string, number>
      startedAt: string
      finishedAt: string
    }
    return {
      status: run.status,
      counts: run.counts,
      seconds: (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000,
      memoryMb,
    }
  }

  async #run(args: readonly string[]): Promise<{ readonly answer: unknown; readonly memoryMb: number }> {
    const child = spawn(process.execPath, ['--no-warnings', PROGRAM, ...args, '--json'], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [output, errors] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const memory = watchMemory(child.pid ?? 0)
    const [code] = (await once(child, 'close')) as [number | null]
    const memoryMb = memory.stop()
    if (code !== 0) throw new Error(`patchbay ${args.join(' ')} ended with ${code}: ${errors}${output}`)
    return { answer: output === '' ? null : (JSON.parse(output) as unknown), memoryMb }
  }
}

/** An export of the whole table as it is, with its key as identifier. */
export function wholeTable(
  name: string,
  table: string,
  connection: string,
  destination: Readonly<Record<string, string>>,
  mode: string,
): { readonly name: string } & Readonly<Record<string, unknown>> {
  return { name, connection, destination, mode, source: { kind: 'data-out', tables: [{ table }] } }
}
