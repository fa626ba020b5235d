import { expect, test } from 'vitest'
import { z } from 'zod'
import { ApiProblem, makeClient, NotPatchbay } from './client.ts'
import { contract, listEndpoints } from './contract.ts'
import { namesOf } from './endpoint.ts'
import { makeOpenApi } from './open-api.ts'
import { STATUS_OF } from './problem.ts'
import { PERMISSIONS, PERMISSIONS_OF } from './roles.ts'

const ENDPOINTS = listEndpoints()

test('every endpoint names a permission, and every permission is used', () => {
  const named = new Set(ENDPOINTS.map(({ endpoint }) => endpoint.permission))
  expect([...named].filter((permission) => !PERMISSIONS.includes(permission))).toEqual([])
  // The monitor's door stands outside the contract.
  expect(PERMISSIONS.filter((permission) => !named.has(permission))).toEqual(['metrics.read'])
})

test('a Viewer may read only, and nobody but an Administrator holds connections, keys and the log', () => {
  const others = [...PERMISSIONS_OF.Viewer].filter((permission) => !permission.endsWith('.read'))
  expect(others).toEqual(['anyone', 'self'])
  for (const role of ['Contributor', 'Viewer'] as const)
    for (const permission of [
      'connection.read',
      'connection.write',
      'user.read',
      'user.write',
      'key.write',
      'audit.read',
      'table.write',
      'system.backup',
    ] as const)
      expect(PERMISSIONS_OF[role].has(permission)).toBe(false)
})

test.each(ENDPOINTS)('$id: parameters, bodies and answers are closed', ({ path, endpoint }) => {
  expect(Object.keys(endpoint.params?.shape ?? {})).toEqual(namesOf(endpoint.path))
  expect(path).toMatch(/^\/api\/v1\/[a-z]+/)
  for (const schema of [endpoint.params, endpoint.query, endpoint.body]) {
    if (!(schema instanceof z.ZodObject)) continue
    expect(schema.safeParse({ ...Object.fromEntries([['no-such-field', 1]]) }).error?.issues.at(-1)).toMatchObject({
      code: 'unrecognized_keys',
    })
  }
  if (endpoint.method === 'GET') expect(endpoint.body).toBeUndefined()
})

test('two endpoints are never one', () => {
  const places = ENDPOINTS.map(({ path, endpoint }) => `${endpoint.method} ${path.replaceAll(/\{[a-z]+\}/g, '{}')}`)
  expect(new Set(places).size).toBe(places.length)
})

test('the description is OpenAPI 3.1 in which every reference leads somewhere', () => {
  const description = makeOpenApi('1.2.3')
  expect(description['openapi']).toBe('3.1.0')
  const { schemas } = description['components'] as { schemas: Record<string, unknown> }
  const references = [...JSON.stringify(description).matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference)
  expect(references.length).toBeGreaterThan(50)
  for (const reference of new Set(references)) {
    const name = /^#\/components\/schemas\/(\w+)$/.exec(reference ?? '')?.[1] ?? ''
    expect([reference, Object.hasOwn(schemas, name)]).toEqual([reference, true])
  }
  expect(Object.keys(description['paths'] as object)).toHaveLength(new Set(ENDPOINTS.map(({ path }) => path)).size)
  expect(JSON.stringify(schemas['Rule'])).toContain('memberOf')
})

test('the client fills paths, queries, headers and bodies', async () => {
  const sent: Request[] = []
  const client = makeClient((request) => {
    sent.push(request)
    return Promise.resolve(new Response(JSON.stringify({ items: [], next: null })))
  })
  await client.runs.list({ query: { export: 'A/B & C', limit: 5 } })
  await client.segments.remove({ params: { segment: 'a/../b' } })
  await client.segments.edit({ params: { segment: 'x' }, revision: 3, body: { name: 'y' } }).catch(() => undefined)
  expect(sent.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'GET http://patchbay/api/v1/runs?export=A%2FB+%26+C&limit=5',
    'DELETE http://patchbay/api/v1/segments/a%2F..%2Fb',
    'PATCH http://patchbay/api/v1/segments/x',
  ])
  expect(sent[2]?.headers.get('if-match')).toBe('"3"')
  expect(await sent[2]?.json()).toEqual({ name: 'y' })
})

test('the client tells a problem from an answer of somebody else', async () => {
  const problem = {
    type: 't',
    title: 't',
    status: 409,
    code: 'conflict',
    path: 'name',
    detail: 'd',
    cure: 'c',
    requestId: 'r',
  }
  const answering = (response: Response) => makeClient(() => Promise.resolve(response)).tables.list()
  const refused = answering(new Response(JSON.stringify(problem), { status: 409 }))
  await expect(refused).rejects.toThrow(ApiProblem)
  await expect(answering(new Response('<html>', { status: 502 }))).rejects.toThrow(NotPatchbay)
  await expect(answering(new Response('<html>'))).rejects.toThrow(NotPatchbay)
  await expect(answering(new Response('{"items":[{}],"next":null}'))).rejects.toThrow(NotPatchbay)
})

test('every code has a status of its kind', () => {
  for (const status of Object.values(STATUS_OF)) expect(status).toBeGreaterThanOrEqual(400)
  expect(Object.keys(contract)).toContain('tables')
})
