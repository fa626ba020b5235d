/**
 * Mailchimp's Marketing API on loopback for tests, proof and bench, written by hand: one audience with its members, merge
 * fields and tags, and the answers and refusals that Mailchimp gives. It knows nothing of the connector's code.
 */
import { createHash } from 'node:crypto'
import { readContract, type Contract } from '../../test-servers/contract/contract.ts'
import { startFakeService, type FakeService, type Reply, type ServiceRequest } from '../../test-servers/fake-service.ts'

export interface FakeMember {
  readonly email: string
  status: string
  readonly mergeFields: Readonly<Record<string, unknown>>
  readonly tags: Set<number>
  /** How often it was written. */
  readonly written: number
}

export interface FakeMailchimp extends FakeService {
  readonly contract: Contract | undefined
  readonly audience: string
  /** By the address in lower case. Archived ones stay, as Mailchimp keeps them. */
  readonly members: Map<string, FakeMember>
  /** Names by the id of the static segment that a tag is. */
  readonly tags: Map<number, string>
  readonly mergeFields: { tag: string; name: string; type: string; required: boolean }[]
  /** Tokens and keys that are taken. */
  readonly tokens: Set<string>
  /** The message for an address that Mailchimp does not take. */
  refuse: (email: string) => string | undefined
  role: string
}

interface AskedMember {
  readonly email_address?: string
  readonly status?: string
  readonly merge_fields?: Readonly<Record<string, unknown>>
}

export interface FakeMailchimpOptions {
  readonly forgetful?: boolean
}

/** Not in the contract: who consented, as Mailchimp's guide to OAuth 2 describes it. It stands beside the API, at another host. */
const METADATA = { servers: [{ url: 'https://server.api.mailchimp.com/3.0' }, { url: 'https://login.mailchimp.com' }], paths: { '/oauth2/metadata': { get: {} } } } // prettier-ignore

export const MAILCHIMP_CONTRACT = readContract('mailchimp', { files: ['marketing.json'], supplement: METADATA })

export const FAKE_KEY = '0123456789abcdef0123456789abcdef-us6'

export async function startFakeMailchimp({ forgetful }: FakeMailchimpOptions = {}): Promise<FakeMailchimp> {
  const contract = forgetful === true ? undefined : MAILCHIMP_CONTRACT?.fresh()
  const members = new Map<string, FakeMember>()
  const tags = new Map<number, string>()
  const mergeFields = [
    { tag: 'FNAME', name: 'First Name', type: 'text', required: false },
    { tag: 'LNAME', name: 'Last Name', type: 'text', required: false },
    { tag: 'ADDRESS', name: 'Address', type: 'address', required: false },
    { tag: 'BIRTHDAY', name: 'Birthday', type: 'birthday', required: false },
    { tag: 'POINTS', name: 'Points', type: 'number', required: false },
    { tag: 'SINCE', name: 'Customer since', type: 'date', required: false },
  ]
  const tokens = new Set([FAKE_KEY, 'token-of-a-person'])
  const state = { refuse: (_email: string): string | undefined => undefined, role: 'admin' }

  const write = (asked: AskedMember): { readonly error?: string; readonly isNew: boolean } => {
    const email = asked.email_address ?? ''
    const before = members.get(email.toLowerCase())
    const isNew = before === undefined || before.status === 'archived'
    const error = state.refuse(email) ?? (/^[^@\s]+@[^@\s]+\.[a-z]+$/i.test(email) ? undefined : 'Please provide a valid email address.')
    if (error !== undefined) return { error, isNew }
    if (before?.status === 'unsubscribed' && asked.status === 'subscribed')
      return { error: `${email} is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed.`, isNew }
    const member: FakeMember = {
      email,
      status: String(asked.status),
      // Those that Mailchimp does not know it leaves out without a word.
      mergeFields: {
        ...before?.mergeFields,
        ...Object.fromEntries(
          Object.entries(asked.merge_fields ?? {}).filter(([tag]) => mergeFields.some((field) => field.tag === tag)),
        ),
      },
      tags: before?.tags ?? new Set(),
      written: (before?.written ?? 0) + 1,
    }
    members.set(email.toLowerCase(), member)
    return { isNew }
  } // prettier-ignore

  const subscribe = (request: ServiceRequest): Reply => {
    const { members: asked = [], update_existing: update } = JSON.parse(request.body) as {
      members?: AskedMember[]
      update_existing?: boolean
    }
    if (asked.length === 0 || asked.length > 500) return problem(400, 'Invalid Resource')
    const [made, updated, errors]: [unknown[], unknown[], unknown[]] = [[], [], []]
    const seen = new Set<string>()
    for (const one of asked) {
      const email = one.email_address ?? ''
      const fail = (error: string, code = 'ERROR_GENERIC'): void =>
        void errors.push({ email_address: email, error, error_code: code, field: '', field_message: '' })
      if (seen.has(email.toLowerCase())) {
        fail('Duplicate items found in the request')
        continue
      }
      seen.add(email.toLowerCase())
      const before = members.get(email.toLowerCase())
      if (before !== undefined && before.status !== 'archived' && update !== true) {
        fail(`${email} is already a list member`, 'ERROR_CONTACT_EXISTS')
        continue
      }
      const { error, isNew } = write(one)
      if (error === undefined) (isNew ? made : updated).push(shown(email, String(one.status), forgetful === true))
      else fail(error)
    }
    return ok({
      new_members: made,
      updated_members: updated,
      errors,
      total_created: made.length,
      total_updated: updated.length,
      error_count: errors.length,
    })
  }

  const listMembers = ({ query }: ServiceRequest): Reply => {
    const found = [...members.values()].filter(({ status }) => status === query.get('status'))
    const offset = Number(query.get('offset') ?? 0)
    const page = found.slice(offset, offset + Number(query.get('count') ?? 10))
    return ok({ members: page.map(({ email }) => ({ id: idOf(email) })) })
  }

  const segment = (id: number, request: ServiceRequest): Reply => {
    if (!tags.has(id)) return problem(404, 'Resource Not Found')
    const asked = JSON.parse(request.body) as Record<string, string[] | undefined>
    const errors: unknown[] = []
    const change = (what: 'add' | 'delete', emails: readonly string[]): number =>
      emails.filter((email) => {
        const member = members.get(email.toLowerCase())
        if (member === undefined || member.status === 'archived')
          errors.push({ email_addresses: [email], error: 'The email address is not on the list' })
        else member.tags[what](id)
        return member !== undefined
      }).length
    const added = change('add', asked['members_to_add'] ?? [])
    const removed = change('delete', asked['members_to_remove'] ?? [])
    return ok({ members_added: [], members_removed: [], errors, total_added: added, total_removed: removed, error_count: errors.length })
  } // prettier-ignore

  const archive = (id: string): Reply => {
    const member = [...members.values()].find(({ email }) => idOf(email) === id)
    if (member === undefined || member.status === 'archived') return problem(404, 'Resource Not Found')
    if (member.status === 'cleaned') return problem(405, 'Method Not Allowed')
    member.status = 'archived'
    return { status: 204 }
  }

  const answer = (request: ServiceRequest): Reply => {
    const token = (request.headers.authorization ?? '').replace('Bearer ', '')
    if (!tokens.has(token)) return problem(401, 'API Key Invalid')
    if (request.path === '/oauth2/metadata')
      return ok({ dc: 'us6', role: state.role, accountname: 'Sample Ltd', user_id: 4711, api_endpoint: 'https://us6.api.mailchimp.com' })
    const [, version, resource, audience, part, id, more] = request.path.split('/')
    if (version !== '3.0') return problem(404, 'Resource Not Found')
    if (resource === '') return ok({ account_name: 'Sample Ltd', role: state.role })
    if (resource !== 'lists') return problem(404, 'Resource Not Found')
    if (audience === undefined) return ok({ lists: [{ id: AUDIENCE, name: 'Newsletter', stats: { member_count: members.size } }] })
    if (audience !== AUDIENCE || more !== undefined) return problem(404, 'Resource Not Found')
    switch (`${request.method} ${part ?? ''}${id === undefined ? '' : '/…'}`) {
      case 'POST ':
        return subscribe(request)
      case 'GET members':
        return listMembers(request)
      case 'DELETE members/…':
        return archive(id ?? '')
      case 'GET merge-fields':
        return ok({ merge_fields: mergeFields })
      case 'GET segments':
        return ok({ segments: [...tags].map(([tag, name]) => ({ id: tag, name })) })
      case 'POST segments': {
        const made = 1000 + tags.size
        tags.set(made, String((JSON.parse(request.body) as { name: string }).name))
        return ok({ id: made })
      }
      case 'POST segments/…':
        return segment(Number(id), request)
      default:
        return problem(405, 'Method Not Allowed')
    }
  } // prettier-ignore

  const service = await startFakeService({ answer, contract, ...(forgetful === true ? { forgetful } : {}) })
  return Object.assign(state, service, { contract, audience: AUDIENCE, members, tags, mergeFields, tokens })
}

const AUDIENCE = 'a1b2c3d4e5'

function idOf(email: string): string {
  return createHash('md5').update(email.toLowerCase()).digest('hex')
}

/** A member in an answer is large: Mailchimp says all that it knows, with links to everything. */
function shown(email: string, status: string, isShort: boolean): object {
  const short = { id: idOf(email), email_address: email, status }
  return isShort ? short : { ...short, stats: { avg_open_rate: 0 }, _links: [{ rel: 'self', href: 'x'.repeat(3500) }] }
}

function ok(body: object): Reply {
  return { status: 200, body }
}

function problem(status: number, title: string): Reply {
  const body = { type: 'https://mailchimp.com/developer/marketing/docs/errors/', title, status, detail: 'About anna@example.org', instance: 'x' }
  return { status, body, headers: { 'content-type': 'application/problem+json; charset=utf-8' } }
} // prettier-ignore
