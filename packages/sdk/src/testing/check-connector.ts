/**
 * The conformance kit: what every connector must do, as named checks. `checkConnector` gives the findings, from which the
 * documentation is made; `assertConnector` is what a connector's own test calls. Without a trial only the definition is
 * looked at, which needs no far end.
 */
import { channel } from 'node:diagnostics_channel'
import type { CheckStep, Connector, Destination } from '../connector.ts'
import type { Context } from '../context.ts'
import { DEFINITION_RULES } from '../definition-problems.ts'
import { ConnectorError } from '../errors.ts'
import { FILE_CHECKS } from './check-files.ts'
import { ROW_CHECKS } from './check-rows.ts'
import { TABLE_CHECKS } from './check-table.ts'
import { Bench, endsSoon, FAULTS, kindOf, untilAborted, type Check, type CheckResult, type Trial } from './trial.ts'

/** Whoever makes documentation of the findings listens here: `{ connector, results }`. */
const FINDINGS = channel('patchbay:connector-checks')

export interface CheckOptions {
  /** Starts the far end; called once. */
  readonly makeFake?: () => Promise<Trial>
}

export async function checkConnector(
  connector: Connector,
  options: CheckOptions = {},
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = DEFINITION_RULES.map(({ name, problems }) => {
    const found = problems(connector)
    return found.length === 0
      ? { on: 'definition', name, outcome: 'passed' }
      : { on: 'definition', name, outcome: 'failed', message: found.join('; ') }
  })
  if (options.makeFake === undefined) return results
  const trial = await options.makeFake()
  try {
    const bench = new Bench(connector, trial)
    results.push(...(await runAll('check', CHECK_CHECKS, bench)))
    for (const key of Object.keys(connector.destinations)) results.push(...(await tryDestination(bench, key)))
    // Last, when everything has been said that will be.
    results.push(...(await runAll('check', [SECRETS], bench)))
  } finally {
    await trial.stop()
  }
  FINDINGS.publish({ connector: connector.id, results })
  return results
}

/** Throws an `AggregateError` with one error for each check that failed. */
export async function assertConnector(
  connector: Connector,
  options: CheckOptions = {},
): Promise<readonly CheckResult[]> {
  const results = await checkConnector(connector, options)
  const failed = results.filter(({ outcome }) => outcome === 'failed')
  if (failed.length === 0) return results
  const errors = failed.map(({ on, name, message }) => new Error(`${on}: ${name}: ${message}`))
  throw new AggregateError(errors, `${connector.id} fails ${failed.length} checks:\n${errors.map(String).join('\n')}`)
}

async function tryDestination(bench: Bench, key: string): Promise<readonly CheckResult[]> {
  const destination = bench.connector.destinations[key]
  const trial = bench.trial.destinations[key]
  if (destination === undefined || trial === undefined) return []
  const mode = trial.mode ?? destination.modes[0] ?? 'append'
  const tried = { bench, key, trial, mode, values: { ...defaultsOf(destination), ...trial.values } }
  switch (destination.delivers) {
    case 'rows':
      return runAll(key, ROW_CHECKS, { ...tried, destination })
    case 'files':
      return runAll(key, FILE_CHECKS, { ...tried, destination })
    case 'table':
      return runAll(key, TABLE_CHECKS, { ...tried, destination })
  }
}

async function runAll<T>(on: string, checks: readonly Check<T>[], tried: T): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = []
  for (const { name, run } of checks) {
    try {
      const skipped = await run(tried)
      results.push(
        typeof skipped === 'string'
          ? { on, name, outcome: 'skipped', message: skipped }
          : { on, name, outcome: 'passed' },
      )
    } catch (error) {
      results.push({ on, name, outcome: 'failed', message: kindOf(error) })
    }
  }
  return results
}

const ORDER: readonly CheckStep['step'][] = ['resolved', 'reached', 'trusted', 'signed-in', 'may-write']

const CHECK_CHECKS: readonly Check<Bench>[] = [
  {
    name: 'Verify passes where everything is right, in order',
    async run(bench) {
      const { steps, error } = await verify(bench, bench.context().context)
      if (error !== undefined) throw new Error(`it ended in ${kindOf(error)}`)
      const wrong = steps.find(({ ok }) => !ok)
      if (wrong !== undefined) throw new Error(`${wrong.step} failed: ${wrong.ok ? '' : wrong.message}`)
      if (steps.length === 0) throw new Error('it has no steps')
      const places = steps.map(({ step }) => ORDER.indexOf(step))
      if (places.some((place, at) => place < (places[at - 1] ?? 0))) throw new Error('its steps come in another order')
    },
  },
  {
    name: 'Verify yields nothing after a step that failed, and throws only what a connector may',
    async run(bench) {
      for (const { name, make } of FAULTS) {
        for (const failingCall of [1, 2, 3]) {
          const context = failingAt(bench, failingCall, make)
          const { steps, error } = await verify(bench, context)
          const failed = steps.findIndex(({ ok }) => !ok)
          if (failed !== -1 && failed < steps.length - 1)
            throw new Error(`${name}: a step came after the one that failed`)
          if (error !== undefined && !(error instanceof ConnectorError))
            throw new Error(`${name} ended in ${kindOf(error)}`)
          if (failingCall === 1 && failed === -1 && error === undefined) throw new Error(`${name} went unnoticed`)
        }
      }
    },
  },
  {
    name: 'the signal ends Verify within a second',
    async run(bench) {
      const controller = new AbortController()
      const hang = (): Promise<never> => untilAborted(controller.signal)
      const { context } = bench.context(controller.signal, () => ({ fetch: hang, connect: hang, folder: hang }))
      await endsSoon(verify(bench, context), () => controller.abort(new Error('canceled')))
    },
  },
]

const SECRETS: Check<Bench> = {
  name: 'no secret is in an error, a step or a log line',
  run(bench) {
    const forms = Object.entries(bench.trial.secrets ?? {}).flatMap(([field, secret]) =>
      formsOf(secret).map((form) => ({ field, form })),
    )
    if (forms.length === 0) return Promise.resolve('the trial has no secrets')
    const leak = forms.find(({ form }) => bench.outputs.some((output) => output.includes(form)))
    return leak === undefined ? Promise.resolve() : Promise.reject(new Error(`that of ${leak.field} is`))
  },
}

function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    bytes.toString('hex'),
    // Without the characters at its end, which differ where the secret stands inside a longer text.
    bytes.toString('base64').slice(0, Math.floor((bytes.length * 8) / 6)),
  ]
}

async function verify(
  bench: Bench,
  context: Context,
): Promise<{ readonly steps: readonly CheckStep[]; readonly error: unknown }> {
  const STEPS_MAX = 20
  const steps: CheckStep[] = []
  const gather = async (): Promise<void> => {
    for await (const step of bench.connector.check(context)) {
      steps.push(step)
      if (steps.length > STEPS_MAX) throw new Error('it never ends')
    }
  }
  const error = await bench.failure(gather())
  bench.outputs.push(JSON.stringify(steps))
  return { steps, error }
}

/** A context whose n-th call to anything outside fails. */
function failingAt(bench: Bench, failingCall: number, make: () => Error): Context {
  let calls = 0
  const { context } = bench.context(undefined, (inner) => {
    const counted =
      <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>) =>
      (...args: A): Promise<R> => {
        calls += 1
        return calls === failingCall ? Promise.reject(make()) : call(...args)
      }
    return { fetch: counted(inner.fetch), connect: counted(inner.connect), folder: counted(inner.folder) }
  })
  return context
}

function defaultsOf({ fields }: Destination): Readonly<Record<string, string | number | boolean>> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, field]) =>
      'default' in field && field.default !== undefined ? [[name, field.default]] : [],
    ),
  )
}
