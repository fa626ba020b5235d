import type { Batch, Change, CheckStep, Connector, Mode, RowAnswer, RowDelivery, RowKey } from '@patchbay/connector-sdk'
import { answerOf, answersOf, assertConnector, makeTestContext } from '@patchbay/connector-sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FAKE_KEY, MAILCHIMP_CONTRACT, startFakeMailchimp, type FakeMailchimp } from './fake-mailchimp.ts'
import { mailchimp, mailchimpAt } from './index.ts'

let service: FakeMailchimp
let connector: Connector
beforeEach(async () => {
  service = await startFakeMailchimp()
  connector = mailchimpAt({ login: service.origin, api: () => service.origin })
})
afterEach(async () => {
  await service.stop()
  service.contract?.throwFaults()
})

const withKey = { settings: { signIn: 'key' }, secrets: { apiKey: FAKE_KEY } }
const contextFor = (apiKey = FAKE_KEY) => makeTestContext(connector, { ...withKey, secrets: { apiKey } })

function destinationOf() {
  const destination = connector.destinations['audience']
  if (destination?.delivers !== 'rows') throw new Error('It delivers rows')
  return destination
}
const DEFAULTS = { newStatus: 'subscribed', leaving: 'archive' }
const open = async (
  values: Record<string, string> = {},
  mode: Mode = 'mirror',
  context = contextFor().context,
): Promise<RowDelivery> => destinationOf().open(context, { ...DEFAULTS, audience: service.audience, ...values }, mode)

function batchOf(rows: readonly Partial<Change>[], id = 'b_1'): Batch {
  const changes = rows.map((row, at): Change => ({ change: 'added', key: `k${at}` as RowKey, fields: {}, ...row }))
  const json = changes.map((change) => JSON.stringify(change))
  return { id, size: changes.length, keys: changes.map(({ key }) => key), json, changes }
}
const person = (name: string, more: Change['fields'] = {}): Partial<Change> => ({
  fields: { EMAIL: `${name}@example.org`, ...more },
})
const leaver = (name: string): Partial<Change> => ({ change: 'removed', fields: { EMAIL: `${name}@example.org` } })
const deliver = async (delivery: RowDelivery, rows: readonly Partial<Change>[]): Promise<readonly RowAnswer[]> =>
  answersOf(await delivery.deliver(batchOf(rows)))
const memberOf = (name: string) => service.members.get(`${name}@example.org`)
const add = (name: string, status: string): void =>
  void service.members.set(`${name}@example.org`, {
    email: `${name}@example.org`,
    status,
    mergeFields: {},
    tags: new Set(),
    written: 0,
  })

describe('mailchimp', () => {
  it.each([
    ['an API key', { ...withKey }],
    [
      'an account',
      {
        settings: { signIn: 'account' },
        accessToken: 'token-of-a-person',
        account: { id: '4711', name: 'Sample Ltd', details: { dataCenter: 'us6' } },
      },
    ],
  ])('passes the conformance kit with %s', async (_name, signIn) => {
    const results = await assertConnector(connector, {
      makeFake: () =>
        Promise.resolve({
          ...signIn,
          destinations: {
            audience: {
              values: { audience: service.audience, tag: 'Kit' },
              row: (index) => ({ EMAIL: `p${index}@example.org`, FNAME: 'Ä' }),
            },
          },
          stop: () => undefined,
        }),
    })
    expect(results.filter(({ on, outcome }) => on === 'audience' && outcome === 'skipped').map(({ name }) => name)).toEqual([
      'a job is collected by any delivery, as often as it is asked',
      'what is readable can be read back',
    ])
  }) // prettier-ignore

  it('upserts members in one request, with the merge fields in the forms of their types', async () => {
    const delivery = await open()
    const rows = [
      person('Anna', { FNAME: 'Anna', POINTS: 12, SINCE: '2024-02-03T04:05:06Z', BIRTHDAY: '1990-12-24', LNAME: null }),
      person('ben', { 'ADDRESS.city': 'Ulm', 'ADDRESS.zip': '89073', FNAME: true }),
    ]
    expect(await deliver(delivery, rows)).toEqual([
      { key: 'k0', status: 'accepted' },
      { key: 'k1', status: 'accepted' },
    ])
    expect(memberOf('anna')).toMatchObject({
      status: 'subscribed',
      mergeFields: { FNAME: 'Anna', LNAME: '', POINTS: 12, SINCE: '2024-02-03', BIRTHDAY: '12/24' },
    })
    expect(memberOf('ben')?.mergeFields).toEqual({ ADDRESS: { city: 'Ulm', zip: '89073' }, FNAME: 'true' })
    expect(service.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
  })

  it('takes 500 members with the long answer that Mailchimp gives of them', async () => {
    const rows = Array.from({ length: 500 }, (_, index) => person(`p${index}`))
    const answers = await deliver(await open(), rows)
    expect(answers.filter(({ status }) => status === 'accepted')).toHaveLength(500)
  })

  it('says of each member why it was not taken, in Mailchimp’s own words', async () => {
    service.refuse = (email) => {
      if (email.startsWith('fake')) return `${email} looks fake or invalid, please enter a real email address.`
      return email.startsWith('gone') ? `${email} was permanently deleted and cannot be re-imported.` : undefined
    }
    const rows = [person('anna'), person('fake'), person('gone'), { fields: { EMAIL: 'no-address' } }, { fields: {} }]
    expect(await deliver(await open(), rows)).toEqual(
      expect.arrayContaining([
        { key: 'k0', status: 'accepted' },
        { key: 'k1', status: 'rejected', reason: 'invalid-field', message: expect.stringContaining('looks fake') as string },
        { key: 'k2', status: 'rejected', reason: 'not-allowed', message: expect.stringContaining('permanently') as string },
        { key: 'k3', status: 'rejected', reason: 'invalid-field', message: 'Please provide a valid email address.' },
        { key: 'k4', status: 'rejected', reason: 'missing-identifier', message: 'EMAIL is empty' },
      ]),
    )
  }) // prettier-ignore

  it('sends an address once, and says so of the other row', async () => {
    const rows = [person('anna'), person('ANNA')]
    expect(await deliver(await open(), rows)).toEqual(
      expect.arrayContaining([
        { key: 'k0', status: 'accepted' },
        { key: 'k1', status: 'rejected', reason: 'duplicate', message: 'Another row has this EMAIL' },
      ]),
    )
    expect(memberOf('anna')?.written).toBe(1)
  })

  it('changes contacts and leaves them their status', async () => {
    for (const status of ['unsubscribed', 'cleaned', 'pending', 'transactional', 'subscribed']) add(status, status)
    const rows = [...service.members.keys()].map((email) => ({ fields: { EMAIL: email, FNAME: 'New' } }))
    expect((await deliver(await open(), rows)).every(({ status }) => status === 'accepted')).toBe(true)
    for (const [email, member] of service.members)
      expect(member).toMatchObject({ status: email.split('@')[0], mergeFields: { FNAME: 'New' } })
    await deliver(await open({ newStatus: 'pending' }), [person('subscribed'), person('carla')])
    expect(memberOf('subscribed')?.status).toBe('subscribed')
    expect(memberOf('carla')?.status).toBe('pending')
  })

  it('does not subscribe again who unsubscribed while the run went on', async () => {
    add('anna', 'subscribed')
    const delivery = await open()
    add('anna', 'unsubscribed')
    expect(await deliver(delivery, [person('anna')])).toMatchObject([{ status: 'rejected', reason: 'not-allowed' }])
    expect(memberOf('anna')?.status).toBe('unsubscribed')
  })

  it('reads every page of those who keep their status, without their addresses', async () => {
    for (let index = 0; index < 2500; index += 1) add(`u${index}`, 'unsubscribed')
    const delivery = await open()
    expect(await deliver(delivery, [person('u2499')])).toMatchObject([{ status: 'accepted' }])
    expect(memberOf('u2499')?.status).toBe('unsubscribed')
    const pages = service.requests.filter(({ query }) => query.get('status') === 'unsubscribed')
    expect(pages.map(({ query }) => query.get('offset'))).toEqual(['0', '1000', '2000'])
    expect(pages.every(({ query }) => query.get('fields') === 'members.id')).toBe(true)
  })

  it('gives a tag, made once, and takes it away from those who leave', async () => {
    const values = { tag: ' VIP ', leaving: 'untag' }
    await deliver(await open(values), [person('anna'), person('ben')])
    await deliver(await open(values), [leaver('anna'), leaver('nobody')])
    expect([...service.tags.values()]).toEqual(['VIP'])
    const [tag] = service.tags.keys()
    expect(memberOf('anna')?.tags).toEqual(new Set())
    expect(memberOf('ben')?.tags).toEqual(new Set([tag]))
    expect(memberOf('anna')?.status).toBe('subscribed')
    await expect(open({ leaving: 'untag' })).rejects.toMatchObject({ code: 'destination-invalid', field: 'tag' })
  })

  it('tells of a contact that was sent and not tagged', async () => {
    const delivery = await open({ tag: 'VIP' })
    service.trouble(({ path }) => {
      const errors = [{ email_addresses: ['ben@example.org'], error: 'No more tags' }]
      const body = { errors, error_count: 1, members_added: [], members_removed: [], total_added: 1, total_removed: 0 }
      return /segments\/\d/.test(path) ? { does: 'say', reply: { status: 200, body } } : undefined
    })
    expect(await deliver(delivery, [person('anna'), person('ben')])).toEqual([
      { key: 'k0', status: 'accepted' },
      { key: 'k1', status: 'rejected', reason: 'other', message: 'The contact was sent, but not tagged: No more tags' },
    ])
  })

  it('archives those who leave, and those only', async () => {
    for (const name of ['anna', 'ben', 'others']) add(name, 'subscribed')
    add('bounced', 'cleaned')
    expect(await deliver(await open(), [leaver('anna'), leaver('nobody'), leaver('bounced'), person('carla')])).toEqual([
      { key: 'k0', status: 'accepted' },
      { key: 'k1', status: 'accepted' },
      { key: 'k2', status: 'rejected', reason: 'not-allowed', message: 'Mailchimp did not archive this contact (405)' },
      { key: 'k3', status: 'accepted' },
    ])
    expect(Object.fromEntries([...service.members.values()].map(({ email, status }) => [email.split('@')[0], status]))).toEqual({
      anna: 'archived',
      ben: 'subscribed',
      others: 'subscribed',
      bounced: 'cleaned',
      carla: 'subscribed',
    })
  }) // prettier-ignore

  it('adds again who left under another key in the same batch', async () => {
    add('anna', 'subscribed')
    await deliver(await open(), [person('anna'), { ...leaver('anna'), key: 'old' as RowKey }])
    expect(memberOf('anna')?.status).toBe('subscribed')
  })

  it('is harmless when a batch arrives twice, after a fault or a broken connection too', async () => {
    const delivery = await open({ tag: 'VIP' })
    const failures = [
      { does: 'take-and-say', reply: { status: 500 } } as const,
      { does: 'reset', at: 'taken' } as const,
    ]
    for (const trouble of failures) {
      service.trouble(({ method }) => (method === 'POST' ? trouble : undefined))
      await expect(deliver(delivery, [person('anna')])).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
      service.trouble(() => undefined)
      expect(await deliver(delivery, [person('anna')])).toMatchObject([{ status: 'accepted' }])
    }
    expect([...service.members.keys()]).toEqual(['anna@example.org'])
    expect(destinationOf().repeat({})).toEqual({ kind: 'harmless' })
  })
})

describe('what Mailchimp answers', () => {
  const body = (value: object): string => JSON.stringify({ new_members: [], updated_members: [], errors: [], ...value })
  it.each([
    ['a pause', 429, '', { code: 'rate-limited' }],
    ['too many at once, as a 403 without JSON', 403, '<html>', { code: 'rate-limited' }],
    ['a user that is disabled', 403, '{"title":"User Disabled","detail":"anna@example.org"}', { code: 'connection-refused' }],
    ['a key that was taken back in mid-run', 401, '{}', { code: 'connection-refused' }],
    ['an audience that is gone', 404, '{"title":"Resource Not Found"}', { code: 'destination-invalid', field: 'audience' }],
    ['a batch that is refused', 400, '{"title":"Invalid Resource","detail":"anna@example.org"}', { code: 'batch-rejected' }],
    ['a fault', 503, '', { code: 'unavailable', sent: 'maybe' }],
    ['another status', 202, '{}', { code: 'unavailable', sent: 'maybe' }],
    ['another shape', 200, '{"new_members":[]}', { code: 'unavailable', sent: 'maybe' }],
    ['a list', 200, '[]', { code: 'unavailable', sent: 'maybe' }],
  ])('%s is told as what it is, without words about anybody', async (_name, status, text, wanted) => {
    const delivery = await open()
    service.trouble(() => ({ does: 'say', reply: { status, body: text } }))
    const error: unknown = await deliver(delivery, [person('anna')]).catch((caught: unknown) => caught)
    expect(error).toMatchObject(wanted)
    expect(String(error)).not.toContain('anna')
  }) // prettier-ignore

  it('leaves members unanswered of whom nothing, or only of others, is said', async () => {
    const delivery = await open()
    service.trouble(() => ({
      does: 'say',
      reply: { status: 200, body: body({ new_members: [{ email_address: 'BEN@example.org' }, { email_address: 'x@y.z' }] }) },
    }))
    expect(await deliver(delivery, [person('anna'), person('ben')])).toEqual([{ key: 'k1', status: 'accepted' }])
  }) // prettier-ignore

  it('does not take a tag for given that Mailchimp only counts as failed', async () => {
    const delivery = await open({ tag: 'VIP' })
    service.trouble(({ path }) =>
      /segments\/\d/.test(path) ? { does: 'say', reply: { status: 200, body: { errors: [], error_count: 1 } } } : undefined,
    )
    await expect(deliver(delivery, [person('anna')])).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
  }) // prettier-ignore

  it('waits for a slow answer as long as Mailchimp itself does, and no longer than the signal', async () => {
    const controller = new AbortController()
    const context = makeTestContext(connector, { ...withKey, signal: controller.signal }).context
    const asked: (number | undefined)[] = []
    const delivery = await open({}, 'mirror', {
      ...context,
      fetch: (url, init) => (asked.push(init?.patienceSeconds), context.fetch(url, init)),
    })
    service.trouble(() => ({ does: 'wait', milliseconds: 10_000 }))
    const work = deliver(delivery, [person('anna')])
    setTimeout(() => controller.abort(new Error('canceled')), 50)
    await expect(work).rejects.toThrow('canceled')
    expect(new Set(asked)).toEqual(new Set([120]))
  })

  it('refuses fields that the audience does not have, which Mailchimp would leave out without a word', async () => {
    const delivery = await open()
    for (const name of ['CITY', 'ADDRESS', 'FNAME.city', 'toString'])
      await expect(deliver(delivery, [person('anna', { [name]: 'x' })])).rejects.toMatchObject({
        code: 'destination-invalid',
        message: `The audience has no merge field ${name}: map to another, or add it there`,
      })
    expect(service.members.size).toBe(0)
  })

  it('is never asked for an audience that is none', async () => {
    for (const audience of ['', '../x', 'a/b', 'a?b']) await expect(open({ audience })).rejects.toMatchObject({ field: 'audience' })
    expect(service.requests).toEqual([])
  }) // prettier-ignore
})

describe('the set-up', () => {
  const check = async (context = contextFor().context): Promise<readonly CheckStep[]> => {
    const steps: CheckStep[] = []
    for await (const step of connector.check(context)) steps.push(step)
    return steps
  }

  it('verifies step by step that contacts may be changed', async () => {
    expect(await check()).toEqual([
      { step: 'resolved', ok: true },
      { step: 'reached', ok: true },
      { step: 'signed-in', ok: true, detail: 'As admin' },
      { step: 'may-write', ok: true },
    ])
    service.role = 'viewer'
    expect((await check()).at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'signIn' })
  })

  it('refuses a wrong key before and after it is sent', async () => {
    await expect(check(contextFor('0123-us6').context)).rejects.toMatchObject({ code: 'connection-refused' })
    for (const key of ['0123456789abcdef', 'key-evil.example.com/', 'key-us6.evil', 'key-us6\n.x'])
      await expect(check(contextFor(key).context)).rejects.toMatchObject({ code: 'settings-invalid', field: 'apiKey' })
    expect(service.requests).toHaveLength(1)
  })

  it('goes to the data center of the key or of the account, and nowhere else', () => {
    const { auth } = mailchimp
    if (auth.type !== 'choice') throw new Error('It has two ways to sign in')
    const { key, account } = auth.of
    if (key?.type !== 'header' || account?.type !== 'oauth2') throw new Error('A key or an account')
    expect(key.origin?.({ signIn: 'key', apiKey: { reveal: () => FAKE_KEY } })).toBe('https://us6.api.mailchimp.com')
    const origins = (dataCenter: string) => account.origins({}, { id: '1', name: 'x', details: { dataCenter } })
    expect(origins('us19')).toEqual(['https://login.mailchimp.com', 'https://us19.api.mailchimp.com'])
    expect(account.origins({}, undefined)).toEqual(['https://login.mailchimp.com'])
    expect(() => origins('evil.example.com/')).toThrow(/signed in/)
  })

  it('reads who consented, and where their data is', async () => {
    const { auth } = connector
    const account = auth.type === 'choice' ? auth.of['account'] : undefined
    if (account?.type !== 'oauth2') throw new Error('An account')
    const { context } = makeTestContext(connector, { settings: { signIn: 'account' }, accessToken: 'token-of-a-person' })
    expect(await account.account(context, {})).toEqual({ id: '4711', name: 'Sample Ltd', details: { dataCenter: 'us6' } })
    const saying = (text: string) => ({ ...context, fetch: () => Promise.resolve(answerOf(200, text)) })
    for (const text of ['{}', '{"dc":"evil.example.com/","user_id":1}', '[]'])
      await expect(account.account(saying(text), {})).rejects.toMatchObject({ code: 'unavailable' })
  }) // prettier-ignore

  it('offers audiences by name, and fields with their labels and guesses', async () => {
    const { context } = contextFor()
    const { lookups, targetFields } = destinationOf()
    expect(await lookups?.['audience']?.(context, 'NEWS', {})).toEqual([
      { value: service.audience, label: 'Newsletter', help: `${service.audience}, 0 subscribed` },
    ])
    expect(await lookups?.['audience']?.(context, 'other', {})).toEqual([])
    service.mergeFields.push({ tag: 'MMERGE9', name: 'Shoe size!', type: 'dropdown', required: true })
    const fields = (await targetFields(context, { audience: service.audience })) ?? []
    expect(fields.map(({ name }) => name)).toEqual([
      ...['EMAIL', 'FNAME', 'LNAME', 'ADDRESS.addr1', 'ADDRESS.addr2', 'ADDRESS.city', 'ADDRESS.state', 'ADDRESS.zip'],
      ...['ADDRESS.country', 'BIRTHDAY', 'POINTS', 'SINCE', 'MMERGE9'],
    ])
    expect(fields.at(-1)).toEqual({ name: 'MMERGE9', label: 'Shoe size!', type: 'text', guesses: ['shoesize'], required: true })
  }) // prettier-ignore

  it.skipIf(MAILCHIMP_CONTRACT === undefined)(
    'is held against Mailchimp’s contract [needs ../shared/contracts]',
    async () => {
      await deliver(await open({ tag: 'VIP' }), [person('anna'), leaver('ben')])
      expect(service.contract?.checked).toBeGreaterThan(5)
      expect(service.contract?.size).toBeGreaterThan(20)
    },
  )
})
