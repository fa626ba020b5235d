import type { contract } from '@patchbay/contract'
import { makeApiKey } from '../access/api-key.ts'
import { createApiKey, listApiKeys, removeApiKey, type ApiKey } from '../store/api-key.ts'
import type { Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'

const MS_PER_DAY = 86_400_000

export function makeKeyHandlers(ports: HttpPorts): Handlers<typeof contract.keys> {
  return {
    async list() {
      return { items: (await listApiKeys(ports.db)).map(apiKeyOf) }
    },
    async add({ body }, { by, change }) {
      const { text, hash } = makeApiKey(ports.randomBytes)
      const expiresAt =
        body.expiresInDays === null ? null : new Date(by.now.getTime() + body.expiresInDays * MS_PER_DAY)
      const draft = { name: body.name, role: body.role, hash, expiresAt }
      const made = await change((tx) => createApiKey(tx, draft, by))
      return { apiKey: apiKeyOf(made), key: text }
    },
    async remove({ params }, { by, change }) {
      await change((tx) => removeApiKey(tx, params.key, by))
    },
  }
}

function apiKeyOf(key: ApiKey) {
  return {
    id: key.id as never,
    name: key.name,
    role: key.role as 'Viewer',
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  }
}
