/** What a service is asked while somebody makes an export. Rules are those of PRODUCT.md, "Exports". */
import type { ApiProblem } from '@patchbay/contract'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { HOST, makeMailing } from '../connector-host/testing/mailing.ts'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const { mailing, asked, ended } = makeMailing()
let patchbay: TestPatchbay
beforeAll(async () => {
  patchbay = await openTestPatchbay({ connectors: [mailing] })
  await makeWorld(patchbay)
  await patchbay.client.connections.add({
    body: { name: 'Mailing', connectorId: 'test-mailing', settings: { host: HOST } },
  })
})
afterAll(() => patchbay.remove())
beforeEach(() => {
  asked.length = 0
})

const lookup = (search: string, field = 'list') =>
  patchbay.client.exports.lookup({ body: { connection: 'Mailing', field, search } })
const problemOf = (call: Promise<unknown>): Promise<ApiProblem> =>
  call.then(
    () => Promise.reject(new Error('There was no problem')),
    (error: unknown) => error as ApiProblem,
  )

test('rule 3: the lists of the service, kept for the moment in which somebody types', async () => {
  expect(await lookup('au')).toEqual({ items: [{ value: 'a', label: 'Autumn au' }], isMore: false })
  await lookup(' AU ')
  expect(asked).toEqual(['au'])
  const many = await lookup('many')
  expect([many.items.length, many.isMore]).toEqual([200, true])
  await patchbay.client.connections.edit({
    params: { connection: 'Mailing' },
    body: { policy: { fields: 'all', hashed: [] } },
  })
  await lookup('au')
  expect(asked).toEqual(['au', 'many', 'au'])
})

test('who stops waiting stops the question', async () => {
  const leave = new AbortController()
  const body = JSON.stringify({ connection: 'Mailing', field: 'list', search: 'forever' })
  const request = new Request('http://patchbay/api/v1/exports/lookup', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal: leave.signal,
  })
  const response = patchbay.app.fetch(request, { door: 'operator' })
  await expect.poll(() => asked).toEqual(['forever'])
  leave.abort()
  expect((await response).status).toBe(409)
  await expect.poll(() => ended).toEqual(['forever'])
})

test('what goes wrong names its cure, and is asked again the next time', async () => {
  expect(await problemOf(lookup('refused'))).toMatchObject({
    status: 503,
    code: 'unavailable',
    message: expect.stringContaining('refuses the password') as string,
    cure: expect.stringContaining('connection check') as string,
  })
  expect(await problemOf(lookup('slow down'))).toMatchObject({ status: 503, cure: 'Ask again in 7 s' })
  expect(await problemOf(lookup('bug'))).toMatchObject({
    status: 503,
    cure: expect.stringContaining('Report') as string,
  })
  await problemOf(lookup('down'))
  await problemOf(lookup('down'))
  expect(asked.filter((search) => search === 'down')).toHaveLength(2)
  expect(await problemOf(lookup('x', 'note'))).toMatchObject({ status: 400, path: 'field' })
  expect(await problemOf(lookup('x', 'constructor'))).toMatchObject({ status: 400, path: 'field' })
})

test('rule 3: data matching comes with the fields of the service', async () => {
  const body = { connection: 'Mailing', destination: { list: 'a' } }
  const { anyName, items, unmatched } = await patchbay.client.exports.targetFields({ body })
  expect(anyName).toBe(false)
  expect(items.map(({ name, match }) => [name, match?.from, match?.confidence])).toEqual([
    ['EMAIL', 'email', 'certain'],
    ['LAND', 'country', 'certain'],
    ['BIRTHDAY', undefined, undefined],
  ])
  expect(items[0]).toMatchObject({ normal: 'email', hash: 'sha256', match: { transforms: [] } })
  expect(unmatched).toEqual(['id', 'consent', 'spend'])
  const missing = patchbay.client.exports.targetFields({ body: { connection: 'Mailing' } })
  expect(await problemOf(missing)).toMatchObject({ status: 400, path: 'destination.list' })
})

test("rule 3: a warning above and below the service's limits", async () => {
  const count = (segments: string[]) =>
    patchbay.client.exports.count({ body: { segments, connector: 'test-mailing', destinationType: 'list' } })
  expect(await count([])).toMatchObject({
    members: 5,
    rowsMax: 4,
    warning: expect.stringContaining('at most 4') as string,
  })
  expect(await count(['Brazil'])).toMatchObject({
    members: 2,
    rowsMin: 3,
    warning: expect.stringContaining('at least 3') as string,
  })
})

test('whom the connection is not shared with asks nothing, and learns nothing of it', async () => {
  const contributor = patchbay.clientOf(await patchbay.keyOf('Contributor'))
  for (const search of ['au', 'down']) {
    const problem = await problemOf(
      contributor.exports.lookup({ body: { connection: 'Mailing', field: 'list', search } }),
    )
    expect([403, 404]).toContain(problem.status)
    expect(`${problem.message} ${problem.cure}`).not.toContain(HOST)
  }
  expect(asked).toEqual([])
})
