import { ConnectionRefused, defineConnector, RateLimited, Unavailable } from '@patchbay/connector-sdk'

export const HOST = 'mail.internal.example'

const EMAIL = {
  name: 'EMAIL',
  label: 'E-mail',
  type: 'email',
  required: true,
  identifier: true,
  normal: 'email',
  hash: 'sha256',
} as const

/** A mail service with lists and fields of its own, for tests: what is searched for says how it behaves. */
export function makeMailing() {
  /** What was searched for, and which of these questions were canceled. */
  const asked: string[] = []
  const ended: string[] = []
  /** How it takes rows: countries that it refuses, each in its own words, and something to do before each batch. */
  const service: { refuses: Record<string, string>; beforeBatch?: () => Promise<void> } = { refuses: {} }
  const mailing = defineConnector({
    id: 'test-mailing',
    name: 'Test mailing',
    summary: 'For this test only.',
    category: 'mail',
    direction: 'export',
    settings: { host: { kind: 'text', label: 'Host', endpoint: true } },
    auth: { type: 'none' },
    async *check() {
      yield { step: 'resolved', ok: true }
    },
    destinations: {
      list: {
        delivers: 'rows',
        name: 'List',
        modes: ['upsert'],
        removal: 'Nothing is removed.',
        limits: { rowsPerBatch: 1, bytesPerBatch: 1_000_000, batchesInFlight: 1, rowsMin: 3, rowsMax: 4 },
        fields: { list: { kind: 'lookup', label: 'List' }, note: { kind: 'text', label: 'Note', optional: true } },
        repeat: () => ({ kind: 'harmless' }),
        lookups: {
          async list(ctx, search) {
            asked.push(search)
            if (search === 'refused') throw new ConnectionRefused(`${ctx.settings.host} refuses the password`)
            if (search === 'down') throw new Unavailable('no', `${ctx.settings.host} does not answer`)
            if (search === 'slow down') throw new RateLimited(7)
            if (search === 'bug') throw new TypeError(`cannot read ${ctx.settings.host}`)
            if (search === 'forever')
              await new Promise((_, reject) => {
                ctx.signal.addEventListener('abort', () => {
                  ended.push(search)
                  reject(ctx.signal.reason as Error)
                })
              })
            if (search === 'many')
              return Array.from({ length: 300 }, (_, n) => ({ value: String(n), label: `List ${n}` }))
            return [{ value: 'a', label: `Autumn ${search}` }]
          },
        },
        fixedFields: [EMAIL],
        targetFields: () => [
          EMAIL,
          { name: 'LAND', label: 'Country', type: 'text' },
          { name: 'BIRTHDAY', label: 'Birthday', type: 'date' },
        ],
        open: () => ({
          async deliver({ changes }) {
            await service.beforeBatch?.()
            return changes.map(({ key, fields }) => {
              const refused = service.refuses[String(fields['LAND'])]
              return refused === undefined
                ? { key, status: 'accepted' as const }
                : { key, status: 'rejected' as const, reason: 'not-allowed' as const, message: refused }
            })
          },
          close: () => Promise.resolve(),
        }),
      },
    },
  })
  return { mailing, asked, ended, service }
}
