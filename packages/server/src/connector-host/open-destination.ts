/**
 * Opens an export's destination for the engine, with a guard around it: whatever a connector or its driver throws comes
 * out as a clean error (see `clean-error.ts`), and no answer carries a secret into the list of rejects.
 */
import {
  ConnectorError,
  DestinationInvalid,
  type AcceptedJob,
  type Batch,
  type Choice,
  type Connector,
  type DeliveredFile,
  type Destination,
  type FileDelivery,
  type Fields,
  type Mode,
  type Repeat,
  type RowAnswer,
  type RowDelivery,
  type TableDelivery,
  type TargetField,
  type Values,
} from '@patchbay/connector-sdk'
import { parseFieldValues, type FieldValues } from '../domain/field-values.ts'
import { layoutProblem } from '../domain/file-layout.ts'
import { cleanError } from './clean-error.ts'
import { makeContext, type ConnectionAccess, type HostedContext } from './context.ts'
import type { ConnectorHost } from './host.ts'

export interface DestinationRequest {
  readonly connector: Connector
  readonly connection: ConnectionAccess
  /** Which of the connector's destinations, by its key, and the export's values for its fields. */
  readonly destinationType: string
  readonly destination: FieldValues
  readonly mode: Mode
  readonly run: { readonly runId: string; readonly delivered: readonly DeliveredFile[] }
  readonly signal: AbortSignal
}

interface Closable {
  readonly close: () => Promise<void>
}

export type OpenedDestination = Closable &
  (
    | {
        readonly delivers: 'rows'
        readonly mode: Mode
        readonly limits: {
          readonly rowsPerBatch: number
          readonly bytesPerBatch: number
          readonly batchesInFlight: number
          readonly hoursPerJob?: number
        }
        readonly delivery: RowDelivery
      }
    | {
        readonly delivers: 'files'
        readonly limits: { readonly partsPerTable: number; readonly partsInFlight: number }
        readonly layout: string | undefined
        readonly delivery: FileDelivery
      }
    | { readonly delivers: 'table'; readonly openDelivery: () => Promise<TableDelivery> }
  )

/** What sending a batch twice does, as the destination says of the export's values for its fields; undefined where it takes no rows. */
export function repeatOf(
  connector: Connector,
  destinationType: string,
  destination: FieldValues,
): { readonly kind: Repeat; readonly forHours?: number } | undefined {
  const found = findDestination(connector, destinationType)
  return found.delivers === 'rows' ? found.repeat(checkedDestination(found, destination)) : undefined
}

export async function openDestination(host: ConnectorHost, request: DestinationRequest): Promise<OpenedDestination> {
  const { connector, connection, mode, run, signal } = request
  const destination = findDestination(connector, request.destinationType)
  if (!destination.modes.includes(mode))
    throw new DestinationInvalid('mode', `${destination.name} does not offer the mode ${mode}: choose another`)
  const values = checkedDestination(destination, request.destination)
  const hosted = await makeContext(host, connector, connection, signal, 'everybody')
  const guard = makeGuard(hosted, signal)
  const { context, close } = hosted
  try {
    switch (destination.delivers) {
      case 'rows': {
        const delivery = await guard(() => destination.open(context, values, mode))
        return {
          delivers: 'rows',
          mode,
          limits: destination.limits,
          delivery: guardRows(delivery, guard, hosted),
          close,
        }
      }
      case 'files': {
        const delivery = await guard(() => destination.open(context, values, run))
        const layout = checkedLayout(destination.layout?.(values))
        return { delivers: 'files', limits: destination.limits, layout, delivery: guardFiles(delivery, guard), close }
      }
      case 'table': {
        const openDelivery = async (): Promise<TableDelivery> =>
          guardTable(await guard(() => destination.open(context, values, mode)), guard)
        return { delivers: 'table', openDelivery, close }
      }
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The choices of one lookup field, asked of the service over the stored connection and never over one given with the question. */
export async function lookUp(
  host: ConnectorHost,
  request: Pick<DestinationRequest, 'connector' | 'connection' | 'destinationType' | 'destination' | 'signal'> & {
    readonly field: string
    readonly search: string
  },
): Promise<readonly Choice[]> {
  const { connector, connection, field, search, signal } = request
  const { lookups = {}, fields } = findDestination(connector, request.destinationType)
  const lookup = Object.hasOwn(lookups, field) ? lookups[field] : undefined
  if (lookup === undefined) throw new DestinationInvalid(field, 'There is no such lookup')
  // Half a form: what is missing is missing, what is there must be right.
  const { values } = parseFieldValues(fields, request.destination)
  return await withContext(host, connector, connection, signal, (hosted, guard) =>
    guard(() => lookup(hosted.context, search, values as Partial<Values<Fields>>)),
  )
}

/** The fields of the service to which an export may map, or undefined where any name goes. */
export async function readTargetFields(
  host: ConnectorHost,
  request: Pick<DestinationRequest, 'connector' | 'connection' | 'destinationType' | 'destination' | 'signal'>,
): Promise<readonly TargetField[] | undefined> {
  const destination = findDestination(request.connector, request.destinationType)
  if (destination.delivers !== 'rows') return undefined
  const values = checkedDestination(destination, request.destination)
  return await withContext(host, request.connector, request.connection, request.signal, (hosted, guard) =>
    guard(() => destination.targetFields(hosted.context, values)),
  )
}

type Guard = <T>(work: () => T | Promise<T>) => Promise<T>

async function withContext<T>(
  host: ConnectorHost,
  connector: Connector,
  connection: ConnectionAccess,
  signal: AbortSignal,
  use: (hosted: HostedContext, guard: Guard) => Promise<T>,
): Promise<T> {
  const hosted = await makeContext(host, connector, connection, signal, 'everybody')
  try {
    return await use(hosted, makeGuard(hosted, signal))
  } finally {
    await hosted.close()
  }
}

function findDestination(connector: Connector, type: string): Destination {
  const found = Object.hasOwn(connector.destinations, type) ? connector.destinations[type] : undefined
  if (found === undefined) throw new DestinationInvalid('destination', `${connector.name} has no destination "${type}"`)
  return found
}

function checkedDestination(destination: Destination, given: FieldValues): Values<Fields> {
  const { values, problems } = parseFieldValues(destination.fields, given)
  const [first] = problems
  if (first !== undefined) throw new DestinationInvalid(first.field, first.message)
  return values
}

function checkedLayout(template: string | undefined): string | undefined {
  const problem = template === undefined ? undefined : layoutProblem(template)
  if (problem !== undefined)
    throw new DestinationInvalid('template', `The template of file names cannot be used: ${problem}`)
  return template
}

/** The signal's own reason passes as it is: it is the engine's word, not the connector's. */
function makeGuard({ redactor }: HostedContext, signal: AbortSignal): Guard {
  return async (work) => {
    try {
      return await work()
    } catch (error) {
      if (signal.aborted && !(error instanceof ConnectorError)) throw signal.reason
      throw cleanError(error, redactor)
    }
  }
}

function guardRows(delivery: RowDelivery, guard: Guard, { redactor }: HostedContext): RowDelivery {
  const clean = (answers: Iterable<RowAnswer>): RowAnswer[] =>
    Array.from(answers, (answer) =>
      answer.status === 'accepted' ? answer : { ...answer, message: redactor.hideSecrets(answer.message) },
    )
  return {
    deliver: (batch) =>
      guard(async () => {
        const given = await delivery.deliver(batch)
        return 'job' in given ? checkedJob(given, redactor) : clean(given)
      }),
    ...(delivery.collect === undefined
      ? {}
      : {
          collect: (job: string, batch: Batch) =>
            guard(async () => {
              const answers = (await delivery.collect?.(job, batch)) ?? 'pending'
              return answers === 'pending' ? answers : clean(answers)
            }),
        }),
    close: (outcome) => guard(() => delivery.close(outcome)),
    ...(delivery.readBack === undefined
      ? {}
      : {
          readBack: (batch: Batch) =>
            guard(async () => {
              const answers = await delivery.readBack?.(batch)
              return answers === undefined ? undefined : clean(answers)
            }),
        }),
  }
}

const JOB_LENGTH_MAX = 500

/** It goes into the journal: neither a secret nor a page of text may. */
function checkedJob({ job }: AcceptedJob, redactor: HostedContext['redactor']): AcceptedJob {
  const isFit =
    typeof job === 'string' && job !== '' && job.length <= JOB_LENGTH_MAX && redactor.hideSecrets(job) === job
  if (!isFit) throw new TypeError(`A job is named by 1 to ${JOB_LENGTH_MAX} characters without a secret in them`)
  return { job }
}

function guardFiles(delivery: FileDelivery, guard: Guard): FileDelivery {
  return {
    put: (file) => guard(() => delivery.put(file)),
    commit: (manifest) => guard(() => delivery.commit(manifest)),
    abandon: () => guard(() => delivery.abandon()),
  }
}

function guardTable(delivery: TableDelivery, guard: Guard): TableDelivery {
  return {
    isCommitted: (runId) => guard(() => delivery.isCommitted(runId)),
    begin: (shape, runId) => guard(() => delivery.begin(shape, runId)),
    load: (file) => guard(() => delivery.load(file)),
    commit: () => guard(() => delivery.commit()),
    abandon: () => guard(() => delivery.abandon()),
  }
}
