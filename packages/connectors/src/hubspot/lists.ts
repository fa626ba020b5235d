/** Static lists of contacts: chosen, found by name, or made. Lists with filters fill themselves and cannot be written to. */
import { DestinationInvalid, Unavailable, type Choice } from '@patchbay/connector-sdk'
import { isRecord, recordsOf, type HubSpot, type Json } from './api.ts'

const CONTACTS = '0-1'
const STATIC: readonly unknown[] = ['MANUAL', 'SNAPSHOT']
const PAGE = 500
const PAGES_MAX = 20

export interface ListChoice {
  readonly target: 'existing' | 'named' | 'none'
  readonly list?: string
  readonly name?: string
}

export async function listChoices(hubSpot: HubSpot, search: string): Promise<readonly Choice[]> {
  const choices: Choice[] = []
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const query = search.trim() === '' ? {} : { query: search.trim() }
    const body = await hubSpot.send('POST', '/crm/v3/lists/search', {
      ...query,
      processingTypes: STATIC,
      objectTypeId: CONTACTS,
      count: PAGE,
      offset: page * PAGE,
      additionalProperties: ['hs_list_size'],
    })
    for (const { listId, name, objectTypeId, processingType, additionalProperties } of recordsOf(body, 'lists')) {
      if (typeof listId !== 'string' || typeof name !== 'string') continue
      if (objectTypeId !== CONTACTS || !STATIC.includes(processingType)) continue
      const size = isRecord(additionalProperties) ? additionalProperties['hs_list_size'] : undefined
      choices.push({
        value: listId,
        label: name,
        help: typeof size === 'string' ? `List ${listId}, ${size} contacts` : `List ${listId}`,
      })
    }
    if (body['hasMore'] !== true) break
  }
  return choices
}

/** Gives the list's id, or undefined where the export writes to no list. */
export async function openList(hubSpot: HubSpot, { target, list, name }: ListChoice): Promise<string | undefined> {
  if (target === 'none') return undefined
  if (target === 'existing') {
    const id = list ?? ''
    if (!/^\d{1,20}$/.test(id)) throw new DestinationInvalid('list', 'Choose a list')
    return idOf(await hubSpot.get(`/crm/v3/lists/${id}`), 'list')
  }
  const wanted = name?.trim() ?? ''
  if (wanted === '') throw new DestinationInvalid('name', 'Give the new list a name')
  const path = `/crm/v3/lists/object-type-id/${CONTACTS}/name/${encodeURIComponent(wanted)}`
  const found = await hubSpot.find(path)
  if (found !== undefined) return idOf(found, 'name')
  const body = { name: wanted, objectTypeId: CONTACTS, processingType: 'MANUAL' }
  return idOf(await hubSpot.send('POST', '/crm/v3/lists', body), 'name')
}

function idOf({ list }: Json, field: string): string {
  if (!isRecord(list) || typeof list['listId'] !== 'string')
    throw new Unavailable('maybe', 'HubSpot answered without a list')
  if (list['objectTypeId'] !== CONTACTS) throw new DestinationInvalid(field, 'This list does not hold contacts')
  if (!STATIC.includes(list['processingType']))
    throw new DestinationInvalid(field, 'This list fills itself by its filters: choose a static list')
  return list['listId']
}
