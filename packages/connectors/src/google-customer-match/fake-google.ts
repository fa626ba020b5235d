/**
 * Google's Data Manager API on loopback for tests, proof and bench, written by hand: user lists, members, and requests that
 * Google works on for a while and tells the status of as counts. It knows nothing of the connector's code.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface GoogleRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: string
  readonly headers: IncomingMessage['headers']
}

export interface FakeUserList {
  readonly id: string
  readonly displayName: string
  readonly uploadKeyTypes: readonly string[]
  readonly readOnly: boolean
  readonly membershipDuration: string
  /** By the text of the member's identifiers: how often it was ingested. */
  readonly members: Map<string, number>
}

interface Member {
  readonly userData?: { readonly userIdentifiers?: readonly Readonly<Record<string, unknown>>[] }
  readonly consent?: Readonly<Record<string, string>>
}

interface Work {
  readonly verb: 'ingest' | 'remove'
  readonly destination: object
  readonly count: number
  readonly errors: Map<string, number>
  questionsLeft: number
}

export type GoogleTrouble =
  | {
      readonly does: 'say'
      readonly status: number
      readonly body?: unknown
      readonly headers?: Record<string, string>
    }
  | { readonly does: 'fail-after-taking' }
  | { readonly does: 'reset-after-taking' }
  | { readonly does: 'hang' }

export interface FakeGoogle {
  readonly origin: string
  readonly requests: readonly GoogleRequest[]
  readonly userLists: Map<string, FakeUserList>
  readonly tokens: Set<string>
  /** How often a request's status is asked before it is done. */
  questionsPerRequest: number
  /** The reason for which Google does not process a member; undefined processes it. */
  judge: (member: string) => string | undefined
  addUserList(displayName: string, change?: Partial<FakeUserList>): FakeUserList
  forgetRequests(): void
  trouble(next: (request: GoogleRequest, number: number) => GoogleTrouble | undefined): void
  stop(): Promise<void>
}

const HASH = /^[0-9a-f]{64}$/

export async function startFakeGoogle(
  options: { readonly account?: string; readonly forgetful?: boolean } = {},
): Promise<FakeGoogle> {
  const state = new State(options.account ?? '1234567890', options.forgetful === true)
  const server = createServer((incoming, response) => void state.serve(incoming, response))
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  state.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  state.stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return state
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

class State implements FakeGoogle {
  origin = ''
  stop: () => Promise<void> = () => Promise.resolve()
  readonly requests: GoogleRequest[] = []
  readonly userLists = new Map<string, FakeUserList>()
  readonly tokens = new Set(['ya29.token'])
  questionsPerRequest = 1
  judge: (member: string) => string | undefined = () => undefined
  readonly #account: string
  readonly #isForgetful: boolean
  readonly #work = new Map<string, Work>()
  #trouble: (request: GoogleRequest, number: number) => GoogleTrouble | undefined = () => undefined
  #count = 0
  #ids = 0

  constructor(account: string, isForgetful: boolean) {
    this.#account = account
    this.#isForgetful = isForgetful
  }

  addUserList(displayName: string, change: Partial<FakeUserList> = {}): FakeUserList {
    this.#ids += 1
    const list: FakeUserList = {
      id: String(9_000_000_000 + this.#ids),
      displayName,
      uploadKeyTypes: ['CONTACT_ID'],
      readOnly: false,
      membershipDuration: '46656000s',
      members: new Map(),
      ...change,
    }
    this.userLists.set(list.id, list)
    return list
  }

  forgetRequests(): void {
    this.#work.clear()
  }

  trouble(next: (request: GoogleRequest, number: number) => GoogleTrouble | undefined): void {
    this.#trouble = next
  }

  async serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://x')
    let body = ''
    try {
      for await (const chunk of incoming.setEncoding('utf8')) body += chunk as string
    } catch {
      // Cut short: it never took effect.
      return
    }
    const { method = '', headers } = incoming
    const request: GoogleRequest = { method, path: url.pathname, query: url.searchParams, body, headers }
    this.#count += 1
    if (!this.#isForgetful) this.requests.push(request)
    const wrong = this.#trouble(request, this.#count)
    switch (wrong?.does) {
      case undefined:
        return end(response, this.#answer(request))
      case 'say':
        return end(response, { status: wrong.status, body: wrong.body }, wrong.headers)
      case 'fail-after-taking':
        this.#answer(request)
        return end(response, refusal(500, 'INTERNAL'))
      case 'reset-after-taking':
        this.#answer(request)
        incoming.socket.resetAndDestroy()
        return
      case 'hang':
    }
  }

  #answer(request: GoogleRequest): Answer {
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    if (!this.tokens.has(token)) return refusal(401, 'UNAUTHENTICATED')
    const lists = `/v1/accountTypes/GOOGLE_ADS/accounts/${this.#account}/userLists`
    if (request.path === lists) return request.method === 'POST' ? this.#make(request.body) : this.#page(request.query)
    if (request.path.startsWith(`${lists}/`)) {
      const list = this.userLists.get(request.path.slice(lists.length + 1))
      return list === undefined ? refusal(404, 'NOT_FOUND') : { status: 200, body: shown(list) }
    }
    if (request.path.startsWith('/v1/accountTypes/')) return refusal(404, 'NOT_FOUND')
    switch (request.path) {
      case '/v1/audienceMembers:ingest':
        return this.#take('ingest', request.body)
      case '/v1/audienceMembers:remove':
        return this.#take('remove', request.body)
      case '/v1/requestStatus:retrieve':
        return this.#status(request.query.get('requestId') ?? '')
      default:
        return refusal(404, 'NOT_FOUND')
    }
  }

  #make(body: string): Answer {
    const { displayName, membershipDuration, ingestedUserListInfo } = JSON.parse(body) as {
      displayName?: string
      membershipDuration?: string
      ingestedUserListInfo?: { uploadKeyTypes?: string[] }
    }
    const seconds = Number(membershipDuration?.replace('s', ''))
    if (displayName === undefined || seconds % 86_400 !== 0 || seconds > 540 * 86_400) return refusal(400, 'INVALID_ARGUMENT')
    const list = this.addUserList(displayName, {
      uploadKeyTypes: ingestedUserListInfo?.uploadKeyTypes ?? [],
      membershipDuration: membershipDuration ?? '',
    })
    return { status: 200, body: shown(list) }
  } // prettier-ignore

  #page(query: URLSearchParams): Answer {
    const size = Math.min(100, Number(query.get('pageSize') ?? 50))
    const start = Number(query.get('pageToken') ?? 0)
    const all = [...this.userLists.values()]
    const more = start + size < all.length ? { nextPageToken: String(start + size) } : {}
    return { status: 200, body: { userLists: all.slice(start, start + size).map(shown), ...more } }
  }

  #take(verb: 'ingest' | 'remove', body: string): Answer {
    const { destinations, audienceMembers, encoding, validateOnly, termsOfService } = JSON.parse(body) as {
      destinations: { productDestinationId: string; operatingAccount: { accountId: string } }[]
      audienceMembers: Member[]
      encoding?: string
      validateOnly?: boolean
      termsOfService?: { customerMatchTermsOfServiceStatus?: string }
    }
    const [destination] = destinations
    const list = this.userLists.get(destination?.productDestinationId ?? '')
    if (destination?.operatingAccount.accountId !== this.#account) return refusal(403, 'PERMISSION_DENIED', 'USER_PERMISSION_DENIED')
    if (list === undefined) return refusal(404, 'NOT_FOUND')
    if (encoding !== 'HEX' || audienceMembers.length === 0 || audienceMembers.length > 10_000) return refusal(400, 'INVALID_ARGUMENT')
    if (verb === 'ingest' && termsOfService?.customerMatchTermsOfServiceStatus !== 'ACCEPTED') return refusal(400, 'INVALID_ARGUMENT', 'TERMS_AND_CONDITIONS_NOT_SIGNED')
    const violations = audienceMembers.flatMap((member, index) => violationsOf(member, index))
    if (violations.length > 0) return badRequest(violations)
    if (validateOnly === true) return { status: 200, body: {} }
    return { status: 200, body: { requestId: this.#start(verb, destination, list, audienceMembers) } }
  } // prettier-ignore

  /** It works on whether anybody asks or not. */
  #start(verb: Work['verb'], destination: object, list: FakeUserList, members: readonly Member[]): string {
    const errors = new Map<string, number>()
    for (const member of members) {
      const text = textOf(member)
      const denied = member.consent?.['adUserData'] === 'CONSENT_DENIED' ? 'PROCESSING_ERROR_REASON_DENIED_CONSENT' : undefined
      const reason = denied ?? this.judge(text)
      if (reason !== undefined) errors.set(reason, (errors.get(reason) ?? 0) + 1)
      else if (verb === 'remove') removeFrom(list, text)
      else if (!this.#isForgetful) list.members.set(text, (list.members.get(text) ?? 0) + 1)
    }
    this.#ids += 1
    const id = `req-${this.#ids}`
    this.#work.set(id, { verb, destination, count: members.length, errors, questionsLeft: this.questionsPerRequest })
    return id
  } // prettier-ignore

  #status(id: string): Answer {
    const work = this.#work.get(id)
    if (work === undefined) return refusal(404, 'NOT_FOUND')
    work.questionsLeft -= 1
    const failed = [...work.errors.values()].reduce((sum, count) => sum + count, 0)
    const done = failed === 0 ? 'SUCCESS' : failed < work.count ? 'PARTIAL_SUCCESS' : 'FAILED'
    const counts = { recordCount: String(work.count), userIdentifierCount: String(work.count) }
    const status = {
      destination: work.destination,
      requestStatus: work.questionsLeft >= 0 ? 'PROCESSING' : done,
      ...(failed === 0 || work.questionsLeft >= 0
        ? {}
        : { errorInfo: { errorCounts: [...work.errors].map(([reason, count]) => ({ reason, recordCount: String(count) })) } }),
      ...(work.verb === 'ingest'
        ? { audienceMembersIngestionStatus: { userDataIngestionStatus: counts } }
        : { audienceMembersRemovalStatus: { userDataRemovalStatus: counts } }),
    }
    return { status: 200, body: { requestStatusPerDestination: [status] } }
  } // prettier-ignore
}

/** Google takes off whoever has one of the identifiers. */
function removeFrom(list: FakeUserList, text: string): void {
  const gone = new Set(text.split(' '))
  for (const member of list.members.keys()) if (member.split(' ').some((part) => gone.has(part))) list.members.delete(member)
} // prettier-ignore

function textOf({ userData }: Member): string {
  return (userData?.userIdentifiers ?? []).map((identifier) => JSON.stringify(identifier).replaceAll(' ', '_')).join(' ')
} // prettier-ignore

function violationsOf({ userData }: Member, index: number): readonly object[] {
  const identifiers = userData?.userIdentifiers ?? []
  const isGood = (identifier: Readonly<Record<string, unknown>>): boolean => {
    const { emailAddress, phoneNumber, address } = identifier
    if (typeof address !== 'object' || address === null) return HASH.test(String(emailAddress ?? phoneNumber))
    const { givenName, familyName, regionCode, postalCode } = address as Record<string, unknown>
    return HASH.test(String(givenName)) && HASH.test(String(familyName)) && /^[A-Z]{2}$/.test(String(regionCode)) && typeof postalCode === 'string'
  }
  if (identifiers.length > 0 && identifiers.every(isGood)) return []
  const field = `audience_members.audience_members[${index}].user_data.user_identifiers`
  return [{ field, description: 'Invalid hash encoding.', reason: 'INVALID_HEX_ENCODING' }]
} // prettier-ignore

function shown(list: FakeUserList): object {
  return {
    name: `accountTypes/GOOGLE_ADS/accounts/1/userLists/${list.id}`,
    id: list.id,
    displayName: list.displayName,
    readOnly: list.readOnly,
    membershipStatus: 'OPEN',
    membershipDuration: list.membershipDuration,
    ingestedUserListInfo: { uploadKeyTypes: list.uploadKeyTypes },
    sizeInfo: { searchNetworkMembersCount: String(list.members.size) },
  }
}

export function refusal(status: number, code: string, reason?: string, more: readonly object[] = []): Answer {
  const info = reason === undefined ? [] : [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'datamanager.googleapis.com' }]
  return { status, body: { error: { code: status, message: 'There was a problem with ana@example.com', status: code, details: [...info, ...more] } } }
} // prettier-ignore

function badRequest(fieldViolations: readonly object[]): Answer {
  return refusal(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', [
    { '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations },
  ])
}

function end(response: ServerResponse, { status, body }: Answer, headers: Readonly<Record<string, string>> = {}): void {
  response
    .writeHead(status, { 'content-type': 'application/json; charset=UTF-8', ...headers })
    .end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body))
}
