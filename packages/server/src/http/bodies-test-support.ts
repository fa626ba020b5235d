/** For tests: a right body for every endpoint that takes one, and ways to put something else into it. */
import { NOTIFICATION_KINDS } from '@patchbay/contract'
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

const SCHEDULE = {
  on: true,
  timeZone: 'Europe/Vienna',
  every: { type: 'weekly', days: ['mon'], at: '06:00' },
  blackout: [{ days: ['sun'], from: '01:00', to: '02:00' }],
}
const RULE = {
  all: [
    { on: { field: 'country' }, equals: 'Brazil', ignoreCase: true },
    { any: [{ not: { on: { field: 'id' }, between: [1, 2] } }, { on: { field: 'email' }, isEmpty: false }] },
    {
      on: { aggregate: 'count', table: 'customers', by: 'id', where: { on: { field: 'spend' }, moreThan: 1 } },
      lessThan: 9,
    },
  ],
}
const FIELDS = [{ to: 'mail', from: 'email', transforms: ['trim'], identifier: true }]
const EXPORT = {
  name: 'Another',
  connection: 'Folder',
  destinationType: 'folder',
  destination: { folder: 'other' },
  mode: 'mirror',
  source: { kind: 'segment', segments: ['Brazil'], fields: FIELDS },
  merge: { by: 'newest', field: 'spend' },
  format: { type: 'csv', gzip: true, delimiter: ',', header: true, neutraliseFormulas: true },
  guard: { removedShareMax: 0.5, removedRowsMin: 1, allowEmptySource: true },
}
const PLACE = { connection: 'Folder', destinationType: 'folder', destination: { folder: 'x' } }
const DRAFT = {
  connectorId: 'webhook',
  settings: { url: 'https://example.com/in' },
  secrets: { signingKey: 'k'.repeat(40) },
}
const POLICY = { fields: { only: ['email'] }, hashed: ['email'], consentField: 'consent', rowsPerRunMax: 9 }
const EXPORT_ID = `exp_${'a'.repeat(20)}`
const WAYS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  NOTIFICATION_KINDS.map((kind) => [kind, ['product']]),
)
const SHARING = { with: 'named', users: ['usr_one'] }
const READ = { format: 'csv', delimiter: ',', quote: '"', encoding: 'utf-8', header: true, dateOrder: 'day-first' }

/** A right body for every endpoint that has one: one without a row here fails below. */
export function bodiesIn(upload: string): Readonly<Record<string, { readonly path: string; readonly body: Json }>> {
  const run = `/runs/run_${'a'.repeat(20)}`
  const importing = { uploads: [upload], read: READ, types: { id: 'text' }, badLinesMax: 1 }
  return {
    'tables.inspect': { path: '/tables/inspect', body: { uploads: [upload], read: READ } },
    'tables.import': {
      path: '/tables',
      body: {
        ...importing,
        name: 'more',
        key: 'id',
        isProfile: true,
        tags: { id: ['personal'] },
        labels: { id: 'Id' },
      },
    },
    'tables.refresh': { path: '/tables/customers/versions', body: { ...importing, allowSchemaChange: true } },
    'tables.edit': {
      path: '/tables/customers',
      body: { name: 'people', isProfile: false, fields: { email: { label: 'Mail', tags: ['personal'] } } },
    },
    'segments.add': { path: '/segments', body: { name: 'More', rule: RULE } },
    'segments.edit': { path: '/segments/Brazil', body: { name: 'Less', rule: RULE } },
    'segments.countDraft': { path: '/segments/count', body: { rule: RULE } },
    'connections.add': {
      path: '/connections',
      body: { ...DRAFT, name: 'Hook', pins: {}, policy: POLICY, sharing: SHARING },
    },
    'connections.edit': {
      path: '/connections/Folder',
      body: { name: 'Other', settings: { path: '/elsewhere' }, policy: POLICY, sharing: SHARING },
    },
    'connections.checkDraft': { path: '/connections/check', body: { ...DRAFT, secretsOf: 'Folder' } },
    'serviceSignIns.finish': {
      path: '/connections/Folder/sign-in/finish',
      body: { attempt: `att_${'a'.repeat(20)}`, takeAccount: 'a' },
    },
    'connections.effect': { path: '/connections/Folder/effect', body: { sharing: SHARING, policy: POLICY } },
    'connections.remove': { path: '/connections/Folder/remove', body: { confirmed: 'x', removeExports: [EXPORT_ID] } },
    'connections.restore': { path: `/removed-connections/con_${'a'.repeat(20)}/restore`, body: { name: 'Again' } },
    'notifications.read': { path: '/notifications/read', body: { notifications: [`ntf_${'a'.repeat(20)}`] } },
    'notifications.set': {
      path: '/notifications/settings',
      body: { ways: WAYS, webhookUrl: 'https://hooks.example.com/in' },
    },
    'connections.trust': { path: '/connections/Folder/trust', body: { field: 'hostKey', value: 'SHA256:x' } },
    'exports.add': { path: '/exports', body: { ...EXPORT, schedule: SCHEDULE } },
    'exports.edit': { path: '/exports/Customers%20out', body: EXPORT },
    'exports.duplicate': { path: '/exports/Customers%20out/duplicate', body: { name: 'Copy' } },
    'exports.schedule': { path: '/exports/Customers%20out/schedule', body: { schedule: SCHEDULE } },
    'exports.attach': { path: '/exports/Customers%20out/attach', body: { connection: 'Folder' } },
    'exports.lookup': { path: '/exports/lookup', body: { ...PLACE, field: 'list', search: 'a' } },
    'exports.targetFields': { path: '/exports/target-fields', body: { ...PLACE, table: 'customers' } },
    'exports.count': {
      path: '/exports/count',
      body: { segments: ['Brazil'], connector: 'local-folder', destinationType: 'folder' },
    },
    'exports.scheduleMany': {
      path: '/exports/schedules',
      body: { exports: ['Customers out'], change: { to: 'this', schedule: SCHEDULE } },
    },
    'exports.runMany': { path: '/exports/runs', body: { exports: ['Customers out'] } },
    'exports.runAll': { path: '/exports/run-all', body: { cursor: 'x' } },
    'persons.find': {
      path: '/persons/find',
      body: { table: 'customers', who: { field: 'email', value: 'ana@example.com' } },
    },
    'persons.erase': { path: '/persons/erase', body: { table: 'customers', key: '1' } },
    'persons.unerase': { path: '/persons/unerase', body: { table: 'customers', key: '1' } },
    'runs.approve': { path: `${run}/approve`, body: { outboxDigest: 'x' } },
    'runs.retry': { path: `${run}/retry`, body: { include: 'rejected' } },
    'session.open': { path: '/session', body: { email: 'a@example.org', password: 'a quiet river in may' } },
    'me.changePassword': {
      path: '/me/password',
      body: { current: 'a quiet river in may', next: 'nine green boxes fall' },
    },
    'owner.claim': {
      path: '/owner',
      body: { token: 'A'.repeat(43), name: 'Olga', email: 'a@example.org', password: 'a quiet river in may' },
    },
    'owner.handOver': { path: '/owner', body: { user: `usr_${'a'.repeat(20)}`, password: 'a quiet river in may' } },
    'users.changeRole': { path: `/users/usr_${'a'.repeat(20)}`, body: { role: 'Viewer' } },
    'invitations.add': { path: '/invitations', body: { email: 'a@example.org', role: 'Viewer' } },
    'invitations.accept': {
      path: '/invitations/accept',
      body: { token: 'A'.repeat(43), name: 'Ada', password: 'a quiet river in may' },
    },
    'invitations.setPassword': { path: '/password', body: { token: 'A'.repeat(43), password: 'a quiet river in may' } },
    'keys.add': { path: '/keys', body: { name: 'Key', role: 'Viewer', expiresInDays: 9 } },
  }
}

export type Steps = readonly (string | number)[]

export function* placesIn(value: Json, steps: Steps): Generator<{ readonly steps: Steps; readonly value: Json }> {
  if (steps.length > 0) yield { steps, value }
  if (Array.isArray(value))
    for (const [index, item] of (value as readonly Json[]).entries()) yield* placesIn(item, [...steps, index])
  else if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value as { readonly [name: string]: Json }))
      yield* placesIn(item, [...steps, name])
}

export function replaced(value: Json, [step, ...rest]: Steps, by: Json): Json {
  if (step === undefined) return by
  if (Array.isArray(value))
    return (value as readonly Json[]).map((item, index) => (index === step ? replaced(item, rest, by) : item))
  const record = value as { readonly [name: string]: Json }
  return { ...record, [step]: replaced(record[step] ?? null, rest, by) }
}

export function* stepsIn(value: Json): Generator<Steps> {
  for (const { steps } of placesIn(value, [])) yield steps
}
