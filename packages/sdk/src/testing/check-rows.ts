/** Checks of a destination that takes rows: through its own `open`, against a far end that works and against none. */
import type { RowDelivery, RowsDestination } from '../connector.ts'
import type { Context } from '../context.ts'
import { BatchRejected, ConnectorError } from '../errors.ts'
import type { Fields } from '../fields.ts'
import type { Batch, Change, RowAnswer, RowKey } from '../rows.ts'
import { answerOf } from './test-context.ts'
import { endsSoon, expectSameFault, FAULTS, kindOf, untilAborted, type Check, type TriedDestination } from './trial.ts'

type TriedRows = TriedDestination<RowsDestination<Fields, Fields>>

const NO_FETCH = 'it does not use ctx.fetch'
const ROWS = 3
const JOB_LENGTH_MAX = 500
const QUESTIONS_MAX = 200

/** Bodies that say nothing about the rows, or about others. */
const UNKNOWN_BODIES = [
  '',
  '<html><body>OK</body></html>',
  'OK',
  '{}',
  '[]',
  'null',
  'true',
  '0',
  '"accepted"',
  '{"status":"ok"}',
  '{"success":true}',
  '{"answers":null}',
  '{"answers":{}}',
  '{"answers":[null,1,"a",[]]}',
  '{"answers":[{"key":"somebody-else","status":"accepted"}]}',
  '{"results":[{"status":"accepted"}],"errors":[]}',
  '{"answers":[{"key":"conformance-1-0","status":"acce',
]
const REFUSALS = [
  300, 301, 302, 303, 304, 307, 308, 400, 402, 404, 405, 406, 408, 409, 410, 411, 412, 413, 415, 422, 423, 451,
]

export const ROW_CHECKS: readonly Check<TriedRows>[] = [
  {
    name: 'good rows are accepted',
    async run(tried) {
      const batch = batchOf(tried, 'good')
      const answers = await delivered(tried, batch)
      const accepted = answers.filter(({ status }) => status === 'accepted')
      if (accepted.length < batch.size) throw new Error(`${accepted.length} of ${batch.size} rows were accepted`)
    },
  },
  {
    name: 'every key is answered at most once, and no other',
    async run(tried) {
      const batch = batchOf(tried, 'keys')
      const keys = (await delivered(tried, batch)).map(({ key }) => key)
      if (new Set(keys).size < keys.length) throw new Error('a key was answered twice')
      const foreign = keys.find((key) => !batch.keys.includes(key))
      if (foreign !== undefined) throw new Error('a key was answered that was not given')
    },
  },
  {
    name: 'a batch that is sent again is the same',
    async run(tried) {
      const { context, sent } = tried.bench.context()
      const batch = batchOf(tried, 'again')
      const delivery = await open(tried, context)
      const requests = async (): Promise<typeof sent> => {
        const before = sent.length
        await delivery.deliver(batch)
        return sent.slice(before)
      }
      const [first, second] = [await requests(), await requests()]
      await delivery.close('finished')
      if (first.length === 0) return NO_FETCH
      const bodies = (list: typeof sent): string =>
        JSON.stringify(list.map(({ method, url, body }) => [method, url, body]))
      if (bodies(first) !== bodies(second)) throw new Error('its requests differ')
      const isNamed = first.some(({ headers, body }) => `${JSON.stringify(headers)}${body}`.includes(batch.id))
      if (repeatKind(tried) === 'keyed' && !isNamed) throw new Error('"keyed", but the batch id is sent nowhere')
      return undefined
    },
  },
  {
    name: 'an unknown answer is never a success',
    async run(tried) {
      if (!(await usesFetch(tried))) return NO_FETCH
      for (const status of [200, 201, 202, 204, 207])
        for (const body of UNKNOWN_BODIES) await expectNoneAccepted(tried, status, body)
      return undefined
    },
  },
  {
    name: 'a refusal is never a success, and never a bug',
    async run(tried) {
      if (!(await usesFetch(tried))) return NO_FETCH
      for (const status of REFUSALS) for (const body of ['', '{}', 'No']) await expectNoneAccepted(tried, status, body)
      return undefined
    },
  },
  {
    name: 'failures keep their kind',
    async run(tried) {
      if (!(await usesFetch(tried))) return NO_FETCH
      for (const { name, make } of FAULTS) {
        const fault = make()
        const failing = { fetch: () => Promise.reject(fault), connect: () => Promise.reject(fault) }
        const { context } = tried.bench.context(undefined, () => failing)
        expectSameFault(fault, await tried.bench.failure(deliverOnce(tried, context)), name)
      }
      return undefined
    },
  },
  {
    name: 'the signal ends a delivery within a second',
    async run(tried) {
      const controller = new AbortController()
      const { signal } = controller
      const hang = (): Promise<never> => untilAborted(signal)
      const { context } = tried.bench.context(signal, () => ({ fetch: hang, connect: hang, folder: hang }))
      await endsSoon(deliverOnce(tried, context), () => controller.abort(new Error('canceled')))
    },
  },
  {
    name: 'what is normalised or hashed is known without asking',
    async run({ bench, destination, values }) {
      const given = (await destination.targetFields(bench.context().context, values)) ?? []
      const { fixedFields = [] } = destination
      for (const { name, normal, hash } of given) {
        if (normal === undefined && hash === undefined) continue
        const fixed = fixedFields.find((field) => field.name === name)
        if (fixed?.normal !== normal || fixed?.hash !== hash) throw new Error(`${name} is not so among its fixedFields`)
      }
      const lost = fixedFields.find(({ name }) => !given.some((field) => field.name === name))
      if (lost !== undefined && given.length > 0) throw new Error(`targetFields leaves out ${lost.name}`)
    },
  },
  {
    name: 'a job is collected by any delivery, as often as it is asked',
    async run(tried) {
      const batch = batchOf(tried, 'job')
      const delivery = await open(tried, tried.bench.context().context)
      const given = await delivery.deliver(batch)
      if (!('job' in given)) {
        await delivery.close('finished')
        return 'it answers at once'
      }
      if (given.job === '' || given.job.length > JOB_LENGTH_MAX)
        throw new Error(`a job is named by 1 to ${JOB_LENGTH_MAX} characters`)
      const first = await collected(delivery, given.job, batch)
      await delivery.close('finished')
      const other = await open(tried, tried.bench.context().context)
      const second = await collected(other, given.job, batch)
      await other.close('finished')
      if (JSON.stringify(first) !== JSON.stringify(second)) throw new Error('its answers differ when asked again')
      return undefined
    },
  },
  {
    name: 'a delivery can be closed at any time',
    async run(tried) {
      for (const outcome of ['finished', 'abandoned'] as const)
        await (await open(tried, tried.bench.context().context)).close(outcome)
    },
  },
  {
    name: 'what is readable can be read back',
    async run(tried) {
      if (repeatKind(tried) !== 'readable') return 'its repeat is of another kind'
      const delivery = await open(tried, tried.bench.context().context)
      if (delivery.readBack === undefined) throw new Error('"readable", but there is no readBack')
      const unseen = await delivery.readBack(batchOf(tried, `unseen-${Date.now()}`))
      if (unseen !== undefined) throw new Error('a batch that was never sent was read back')
      await delivery.close('abandoned')
      return undefined
    },
  },
]

function batchOf({ trial }: TriedRows, name: string): Batch {
  const changes = Array.from({ length: ROWS }, (_, index): Change => {
    const key = `conformance-${name}-${index}` as RowKey
    return { change: 'added', key, fields: trial.row?.(index) ?? { email: `person-${index}@example.org` } }
  })
  return {
    id: `batch_${name.replace(/[^a-z0-9_-]/g, '_')}`,
    size: ROWS,
    keys: changes.map(({ key }) => key),
    json: changes.map((change) => JSON.stringify(change)),
    changes,
  }
}

async function open({ destination, values, mode }: TriedRows, context: Context): Promise<RowDelivery> {
  return destination.open(context, values, mode)
}

/** One request and, where it gives a job, one question: a far end that says nothing we know must not be waited for. */
async function deliverOnce(tried: TriedRows, context: Context): Promise<readonly RowAnswer[]> {
  const delivery = await open(tried, context)
  const batch = batchOf(tried, 'once')
  const given = await delivery.deliver(batch)
  if (!('job' in given)) return [...given]
  const answers = await collect(delivery, given.job, batch)
  return answers === 'pending' ? [] : [...answers]
}

async function delivered(tried: TriedRows, batch: Batch): Promise<readonly RowAnswer[]> {
  const delivery = await open(tried, tried.bench.context().context)
  const given = await delivery.deliver(batch)
  const answers = 'job' in given ? await collected(delivery, given.job, batch) : [...given]
  await delivery.close('finished')
  return answers
}

async function collected(delivery: RowDelivery, job: string, batch: Batch): Promise<readonly RowAnswer[]> {
  for (let questions = 0; questions < QUESTIONS_MAX; questions += 1) {
    const answers = await collect(delivery, job, batch)
    if (answers !== 'pending') return [...answers]
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`a job of the far end that works was still pending after ${QUESTIONS_MAX} questions`)
}

function collect(delivery: RowDelivery, job: string, batch: Batch): ReturnType<NonNullable<RowDelivery['collect']>> {
  if (delivery.collect === undefined) throw new Error('deliver gave a job, but there is no collect')
  return delivery.collect(job, batch)
}

async function usesFetch(tried: TriedRows): Promise<boolean> {
  const { context, sent } = tried.bench.context()
  await deliverOnce(tried, context)
  return sent.length > 0
}

async function expectNoneAccepted(tried: TriedRows, status: number, body: string): Promise<void> {
  const { context } = tried.bench.context(undefined, () => ({ fetch: () => Promise.resolve(answerOf(status, body)) }))
  const shown = `${status} with ${JSON.stringify(body)}`
  const outcome = await deliverOnce(tried, context).then(
    (answers) => ({ answers }),
    (error: unknown) => ({ error }),
  )
  if ('answers' in outcome) {
    if (outcome.answers.some((answer) => answer.status === 'accepted'))
      throw new Error(`${shown} was taken for a success`)
    return
  }
  tried.bench.note(outcome.error)
  if (!(outcome.error instanceof ConnectorError)) throw new Error(`${shown} ended in ${kindOf(outcome.error)}`)
  // Refusing the whole batch says that none of it was taken, which a success with an unknown body does not say.
  if (status < 300 && outcome.error instanceof BatchRejected) throw new Error(`${shown} was taken for a refusal`)
}

function repeatKind({ destination, values }: TriedRows): string {
  return destination.repeat(values).kind
}
