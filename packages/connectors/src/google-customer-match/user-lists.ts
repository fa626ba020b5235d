/** The user list that an export keeps: chosen, found by its name, or made. */
import { BatchRejected, DestinationInvalid, SettingsInvalid, Unavailable, type Choice } from '@patchbay/connector-sdk'
import { isRecord, NotThere, unknownList, type DataManager, type Json } from './api.ts'

export interface ListChoice {
  readonly target: string
  readonly userList?: string
  readonly name?: string
  readonly membershipDays?: number
}

const PAGES_MAX = 50
const DAY_SECONDS = 86_400

interface UserList {
  readonly id: string
  readonly name: string
  readonly members: number | undefined
  /** Why it cannot be written to; undefined where it can. */
  readonly problem: string | undefined
}

export async function openUserList(api: DataManager, account: string, chosen: ListChoice): Promise<string> {
  if (chosen.target === 'existing') {
    const id = chosen.userList ?? ''
    if (!/^\d{1,20}$/.test(id)) throw new DestinationInvalid('userList', 'Choose a user list')
    return checked(await existing(api, account, id), 'userList').id
  }
  const name = chosen.name?.trim() ?? ''
  if (name === '') throw new DestinationInvalid('name', 'Give the user list a name')
  const [found, ...others] = (await listsOf(api, account)).filter((list) => list.name === name)
  if (others.length > 0)
    throw new DestinationInvalid('name', `There are ${others.length + 1} user lists of this name: choose one of them`)
  return found === undefined
    ? makeUserList(api, account, name, chosen.membershipDays ?? 540)
    : checked(found, 'name').id
}

async function existing(api: DataManager, account: string, id: string): Promise<UserList> {
  try {
    const [list] = readUserList(await api.get(`${pathOf(account)}/${id}`))
    if (list === undefined) throw new Unavailable('maybe', 'Google answered without the user list')
    return list
  } catch (error) {
    if (!(error instanceof NotThere)) throw error
    throw unknownList('userList')
  }
}

async function makeUserList(api: DataManager, account: string, name: string, days: number): Promise<string> {
  const body = {
    displayName: name,
    description: 'Made and kept by Patchbay',
    membershipDuration: `${Math.round(days) * DAY_SECONDS}s`,
    ingestedUserListInfo: {
      uploadKeyTypes: ['CONTACT_ID'],
      contactIdInfo: { dataSourceType: 'DATA_SOURCE_TYPE_FIRST_PARTY' },
    },
  }
  try {
    const id = idOf(await api.post(pathOf(account), body))
    if (id === undefined) throw new Unavailable('maybe', 'Google did not say which user list it made')
    return id
  } catch (error) {
    if (error instanceof BatchRejected) throw new DestinationInvalid('name', error.message, { cause: error })
    if (error instanceof NotThere) throw unknownList('name')
    throw error
  }
}

export async function userListChoices(api: DataManager, account: string, search: string): Promise<readonly Choice[]> {
  const wanted = search.trim().toLowerCase()
  return (await listsOf(api, account))
    .filter(({ name, problem }) => problem === undefined && name.toLowerCase().includes(wanted))
    .map(({ id, name, members }) => ({
      value: id,
      label: name,
      help: members === undefined ? id : `${id}, about ${members} members on Search`,
    }))
}

async function listsOf(api: DataManager, account: string): Promise<readonly UserList[]> {
  try {
    return await readUserLists(api, account)
  } catch (error) {
    if (!(error instanceof NotThere)) throw error
    throw new SettingsInvalid('customerId', 'Google knows no such account, or does not show it to you')
  }
}

/** Throws `NotThere` where the account is not. */
export async function readUserLists(
  api: DataManager,
  account: string,
  pagesMax = PAGES_MAX,
): Promise<readonly UserList[]> {
  const lists: UserList[] = []
  let pageToken: string | undefined
  for (let page = 0; page < pagesMax; page += 1) {
    const query = { pageSize: '500', ...(pageToken === undefined ? {} : { pageToken }) }
    const answer = await api.get(pathOf(account), query)
    const entries = answer['userLists'] ?? []
    if (!Array.isArray(entries)) throw new Unavailable('maybe', 'Google answered without a list of user lists')
    lists.push(...entries.flatMap((entry: unknown) => readUserList(entry)))
    const next = answer['nextPageToken']
    if (typeof next !== 'string' || next === '') return lists
    pageToken = next
  }
  return lists
}

function readUserList(entry: unknown): readonly UserList[] {
  const id = idOf(entry)
  if (!isRecord(entry) || id === undefined) return []
  const name = typeof entry['displayName'] === 'string' ? entry['displayName'] : id
  const info = isRecord(entry['ingestedUserListInfo']) ? entry['ingestedUserListInfo'] : {}
  const size = isRecord(entry['sizeInfo']) ? Number(entry['sizeInfo']['searchNetworkMembersCount'] ?? Number.NaN) : Number.NaN
  return [{ id, name, members: Number.isFinite(size) ? size : undefined, problem: problemOf(entry, info) }]
} // prettier-ignore

function problemOf(list: Json, info: Json): string | undefined {
  const keys = Array.isArray(info['uploadKeyTypes']) ? info['uploadKeyTypes'] : []
  if (!keys.includes('CONTACT_ID')) return 'it is not made for contact data (email, phone, address)'
  if (list['readOnly'] === true) return 'it may not be edited by this account'
  return list['membershipStatus'] === 'CLOSED' ? 'it is closed to new members' : undefined
}

function checked(list: UserList, field: string): UserList {
  if (list.problem === undefined) return list
  throw new DestinationInvalid(field, `The user list cannot be written to: ${list.problem}`)
}

/** A 64-bit number, which JSON of Google writes as a text. */
function idOf(entry: unknown): string | undefined {
  if (!isRecord(entry)) return undefined
  const { id } = entry
  if (typeof id === 'string' && /^\d{1,20}$/.test(id)) return id
  return typeof id === 'number' && Number.isSafeInteger(id) ? String(id) : undefined
}

function pathOf(account: string): string {
  return `/v1/accountTypes/GOOGLE_ADS/accounts/${account}/userLists`
}
