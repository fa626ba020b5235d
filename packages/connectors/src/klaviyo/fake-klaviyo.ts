/**
 * Klaviyo's API on loopback for tests, proof and bench, written by hand: profiles, lists and import jobs that take a while,
 * with the answers, the refusals and the headers that Klaviyo gives. It knows nothing of the connector's code.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface KlaviyoRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: string
  readonly headers: IncomingMessage['headers']
}

export interface FakeProfile {
  readonly id: string
  readonly attributes: Readonly<Record<string, unknown>>
  /** How often an import took effect on it. */
  readonly imports: number
  readonly consent: string
}

export interface FakeList {
  readonly id: string
  readonly name: string
  /** Ids of profiles. */
  readonly members: Set<string>
}

interface Job {
  readonly id: string
  readonly profiles: readonly Readonly<Record<string, unknown>>[]
  readonly list: string | undefined
  status: string
  questionsLeft: number
  failed: object[]
}

export type KlaviyoTrouble =
  | { readonly does: 'say'; readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
  | { readonly does: 'fail-after-taking' }
  | { readonly does: 'reset-after-taking' }
  | { readonly does: 'hang' }

export interface FakeKlaviyo {
  readonly origin: string
  readonly requests: readonly KlaviyoRequest[]
  readonly lists: Map<string, FakeList>
  readonly profiles: Map<string, FakeProfile>
  readonly jobs: Map<string, Job>
  readonly keys: Set<string>
  /** How often a job is asked before it is done. */
  questionsPerJob: number
  /** What a job says of a profile that it does not take; undefined takes it. */
  judge: (attributes: Readonly<Record<string, unknown>>, index: number) => FakeImportError | undefined
  readOnly: boolean
  addList(name: string): FakeList
  addMember(list: FakeList, attributes: Readonly<Record<string, unknown>>): FakeProfile
  trouble(next: (request: KlaviyoRequest, number: number) => KlaviyoTrouble | undefined): void
  stop(): Promise<void>
}

export interface FakeImportError {
  readonly code: string
  readonly title: string
  readonly detail: string
  /** Klaviyo points at the profile, or at nothing and repeats it. */
  readonly pointsAtIt: boolean
}

const MEDIA_TYPE = 'application/vnd.api+json'

export async function startFakeKlaviyo(options: { readonly forgetful?: boolean } = {}): Promise<FakeKlaviyo> {
  const state = new State(options.forgetful === true)
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
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

class State implements FakeKlaviyo {
  origin = ''
  stop: () => Promise<void> = () => Promise.resolve()
  readonly requests: KlaviyoRequest[] = []
  readonly lists = new Map<string, FakeList>()
  readonly profiles = new Map<string, FakeProfile>()
  readonly jobs = new Map<string, Job>()
  readonly keys = new Set(['pk_test_0123456789'])
  questionsPerJob = 1
  judge: FakeKlaviyo['judge'] = () => undefined
  readOnly = false
  readonly #isForgetful: boolean
  #trouble: (request: KlaviyoRequest, number: number) => KlaviyoTrouble | undefined = () => undefined
  #count = 0
  #ids = 0

  constructor(isForgetful: boolean) {
    this.#isForgetful = isForgetful
  }

  addList(name: string): FakeList {
    const list: FakeList = { id: this.#id('L'), name, members: new Set() }
    this.lists.set(list.id, list)
    return list
  }

  addMember(list: FakeList, attributes: Readonly<Record<string, unknown>>): FakeProfile {
    const profile = this.#import(attributes)
    list.members.add(profile.id)
    return profile
  }

  trouble(next: (request: KlaviyoRequest, number: number) => KlaviyoTrouble | undefined): void {
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
    const request: KlaviyoRequest = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      body,
      headers: incoming.headers,
    }
    this.#count += 1
    if (!this.#isForgetful) this.requests.push(request)
    const wrong = this.#trouble(request, this.#count)
    switch (wrong?.does) {
      case undefined:
        return end(response, this.#answer(request))
      case 'say':
        response
          .writeHead(wrong.status, { 'content-type': MEDIA_TYPE, ...wrong.headers })
          .end(wrong.status === 204 ? undefined : (wrong.body ?? ''))
        return
      case 'fail-after-taking':
        this.#answer(request)
        return end(response, refusal(500, 'error', 'A server error occurred.'))
      case 'reset-after-taking':
        this.#answer(request)
        incoming.socket.resetAndDestroy()
        return
      case 'hang':
    }
  }

  #answer(request: KlaviyoRequest): Answer {
    const key = request.headers.authorization?.replace('Klaviyo-API-Key ', '') ?? ''
    if (!this.keys.has(key)) return refusal(401, 'authentication_failed', 'Incorrect authentication credentials.')
    if (!/^\d{4}-\d{2}-\d{2}$/.test(String(request.headers['revision'])))
      return refusal(400, 'invalid', 'Missing revision header.')
    const hasBody = request.body !== ''
    if (hasBody && request.headers['content-type'] !== MEDIA_TYPE)
      return refusal(415, 'unsupported_media_type', 'Unsupported media type.')
    if (this.readOnly && request.method !== 'GET')
      return refusal(403, 'permission_denied', 'You do not have permission to perform this action.')
    const [, , kind = '', id = '', edge = '', last = ''] = request.path.split('/')
    switch (`${request.method} ${kind}${edge === '' ? '' : ` ${edge}`}${last === '' ? '' : `/${last}`}`) {
      case 'GET accounts':
        return { status: 200, body: { data: [{ type: 'account', id: 'AbC123', attributes: { contact_information: { organization_name: 'Contoso' } } }] } }
      case 'GET lists':
        return id === '' ? this.#listPage(request.query) : this.#oneList(id)
      case 'POST lists':
        return this.#makeList(request.body)
      case 'GET lists profiles':
        return this.#membersOf(id, request.query)
      case 'DELETE lists relationships/profiles':
        return this.#removeFrom(id, request.body)
      case 'POST profile-bulk-import-jobs':
        return this.#startJob(request.body)
      case 'GET profile-bulk-import-jobs':
        return this.#jobState(id)
      case 'GET profile-bulk-import-jobs import-errors':
        return this.#jobErrors(id, request.query)
      default:
        return refusal(404, 'not_found', 'Not found.')
    }
  } // prettier-ignore

  #listPage(query: URLSearchParams): Answer {
    const wanted = /^equals\(name,"(.*)"\)$/.exec(query.get('filter') ?? '')?.[1]?.replaceAll(/\\(.)/g, '$1')
    const all = [...this.lists.values()].filter(({ name }) => wanted === undefined || name === wanted)
    return this.#page(all, query, 10, ({ id, name }) => ({ type: 'list', id, attributes: { name, opt_in_process: 'single_opt_in' } }))
  } // prettier-ignore

  #oneList(id: string): Answer {
    const list = this.lists.get(id)
    if (list === undefined) return refusal(404, 'not_found', 'A list with the given id does not exist.')
    return { status: 200, body: { data: { type: 'list', id, attributes: { name: list.name } } } }
  }

  #makeList(body: string): Answer {
    const { data } = JSON.parse(body) as { data: { attributes: { name: string } } }
    const { id, name } = this.addList(data.attributes.name)
    return { status: 201, body: { data: { type: 'list', id, attributes: { name } } } }
  }

  #membersOf(id: string, query: URLSearchParams): Answer {
    const list = this.lists.get(id)
    if (list === undefined) return refusal(404, 'not_found', 'A list with the given id does not exist.')
    const filter = /^any\((email|phone_number),\[(.*)\]\)$/.exec(query.get('filter') ?? '')
    const values = filter === null ? undefined : (JSON.parse(`[${filter[2] ?? ''}]`) as string[])
    if (values !== undefined && values.length > 100) return refusal(400, 'invalid', 'Too many values in a filter.')
    const found = [...list.members].flatMap((member) => {
      const profile = this.profiles.get(member)
      const value = profile?.attributes[filter?.[1] ?? 'email']
      const isWanted = values === undefined || values.includes(String(value))
      return profile !== undefined && isWanted ? [profile] : []
    })
    return this.#page(found, query, 100, (profile) => ({ type: 'profile', id: profile.id, attributes: profile.attributes }))
  } // prettier-ignore

  #removeFrom(id: string, body: string): Answer {
    const list = this.lists.get(id)
    if (list === undefined) return refusal(404, 'not_found', 'A list with the given id does not exist.')
    const { data } = JSON.parse(body) as { data: { id: string }[] }
    if (data.length > 1000) return refusal(400, 'invalid', 'At most 1000 profiles.')
    for (const profile of data) list.members.delete(profile.id)
    return { status: 204 }
  }

  #startJob(body: string): Answer {
    const { data } = JSON.parse(body) as {
      data: {
        attributes: { profiles: { data: { attributes: Record<string, unknown> }[] } }
        relationships?: { lists?: { data: { id: string }[] } }
      }
    }
    const profiles = data.attributes.profiles.data.map(({ attributes }) => attributes)
    const list = data.relationships?.lists?.data[0]?.id
    if (profiles.length === 0) return refusal(400, 'invalid', 'At least one profile is required.')
    if (profiles.length > 10_000) return refusal(400, 'invalid', 'Too many profiles.')
    if (body.length > 5_000_000) return refusal(413, 'payload_too_large', 'Payload too large.')
    if (list !== undefined && !this.lists.has(list)) return refusal(404, 'not_found', 'The list does not exist.')
    // What is no e-mail address at all is refused at once, with the whole request.
    const errors = profiles.flatMap(({ email }, index) =>
      typeof email === 'string' && !/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(email)
        ? [error('invalid', 'Invalid input.', 'Invalid email address.', `/data/attributes/profiles/data/${index}/attributes/email`)]
        : [],
    )
    if (errors.length > 0) return { status: 400, body: { errors } }
    const job: Job = { id: this.#id('J'), profiles, list, status: 'queued', questionsLeft: this.questionsPerJob, failed: [] }
    this.jobs.set(job.id, job)
    // It works on whether anybody asks or not.
    this.#work(job)
    return { status: 202, body: { data: { type: 'profile-bulk-import-job', id: job.id, attributes: jobAttributes(job) } } }
  } // prettier-ignore

  #work(job: Job): void {
    for (const [index, attributes] of job.profiles.entries()) {
      const wrong = this.judge(attributes, index)
      if (wrong === undefined) {
        const { id } = this.#import(attributes)
        if (job.list !== undefined) this.lists.get(job.list)?.members.add(id)
        continue
      }
      const pointer = wrong.pointsAtIt ? `/data/attributes/profiles/data/${index}/attributes` : '/data'
      job.failed.push({ ...error(wrong.code, wrong.title, wrong.detail, pointer), original_payload: attributes })
    }
  }

  #jobState(id: string): Answer {
    const job = this.jobs.get(id)
    if (job === undefined) return refusal(404, 'not_found', 'The job does not exist.')
    job.questionsLeft -= 1
    if (job.status !== 'cancelled') job.status = job.questionsLeft >= 0 ? 'processing' : 'complete'
    return { status: 200, body: { data: { type: 'profile-bulk-import-job', id, attributes: jobAttributes(job) } } }
  }

  #jobErrors(id: string, query: URLSearchParams): Answer {
    const job = this.jobs.get(id)
    if (job === undefined) return refusal(404, 'not_found', 'The job does not exist.')
    return this.#page(job.failed, query, 100, (attributes) => ({ type: 'import-error', id: 'e', attributes }))
  }

  #import(attributes: Readonly<Record<string, unknown>>): FakeProfile {
    const identity = String(attributes['email'] ?? attributes['phone_number'] ?? attributes['external_id'])
    const known = this.profiles.get(identity)
    const profile: FakeProfile = {
      id: identity,
      attributes: { ...known?.attributes, ...attributes },
      imports: (known?.imports ?? 0) + 1,
      consent: known?.consent ?? 'NEVER_SUBSCRIBED',
    }
    if (!this.#isForgetful) this.profiles.set(identity, profile)
    return profile
  }

  #page<T>(all: readonly T[], query: URLSearchParams, most: number, shown: (item: T) => object): Answer {
    const size = Math.min(most, Number(query.get('page[size]') ?? most))
    const start = Number(query.get('page[cursor]') ?? 0)
    const next = new URL('/elsewhere', this.origin)
    next.searchParams.set('page[cursor]', String(start + size))
    const links = { self: this.origin, ...(start + size < all.length ? { next: next.href } : {}) }
    return { status: 200, body: { data: all.slice(start, start + size).map(shown), links } }
  }

  #id(letter: string): string {
    this.#ids += 1
    return `${letter}${String(this.#ids).padStart(5, '0')}`
  }
}

function jobAttributes({ status, profiles, failed }: Job): object {
  const isDone = status === 'complete'
  return {
    status,
    created_at: '2026-11-24T10:00:00+00:00',
    total_count: profiles.length,
    completed_count: isDone ? profiles.length - failed.length : 0,
    failed_count: isDone ? failed.length : 0,
  }
}

function error(code: string, title: string, detail: string, pointer: string): object {
  return { id: 'b1', status: 400, code, title, detail, source: { pointer } }
}

function refusal(status: number, code: string, detail: string): Answer {
  return {
    status,
    body: { errors: [{ id: 'b1', status, code, title: detail, detail, source: { pointer: '/data/' } }] },
  }
}

function end(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  response
    .writeHead(status, { 'content-type': MEDIA_TYPE, 'ratelimit-limit': '10, 10;w=1, 150;w=60', ...headers })
    .end(body === undefined ? undefined : JSON.stringify(body))
}
