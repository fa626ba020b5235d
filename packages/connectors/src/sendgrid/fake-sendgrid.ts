/**
 * SendGrid's Marketing API on loopback for tests, proof and bench, written by hand: contacts, lists, custom fields, and jobs
 * that are worked on after they were taken, with a file of their errors. It knows nothing of the connector's code.
 */
import { readContract, type Contract } from '../../test-servers/contract/contract.ts'
import { startFakeService, type FakeService, type Reply, type ServiceRequest } from '../../test-servers/fake-service.ts'

export interface FakeContact {
  readonly id: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly lists: Set<string>
  /** How often it was written. */
  written: number
}

interface FakeList {
  readonly id: string
  readonly name: string
}

interface Job {
  readonly type: 'upsert' | 'delete'
  readonly work: () => readonly JobError[]
  readonly size: number
  questions: number
  errors: readonly JobError[] | undefined
}

interface JobError {
  readonly email: string
  readonly message: string
}

/** `unknown-form`: a file in which no contact can be found; `gone`: its address has expired; `none`: no address is given. */
export type ErrorsFile = 'csv' | 'json-lines' | 'unknown-form' | 'gone' | 'none'

export interface FakeSendGrid extends FakeService {
  readonly contract: Contract | undefined
  /** By the address in lower case. */
  readonly contacts: Map<string, FakeContact>
  readonly lists: Map<string, FakeList>
  readonly customFields: { id: string; name: string; field_type: string }[]
  readonly keys: Set<string>
  /** The message for an address that the job does not take. */
  refuse: (email: string) => string | undefined
  errorsFile: ErrorsFile
  /** How often a job is asked before it is done; it is not known at all at the first of them. */
  pendingQuestions: number
  /** Whether the key may change anything. */
  mayWrite: boolean
  /** What a job says of itself instead of the truth. */
  status: object | undefined
  addList(name: string): FakeList
}

/**
 * The file's schema of `custom_fields` shows one made-up id (`w1`); its description says that the names are ids of fields,
 * and SendGrid's guide to custom fields that numbers are sent as numbers. `/errors/…` stands for the address in storage.
 */
const SUPPLEMENT = {
  components: {
    schemas: {
      ContactRequest: { properties: { custom_fields: { additionalProperties: { type: ['string', 'number'] } } } },
    },
  },
  paths: { '/errors/{id}': { get: { parameters: [{ name: 'id', in: 'path', schema: { type: 'string' } }] } } },
}
export const SENDGRID_CONTRACT = readContract('sendgrid', {
  files: ['mc_contacts.json', 'mc_lists.json', 'mc_custom_fields.json'],
  supplement: SUPPLEMENT,
})

export const FAKE_KEY = 'SG.0123456789.abcdefghijklmnop'
const CONTACTS_MAX = 30_000

export async function startFakeSendGrid({ forgetful = false } = {}): Promise<FakeSendGrid> {
  const contract = forgetful ? undefined : SENDGRID_CONTRACT?.fresh()
  const contacts = new Map<string, FakeContact>()
  const lists = new Map<string, FakeList>()
  const jobs = new Map<string, Job>()
  const customFields = [
    { id: 'e1_T', name: 'Shoe_Size', field_type: 'Text' },
    { id: 'e2_N', name: 'points', field_type: 'Number' },
    { id: 'e3_D', name: 'since', field_type: 'Date' },
  ]
  const keys = new Set([FAKE_KEY])
  const state: Pick<FakeSendGrid, 'refuse' | 'errorsFile' | 'pendingQuestions' | 'mayWrite' | 'status'> = {
    refuse: () => undefined,
    errorsFile: 'csv',
    pendingQuestions: 2,
    mayWrite: true,
    status: undefined,
  }
  let origin = ''

  const uuid = (kind: number, at: number): string => `0000000${kind}-0000-4000-8000-${String(at).padStart(12, '0')}`
  const addList = (name: string): FakeList => {
    const list = { id: uuid(1, lists.size), name }
    lists.set(list.id, list)
    return list
  }
  const take = (type: Job['type'], size: number, work: Job['work']): Reply => {
    const id = `job-${jobs.size + 1}`
    jobs.set(id, { type, size, work, questions: 0, errors: undefined })
    return { status: 202, body: { job_id: id } }
  }
  /** What it was asked is done at last; without a question, when it is thought of again. */
  const finish = (job: Job): readonly JobError[] => (job.errors ??= job.work())

  const upsert = ({ body }: ServiceRequest): Reply => {
    const asked = JSON.parse(body) as { list_ids?: string[]; contacts: Record<string, unknown>[] }
    const { list_ids: listIds = [], contacts: given } = asked
    if (given.length === 0 || given.length > CONTACTS_MAX || Buffer.byteLength(body) > 6_000_000) return refusal(400)
    if (listIds.some((id) => !lists.has(id))) return refusal(404)
    const unknown = given.find(({ custom_fields: custom = {} }) =>
      Object.keys(custom as object).some((id) => !customFields.some((field) => field.id === id)),
    )
    if (unknown !== undefined) return refusal(400, 'contacts[0].custom_fields')
    return take('upsert', given.length, () =>
      given.flatMap((contact) => {
        const email = (contact['email'] as string).toLowerCase()
        const isAddress = /^[^@\s]+@[^@\s]+\.[a-z]+$/.test(email)
        const message = state.refuse(email) ?? (isAddress ? undefined : 'email is invalid')
        if (message !== undefined) return [{ email, message }]
        const before = contacts.get(email)
        const merged = before ?? { id: uuid(2, contacts.size), lists: new Set<string>(), written: 0 }
        for (const id of listIds) merged.lists.add(id)
        contacts.set(email, { ...merged, fields: { ...before?.fields, ...contact }, written: merged.written + 1 })
        return []
      }),
    )
  }

  const question = (id: string): Reply => {
    const job = jobs.get(id)
    if (state.status !== undefined) return { status: 200, body: state.status }
    if (job === undefined) return refusal(404)
    job.questions += 1
    if (job.questions <= state.pendingQuestions)
      return job.questions === 1 ? refusal(404) : { status: 200, body: { id, status: 'pending', job_type: job.type } }
    const errors = finish(job)
    const status = errors.length === 0 ? 'completed' : errors.length < job.size ? 'errored' : 'failed'
    const url = state.errorsFile === 'none' ? {} : { errors_url: `${origin}/errors/${id}` }
    const counts = { requested_count: job.size, created_count: job.size - errors.length, errored_count: errors.length }
    const results = { ...counts, ...(errors.length === 0 ? {} : url) }
    return { status: 200, body: { id, status, job_type: job.type, results } }
  }

  const errorsOf = (id: string): Reply => {
    const errors = jobs.get(id)?.errors ?? []
    switch (state.errorsFile) {
      case 'csv':
        return text(`email,error\r\n${errors.map(({ email, message }) => `"${email}","${message}"\r\n`).join('')}`)
      case 'json-lines':
        return text(errors.map((error) => `${JSON.stringify(error)}\n`).join(''))
      case 'unknown-form':
        return text(`${errors.length} contacts could not be imported\n`)
      case 'gone':
      case 'none':
        return { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }
    }
  }

  const searchEmails = ({ body }: ServiceRequest): Reply => {
    for (const job of jobs.values())
      if (job.type === 'delete' && (job.questions += 1) > state.pendingQuestions) finish(job)
    const { emails } = JSON.parse(body) as { emails: string[] }
    if (emails.length > 100) return refusal(400)
    const found = emails.filter((email) => contacts.has(email.toLowerCase()))
    if (found.length === 0) return refusal(404)
    const entry = (email: string): object => {
      const contact = contacts.get(email.toLowerCase())
      return contact === undefined
        ? { error: 'contact not found' }
        : { contact: { id: contact.id, email, list_ids: [...contact.lists] } }
    }
    return { status: 200, body: { result: Object.fromEntries(emails.map((email) => [email, entry(email)])) } }
  }

  const takeOff = (list: string, { query }: ServiceRequest): Reply => {
    if (!lists.has(list)) return refusal(404)
    const ids = (query.get('contact_ids') ?? '').split(',')
    return take('delete', ids.length, () => {
      for (const contact of contacts.values()) if (ids.includes(contact.id)) contact.lists.delete(list)
      return []
    })
  }

  const listsPage = ({ query }: ServiceRequest): Reply => {
    const [size, at] = [Number(query.get('page_size') ?? 100), Number(query.get('page_token') ?? 0)]
    const result = [...lists.values()].slice(at, at + size).map(shown)
    const next = at + size < lists.size ? { next: `https://elsewhere.example.com/?page_token=${at + size}` } : {}
    return { status: 200, body: { result, _metadata: { count: lists.size, ...next } } }
  }
  const shown = ({ id, name }: FakeList): object => ({
    id,
    name,
    contact_count: [...contacts.values()].filter((contact) => contact.lists.has(id)).length,
  })

  const answer = (request: ServiceRequest): Reply => {
    const { method, path, headers } = request
    if (path.startsWith('/errors/')) return errorsOf(path.slice('/errors/'.length))
    if (!keys.has((headers.authorization ?? '').replace('Bearer ', ''))) return refusal(401)
    if (method !== 'GET' && !path.includes('/search/') && !state.mayWrite) return refusal(403)
    const job = /^\/v3\/marketing\/contacts\/imports\/([^/]+)$/.exec(path)?.[1]
    if (job !== undefined) return question(job)
    const [, list = '', edge] = /^\/v3\/marketing\/lists\/([^/]+)(\/contacts)?$/.exec(path) ?? []
    if (edge !== undefined) return takeOff(list, request)
    const found = lists.get(list)
    if (list !== '') return found === undefined ? refusal(404) : { status: 200, body: shown(found) }
    switch (`${method} ${path}`) {
      case 'GET /v3/marketing/lists':
        return listsPage(request)
      case 'POST /v3/marketing/lists':
        return { status: 201, body: shown(addList((JSON.parse(request.body) as { name: string }).name)) }
      case 'GET /v3/marketing/field_definitions':
        return { status: 200, body: { custom_fields: customFields, reserved_fields: [] } }
      case 'POST /v3/marketing/field_definitions': {
        const asked = JSON.parse(request.body) as { name: string; field_type: string }
        if (customFields.some(({ name }) => name.toLowerCase() === asked.name.toLowerCase())) return refusal(400)
        const made = { id: `e${customFields.length + 1}_${asked.field_type[0]}`, ...asked }
        customFields.push(made)
        return { status: 200, body: made }
      }
      case 'PUT /v3/marketing/contacts':
        return upsert(request)
      case 'POST /v3/marketing/contacts/search/emails':
        return searchEmails(request)
      default:
        return refusal(404)
    }
  }

  const service = await startFakeService({ answer, contract, forgetful })
  origin = service.origin
  return Object.assign(state, service, { contract, contacts, lists, customFields, keys, addList })
}

function text(body: string): Reply {
  return { status: 200, body, headers: { 'content-type': 'text/csv' } }
}

function refusal(status: number, field?: string): Reply {
  return {
    status,
    body: { errors: [{ message: 'About anna@example.org', ...(field === undefined ? {} : { field }) }] },
  }
}
