/** The list that an export keeps: chosen, found by its name, or made. */
import { DestinationInvalid, Unavailable, type Choice } from '@patchbay/connector-sdk'
import { isRecord, NotThere, wordsOf, type Json, type Klaviyo } from './api.ts'

export interface ListChoice {
  readonly target: string
  readonly list?: string
  readonly name?: string
}

/** Klaviyo shows ten lists on a page. */
const PAGES_MAX = 100

export async function openList(klaviyo: Klaviyo, chosen: ListChoice): Promise<string> {
  if (chosen.target === 'existing') {
    const id = chosen.list ?? ''
    if (!/^[A-Za-z0-9]{1,40}$/.test(id)) throw new DestinationInvalid('list', 'Choose a list')
    await existing(klaviyo, id)
    return id
  }
  const name = chosen.name?.trim() ?? ''
  if (name === '') throw new DestinationInvalid('name', 'Give the list a name')
  const named = await listPages(klaviyo, { filter: `equals(name,${quoted(name)})` })
  const [found, ...others] = named.filter((list) => list.name === name)
  if (others.length > 0)
    throw new DestinationInvalid('name', `There are ${others.length + 1} lists of this name: choose one of them`)
  return found?.id ?? (await makeList(klaviyo, name))
}

async function existing(klaviyo: Klaviyo, id: string): Promise<void> {
  try {
    await klaviyo.get(`/api/lists/${id}`, { 'fields[list]': 'name' })
  } catch (error) {
    if (!(error instanceof NotThere)) throw error
    throw new DestinationInvalid('list', 'Klaviyo has no such list any more: choose another')
  }
}

async function makeList(klaviyo: Klaviyo, name: string): Promise<string> {
  const answer = await klaviyo.send('POST', '/api/lists', { data: { type: 'list', attributes: { name } } })
  const data = isRecord(answer.body?.['data']) ? answer.body['data'] : {}
  if (answer.status === 201 && typeof data['id'] === 'string') return data['id']
  if (answer.status === 400 || answer.status === 409)
    throw new DestinationInvalid('name', `Klaviyo did not make the list ${wordsOf(answer)}`)
  throw new Unavailable('maybe', `Klaviyo did not say which list it made ${wordsOf(answer)}`)
}

export async function listChoices(klaviyo: Klaviyo, search: string): Promise<readonly Choice[]> {
  const wanted = search.trim().toLowerCase()
  const lists = await listPages(klaviyo, { sort: 'name' })
  return lists
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .map(({ id, name, optIn }) => ({
      value: id,
      label: name,
      help: optIn === 'double_opt_in' ? `${id}, double opt-in` : id,
    }))
}

interface List {
  readonly id: string
  readonly name: string
  readonly optIn: string
}

async function listPages(klaviyo: Klaviyo, query: Readonly<Record<string, string>>): Promise<readonly List[]> {
  const lists: List[] = []
  let cursor: string | undefined
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await klaviyo.get('/api/lists', {
      ...query,
      'fields[list]': 'name,opt_in_process',
      ...(cursor === undefined ? {} : { 'page[cursor]': cursor }),
    })
    if (!Array.isArray(answer['data'])) throw new Unavailable('maybe', 'Klaviyo answered without a list of lists')
    lists.push(...answer['data'].flatMap((entry: unknown) => readList(entry)))
    cursor = nextCursor(answer)
    if (cursor === undefined) return lists
  }
  return lists
}

/** Only the cursor of the next page is taken from its address: requests go to Klaviyo and nowhere else. */
export function nextCursor({ links }: Json): string | undefined {
  const next = isRecord(links) ? links['next'] : undefined
  if (typeof next !== 'string' || !URL.canParse(next)) return undefined
  return new URL(next).searchParams.get('page[cursor]') ?? undefined
}

function readList(entry: unknown): readonly List[] {
  if (!isRecord(entry) || typeof entry['id'] !== 'string') return []
  const { name, opt_in_process: optIn } = isRecord(entry['attributes']) ? entry['attributes'] : {}
  return [
    {
      id: entry['id'],
      name: typeof name === 'string' ? name : entry['id'],
      optIn: typeof optIn === 'string' ? optIn : '',
    },
  ]
}

/** A text in Klaviyo's filter language. */
export function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
