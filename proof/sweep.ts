import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Run } from '@patchbay/contract'
import type { Sink } from './sink.ts'
import { SINKS } from './sinks.ts'

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../packages/server/src/cli/patchbay.ts', import.meta.url))
/** Five batches of a thousand at a webhook; three tables of one part each where files go. */
const ROWS = 5000

export interface CaseResult {
  readonly connector: string
  readonly failpoint: string
  readonly nth: number
  readonly lost: number
  readonly doubled: number
  readonly uncertain: number
  /** What is wrong, in words; empty where all is as promised. */
  readonly faults: readonly string[]
}

interface Told {
  readonly hits: Readonly<Record<string, number>>
  readonly runs: readonly Run[]
}

/** One connector with its sink and a data folder from which every case starts. */
export class Sweep {
  readonly connector: string
  readonly #root: string
  readonly #sink: Sink
  readonly #expected: ReadonlySet<string>

  private constructor(connector: string, root: string, sink: Sink, expected: ReadonlySet<string>) {
    this.connector = connector
    this.#root = root
    this.#sink = sink
    this.#expected = expected
  }

  static async open(connector: string, root: string): Promise<Sweep> {
    const makeSink = SINKS[connector]
    if (makeSink === undefined) throw new Error(`There is no sink "${connector}"`)
    await mkdir(root, { recursive: true })
    const sink = await makeSink(root)
    const expected = new Set<string>()
    const names = Array.from({ length: sink.tables }, (_, index) => (index === 0 ? 'people' : `people-${index + 1}`))
    const sweep = new Sweep(connector, root, sink, expected)
    const tables = names.map((name) => ({ name, path: join(root, `${name}.csv`) }))
    for (const [index, { path }] of tables.entries()) {
      const keys = Array.from({ length: ROWS }, (_, row) => `k${index}-${row}`)
      for (const key of keys) expected.add(key)
      await writeFile(path, `id,email\n${keys.map((key) => `${key},${key}@example.com`).join('\n')}\n`)
    }
    const { service, settings, secrets, destination, mode } = sink
    const chosen = names.map((table) => (service === undefined ? { table } : { table, fields: service.fields }))
    const body = { connection: 'Sink', destination, mode, source: { kind: 'data-out', tables: chosen } }
    if (service === undefined) await sweep.#setUp(tables, body)
    else
      await sweep.#setUpService({
        tables,
        connection: { connectorId: sink.connector, settings, secrets },
        export: body,
      })
    await sink.reset()
    return sweep
  }

  /** As an operator does. */
  async #setUp(tables: readonly { readonly name: string; readonly path: string }[], body: object): Promise<void> {
    for (const { name, path } of tables) await this.#patchbay(['table', 'import', path, '--name', name, '--key', 'id'])
    const { connector, settings } = this.#sink
    const set = Object.entries(settings).flatMap(([field, value]) => ['--set', `${field}=${value}`])
    const trust = connector === 'sftp' ? ['--trust', await this.#shownKey(set)] : []
    await this.#patchbay(['connection', 'add', 'Sink', '--connector', connector, ...set, ...trust])
    await writeFile(join(this.#root, 'export.json'), JSON.stringify(body))
    await this.#patchbay(['export', 'add', 'Proof', '--file', join(this.#root, 'export.json')])
  }

  /** By the API of a Patchbay whose connector knows the fake: the command line has the real ones only. */
  async #setUpService(world: object): Promise<void> {
    const path = join(this.#root, 'world.json')
    await writeFile(path, JSON.stringify(world))
    const { code, errors } = await this.#start([CHILD, 'set-up', path], join(this.#root, 'data'))
    if (code !== 0) throw new Error(`${this.connector}: the set-up ended with ${code}: ${errors}`)
  }

  async close(): Promise<void> {
    await this.#sink.stop()
    await rm(this.#root, { recursive: true, force: true })
  }

  /** Runs once without a kill: how often each failpoint is passed, and that the sink then has every row once. */
  async countHits(): Promise<Readonly<Record<string, number>>> {
    await this.#fresh()
    const told = await this.#child('run', 'none', 1)
    if (told === null) throw new Error(`${this.connector}: the run without a kill ended the process`)
    const result = await this.#judge('none', 0, told)
    if (result.faults.length > 0) throw new Error(`${this.connector}: without a kill: ${result.faults.join('; ')}`)
    return told.hits
  }

  /** Kills at the n-th passing of a failpoint, lets another process go on, and looks at the sink. */
  async kill(failpoint: string, nth: number): Promise<CaseResult> {
    await this.#fresh()
    const killed = await this.#child('run', failpoint, nth)
    // Where batches overlap, a failpoint can be passed less often than in the run that was counted: then nothing was killed.
    const told = killed ?? (await this.#child('resume', 'none', 1))
    if (told === null) throw new Error(`${this.connector}: the process that was to go on ended by itself`)
    return await this.#judge(failpoint, nth, told)
  }

  async #judge(failpoint: string, nth: number, told: Told): Promise<CaseResult> {
    const effects = await this.#sink.readEffects()
    const [run, ...more] = told.runs
    const faults: string[] = []
    if (run === undefined || more.length > 0) faults.push(`${told.runs.length} runs instead of one`)
    const counts = run?.counts
    const uncertain = counts?.uncertain ?? 0
    const missing = [...this.#expected].filter((key) => !effects.has(key))
    // What is told as uncertain is not lost: the user is told of it.
    const lost = Math.max(0, missing.length - uncertain)
    const doubled = [...effects.values()].filter((times) => times > 1).length
    if (lost > 0) faults.push(`${lost} rows are lost`)
    if (doubled > 0) faults.push(`${doubled} rows took effect more than once`)
    if (uncertain > this.#sink.uncertainMax) faults.push(`${uncertain} rows are uncertain`)
    if ([...effects.keys()].some((key) => !this.#expected.has(key))) faults.push('rows that were never sent')
    const status = uncertain > 0 ? 'completed-with-rejects' : 'successful'
    if (run?.status !== status) faults.push(`the run is ${run?.status ?? 'missing'}: ${run?.reason ?? ''}`)
    if ((counts?.accepted ?? 0) + uncertain !== this.#expected.size)
      faults.push(`accepted ${counts?.accepted ?? 0}, uncertain ${uncertain}`)
    faults.push(...(await this.#sink.readLeftovers()).map((name) => `left over: ${name}`))
    return { connector: this.connector, failpoint, nth, lost, doubled, uncertain, faults }
  }

  async #fresh(): Promise<void> {
    await this.#sink.reset()
    await rm(join(this.#root, 'case'), { recursive: true, force: true })
    await cp(join(this.#root, 'data'), join(this.#root, 'case'), { recursive: true })
  }

  /** Null where it was killed. */
  async #child(task: 'run' | 'resume', failpoint: string, nth: number): Promise<Told | null> {
    const { code, signal, output, errors } = await this.#start(
      [CHILD, task, failpoint, String(nth)],
      join(this.#root, 'case'),
    )
    if (signal === 'SIGKILL') return null
    if (code !== 0) throw new Error(`${this.connector}, ${failpoint} ${nth}: ended with ${code}: ${errors}`)
    return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Told
  }

  async #patchbay(args: readonly string[]): Promise<string> {
    const { code, output, errors } = await this.#start([PROGRAM, ...args, '--json'], join(this.#root, 'data'))
    if (code !== 0) throw new Error(`patchbay ${args.join(' ')}: ended with ${code}: ${errors}${output}`)
    return output
  }

  /** The fingerprint that Verify shows, as a person would copy it. */
  async #shownKey(set: readonly string[]): Promise<string> {
    const args = [PROGRAM, 'connection', 'add', 'Sink', '--connector', this.#sink.connector, ...set, '--json']
    const { output, errors } = await this.#start(args, join(this.#root, 'data'))
    const shown = /SHA256:[A-Za-z0-9+/]{43}/.exec(output + errors)
    if (shown === null) throw new Error(`Verify shows no key: ${output}${errors}`)
    return shown[0]
  }

  async #start(
    args: readonly string[],
    dataFolder: string,
  ): Promise<{ code: number | null; signal: NodeJS.Signals | null; output: string; errors: string }> {
    const secrets = Object.entries(this.#sink.secrets).map(([field, text]) => [
      `PATCHBAY_SECRET_${field.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
      text,
    ])
    const child = spawn(process.execPath, ['--no-warnings', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        PATCHBAY_DATA: dataFolder,
        PATCHBAY_FILE_ROOTS: this.#root,
        PATCHBAY_ALLOW_HOSTS: '127.0.0.1',
        PATCHBAY_LOG: 'error',
        ...(this.#sink.service === undefined
          ? {}
          : { PROOF_SERVICE: `${this.#sink.connector} ${this.#sink.service.origin}` }),
        ...(Object.fromEntries(secrets) as Record<string, string>),
      },
    })
    let [output, errors] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return { code, signal, output, errors }
  }
}

/** First, middle and last passing, without doubles. */
export function positionsOf(hits: number): readonly number[] {
  return [...new Set([1, Math.ceil(hits / 2), hits])].filter((nth) => nth >= 1)
}
