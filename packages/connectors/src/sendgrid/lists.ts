/** Contact lists: chosen, found by name, or made. */
import { DestinationInvalid, Unavailable, type Choice } from '@patchbay/connector-sdk'
import { isRecord, recordsOf, type Json, type SendGrid } from './api.ts'

const LISTS = '/v3/marketing/lists'
const PAGE = 1000
const PAGES_MAX = 20

export interface ListChoice {
  readonly target: 'existing' | 'named'
  readonly list?: string
  readonly name?: string
}

interface List {
  readonly id: string
  readonly name: string
  readonly size: number | undefined
}

export async function listChoices(sendGrid: SendGrid, search: string): Promise<readonly Choice[]> {
  const wanted = search.trim().toLowerCase()
  return (await allLists(sendGrid))
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .map(({ id, name, size }) => ({
      value: id,
      label: name,
      ...(size === undefined ? {} : { help: `${size} contacts` }),
    }))
}

export async function openList(sendGrid: SendGrid, { target, list, name }: ListChoice): Promise<string> {
  if (target === 'existing') {
    const id = list ?? ''
    if (!/^[0-9a-f-]{36}$/.test(id)) throw new DestinationInvalid('list', 'Choose a list')
    return listOf(await sendGrid.get(`${LISTS}/${id}`)).id
  }
  const wanted = name?.trim() ?? ''
  if (wanted === '') throw new DestinationInvalid('name', 'Give the new list a name')
  const found = (await allLists(sendGrid)).find((one) => one.name === wanted)
  return found?.id ?? listOf(await sendGrid.send('POST', LISTS, { name: wanted })).id
}

async function allLists(sendGrid: SendGrid): Promise<readonly List[]> {
  const lists: List[] = []
  let token: string | undefined
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const query = new URLSearchParams({
      page_size: String(PAGE),
      ...(token === undefined ? {} : { page_token: token }),
    })
    const body = await sendGrid.get(`${LISTS}?${query.toString()}`)
    lists.push(...recordsOf(body, 'result').map(listOf))
    token = nextToken(body)
    if (token === undefined) break
  }
  return lists
}

/** The token and never the address of the next page, which could lead anywhere. */
function nextToken({ _metadata: metadata }: Json): string | undefined {
  const next = isRecord(metadata) ? metadata['next'] : undefined
  if (typeof next !== 'string' || !URL.canParse(next)) return undefined
  return new URL(next).searchParams.get('page_token') ?? undefined
}

function listOf({ id, name, contact_count: size }: Json): List {
  if (typeof id !== 'string' || typeof name !== 'string')
    throw new Unavailable('maybe', 'SendGrid answered without a list')
  return { id, name, size: typeof size === 'number' ? size : undefined }
}
