import type { contract } from '@patchbay/contract'
import { PERMISSIONS_OF } from '@patchbay/contract'
import { reachConnection } from '../access/reach.ts'
import { askService } from '../connector-host/ask-service.ts'
import { makeLookupCache } from '../connector-host/lookup-cache.ts'
import { lookUp, readTargetFields } from '../connector-host/open-destination.ts'
import { canonicalJson } from '../domain/canonical-json.ts'
import { parseFieldValues } from '../domain/field-values.ts'
import { matchFields, type FieldMatch, type TargetField } from '../domain/match-fields.ts'
import { Problem } from '../domain/problem.ts'
import { sameName } from '../domain/references.ts'
import type { Rule } from '../domain/segment.ts'
import type { Table } from '../domain/table.ts'
import { listSegments } from '../store/segment.ts'
import { findTable, listTables, pinTable } from '../store/table.ts'
import { connectorFor } from './connection-draft.ts'
import { destinationTypeOf, findDestination } from './export-draft.ts'
import type { Call, Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'
import { select } from './segments.ts'

type Aids = Pick<Handlers<typeof contract.exports>, 'lookup' | 'targetFields' | 'count'>

/** A list to pick from; who has more types a letter more. */
const CHOICES_MAX = 200

export function makeExportAidHandlers(ports: HttpPorts): Aids {
  const { db, registry, host, lake } = ports
  const choices = makeLookupCache<Awaited<ReturnType<typeof lookUp>>>(() => ports.clock.now())
  const fields = makeLookupCache<readonly TargetField[] | undefined>(() => ports.clock.now())

  /** The stored connection, if it is theirs to use: a question is asked over what an Administrator has set up and nothing else. */
  const asking = async (
    body: {
      readonly connection: string
      readonly destinationType?: string
      readonly destination: Readonly<Record<string, string | number | boolean>>
    },
    isWhole: boolean,
    { identity, signal }: Call,
  ) => {
    const connection = await reachConnection(db, identity, body.connection)
    const connector = connectorFor(registry, connection.connectorId, 'connection')
    const destinationType = destinationTypeOf(registry, connector.id, body.destinationType)
    const destination = findDestination(registry, connector.id, destinationType)
    const { problems } = parseFieldValues(destination.fields, body.destination)
    // Half a form: what is missing may be missing, what is there must be right.
    const wrong = problems.find(({ field }) => isWhole || Object.hasOwn(body.destination, field))
    if (wrong !== undefined) {
      const path = `destination.${wrong.field}`
      throw new Problem('invalid', `${path}: ${wrong.message}`, {
        path,
        cure: `See what it asks for: patchbay connector show ${connector.id}`,
      })
    }
    const request = {
      connector,
      connection: ports.secrets.accessOf(connection),
      destinationType,
      destination: body.destination,
    }
    const key = canonicalJson([connection.id, connection.revision, destinationType, body.destination])
    const mayKnow = identity.role !== null && PERMISSIONS_OF[identity.role].has('connection.read')
    const ask = <T>(question: (signal: AbortSignal) => Promise<T>) => askService(signal, mayKnow, question)
    return { destination, request, key, ask }
  }

  return {
    async lookup({ body }, call) {
      const { destination, request, key, ask } = await asking(body, false, call)
      const { field, search } = body
      if (!Object.hasOwn(destination.fields, field) || destination.fields[field]?.kind !== 'lookup')
        throw new Problem('invalid', `field: ${destination.name} has no field "${field}" that is looked up`, {
          path: 'field',
          cure: `See what it asks for: patchbay connector show ${request.connector.id}`,
        })
      const found = await choices.get(canonicalJson([key, field, search.trim().toLowerCase()]), () =>
        ask((signal) => lookUp(host, { ...request, field, search: search.trim(), signal })),
      )
      return {
        items: found.slice(0, CHOICES_MAX).map(({ value, label, help }) => ({
          ...{ value, label },
          ...(help === undefined ? {} : { help }),
        })),
        isMore: found.length > CHOICES_MAX,
      }
    },

    async targetFields({ body }, call) {
      const { request, key, ask } = await asking(body, true, call)
      const table = await tableToMatch(db, body.table)
      const targets = await fields.get(key, () => ask((signal) => readTargetFields(host, { ...request, signal })))
      if (targets === undefined) return { anyName: true, items: [], unmatched: table.fields.map(({ name }) => name) }
      const { items, unmatched } = matchFields(targets, table.fields)
      return {
        anyName: false,
        items: items.map(({ target, match, others }) => ({
          name: target.name,
          label: target.label,
          type: target.type,
          required: target.required ?? false,
          identifier: target.identifier ?? false,
          normal: target.normal ?? null,
          hash: target.hash ?? null,
          match: match === null ? null : matchOf(match),
          others: others.map(matchOf),
        })),
        unmatched: [...unmatched],
      }
    },

    async count({ body }, { now, signal }) {
      const limits = limitsOf(ports, body)
      await refuseUnknown(db, body.segments)
      const { rows } = await pinTable(db, await tableToMatch(db, undefined))
      const each: { segment: string; members: number }[] = []
      for (const segment of body.segments) {
        const selection = await select(db, { memberOf: segment }, now)
        each.push({ segment, members: await lake.countMembers(selection, signal) })
      }
      const any: Rule = { any: body.segments.map((segment) => ({ memberOf: segment })) }
      const [only] = each
      const members =
        only === undefined
          ? rows
          : each.length === 1
            ? only.members
            : await lake.countMembers(await select(db, any, now), signal)
      return { members, of: rows, each, ...limits, warning: warningFor(members, limits) }
    },
  }
}

async function refuseUnknown(db: HttpPorts['db'], named: readonly string[]): Promise<void> {
  const segments = await listSegments(db)
  const index = named.findIndex((name) => !segments.some((segment) => sameName(segment.name, name)))
  if (index < 0) return
  const path = `segments[${index}]`
  throw new Problem('invalid', `${path}: There is no segment "${named[index] ?? ''}"`, {
    path,
    cure: 'Name one that there is: patchbay segment list',
  })
}

async function tableToMatch(db: HttpPorts['db'], named: string | undefined): Promise<Table> {
  const table =
    named === undefined ? (await listTables(db)).find(({ isProfile }) => isProfile) : await findTable(db, named)
  if (table !== undefined) return table
  if (named === undefined)
    throw new Problem('not-ready', 'There is no profile table yet', {
      path: 'table',
      cure: 'Import one, or name the table whose fields are to be matched',
    })
  throw new Problem('invalid', `table: There is no table "${named}"`, { path: 'table', cure: 'Name one that there is' })
}

function matchOf(match: FieldMatch) {
  return { ...match, transforms: [...match.transforms] }
}

interface RowLimits {
  readonly rowsMin: number | null
  readonly rowsMax: number | null
}

function limitsOf(
  { registry }: HttpPorts,
  named: { readonly connector?: string; readonly destinationType?: string },
): RowLimits {
  if (named.connector === undefined) return { rowsMin: null, rowsMax: null }
  const connector = connectorFor(registry, named.connector, 'connector')
  const type = destinationTypeOf(registry, connector.id, named.destinationType)
  const destination = findDestination(registry, connector.id, type)
  if (destination.delivers !== 'rows') return { rowsMin: null, rowsMax: null }
  return { rowsMin: destination.limits.rowsMin ?? null, rowsMax: destination.limits.rowsMax ?? null }
}

function warningFor(members: number, { rowsMin, rowsMax }: RowLimits): string | null {
  const figure = (value: number): string => value.toLocaleString('en-US')
  if (rowsMax !== null && members > rowsMax)
    return `The service takes at most ${figure(rowsMax)}, and these are ${figure(members)}: it will reject the rest`
  if (rowsMin !== null && members < rowsMin)
    return `The service needs at least ${figure(rowsMin)} before it uses a list, and these are ${figure(members)}`
  return null
}
