/** The audience that an export writes to: chosen, found by its name, or made. */
import { DestinationInvalid, Unavailable, type Choice } from '@patchbay/connector-sdk'
import { isRecord, numberOf, type Graph, type Json } from './graph.ts'

export interface AudienceChoice {
  readonly target: string
  readonly audience?: string
  readonly name?: string
  readonly source?: string
}

const FIELDS = 'id,name,subtype,operation_status,approximate_count_lower_bound'
/** Pages of 100 that are looked through. */
const PAGES_MAX = 50

interface Audience {
  readonly id: string
  readonly name: string
  readonly subtype: string
  readonly members: number | undefined
  /** 200 where all is well; 471 where Meta has flagged it. */
  readonly status: number | undefined
}

/** Gives the audience's id. One that is made is found by its name from then on, also by a process that starts again. */
export async function openAudience(graph: Graph, account: string, chosen: AudienceChoice): Promise<string> {
  if (chosen.target === 'existing') {
    const id = chosen.audience ?? ''
    if (!/^\d{1,25}$/.test(id)) throw new DestinationInvalid('audience', 'Choose a custom audience')
    const audience = readAudience(await graph.get(`/${id}`, { fields: FIELDS }))
    if (audience === undefined) throw new Unavailable('maybe', 'Meta answered without an audience')
    return checked(audience, 'audience').id
  }
  const name = chosen.name?.trim() ?? ''
  if (name === '') throw new DestinationInvalid('name', 'Give the new audience a name')
  const named = (await listAudiences(graph, account)).filter((audience) => audience.name === name)
  const [found, ...others] = named
  if (others.length > 0)
    throw new DestinationInvalid(
      'name',
      `The ad account has ${named.length} audiences of this name: choose one of them`,
    )
  if (found !== undefined) return checked(found, 'name').id
  const made = await graph.send('POST', `/act_${account}/customaudiences`, {
    name,
    subtype: 'CUSTOM',
    description: 'Made and kept by Patchbay',
    customer_file_source: chosen.source ?? 'USER_PROVIDED_ONLY',
  })
  if (typeof made['id'] !== 'string') throw new Unavailable('maybe', 'Meta did not say which audience it made')
  return made['id']
}

export async function audienceChoices(graph: Graph, account: string, search: string): Promise<readonly Choice[]> {
  const wanted = search.trim().toLowerCase()
  return (await listAudiences(graph, account))
    .filter(({ subtype, name }) => subtype === 'CUSTOM' && name.toLowerCase().includes(wanted))
    .map(({ id, name, members }) => ({
      value: id,
      label: name,
      help: members === undefined || members < 0 ? id : `${id}, at least ${members} people`,
    }))
}

async function listAudiences(graph: Graph, account: string): Promise<readonly Audience[]> {
  const audiences: Audience[] = []
  let after: string | undefined
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const query = { fields: FIELDS, limit: '100', ...(after === undefined ? {} : { after }) }
    const answer = await graph.get(`/act_${account}/customaudiences`, query)
    if (!Array.isArray(answer['data'])) throw new Unavailable('maybe', 'Meta answered without a list of audiences')
    audiences.push(...answer['data'].flatMap((entry: unknown) => readAudience(entry) ?? []))
    after = nextPage(answer)
    if (after === undefined) return audiences
  }
  return audiences
}

/** The cursor and never the address of the next page: the address holds the token. */
function nextPage({ paging }: Json): string | undefined {
  if (!isRecord(paging) || paging['next'] === undefined || !isRecord(paging['cursors'])) return undefined
  const after = paging['cursors']['after']
  return typeof after === 'string' && after !== '' ? after : undefined
}

function readAudience(entry: unknown): Audience | undefined {
  if (!isRecord(entry) || typeof entry['id'] !== 'string') return undefined
  const { name, subtype, operation_status: status } = entry
  return {
    id: entry['id'],
    name: typeof name === 'string' ? name : '',
    subtype: typeof subtype === 'string' ? subtype : '',
    members: numberOf(entry['approximate_count_lower_bound']),
    status: isRecord(status) ? numberOf(status['code']) : undefined,
  }
}

function checked(audience: Audience, field: string): Audience {
  if (audience.subtype !== 'CUSTOM')
    throw new DestinationInvalid(
      field,
      `This audience is of the type ${audience.subtype || 'unknown'}: only a customer list can be written to`,
    )
  if (audience.status === 471)
    throw new DestinationInvalid(field, 'Meta has flagged this audience (471): resolve that in Audience Manager first')
  return audience
}
