/** The folder of a connector that is still to be written. It compiles, and its test fails on each thing that is missing. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { wrong } from './given.ts'

export interface MadeConnector {
  readonly folder: string
  readonly files: readonly string[]
  readonly next: string
}

/** `connectors` is the folder that holds one folder for each; a test makes one of its own. */
export async function makeConnectorFolder(
  id: string,
  connectors = fileURLToPath(new URL('../../../connectors/src', import.meta.url)),
): Promise<MadeConnector> {
  if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(id) || id.length > 60)
    throw wrong('id', `"${id}" cannot be the id of a connector`, 'Use lower-case words joined by -, as in my-service')
  if (!existsSync(join(connectors, 'index.ts')))
    throw wrong(
      'id',
      `There is no folder ${connectors}`,
      'Run this in the source of Patchbay, not in an installed copy',
    )
  const folder = join(connectors, id)
  if (existsSync(folder)) throw wrong('id', `There is a folder ${folder} already`, 'Choose another id')

  const files = filesOf(id)
  await mkdir(folder)
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content, { flag: 'wx' })
  const isListed = await addToList(join(connectors, 'index.ts'), id)
  return {
    folder,
    files: Object.keys(files),
    next: `${isListed ? '' : `Add it to ${join(connectors, 'index.ts')}. `}Fill it in, and run: npx vitest run packages/connectors/src/${id}`,
  }
}

/** The list of all connectors is written by hand as well; where it looks as it always did, a line is added. */
async function addToList(path: string, id: string): Promise<boolean> {
  const before = await readFile(path, 'utf8')
  const list = /(export const connectors[^=]*= \[)([^\]]*)(\])/
  if (!list.test(before)) return false
  const after = before
    .replace(list, (_, start: string, items: string, end: string) => `${start}${items}, ${camelCase(id)}${end}`)
    .replace(/(import \{[^\n]*\} from '\.\/[^\n]*\n)(?!import \{[^\n]*from '\.\/)/, (line) => {
      return `${line}import { ${camelCase(id)} } from './${id}/index.ts'\n`
    })
  await writeFile(path, after)
  return true
}

function camelCase(id: string): string {
  return id.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function filesOf(id: string): Readonly<Record<string, string>> {
  const name = camelCase(id)
  const words = id.split('-')
  const title = words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join(' ')
  return {
    'index.ts': `import { defineConnector, Unavailable } from '@patchbay/connector-sdk'
import type { Fields, RowAnswer } from '@patchbay/connector-sdk'

const settings = {
  url: {
    kind: 'text',
    label: 'Address',
    help: 'Say where in the service the administrator finds it',
    example: 'https://api.example.com',
    pattern: 'https://[^ ]+',
    endpoint: true,
  },
  apiKey: { kind: 'secret', label: 'API key', help: 'Say where in the service it is made, and with which rights' },
} as const satisfies Fields

export const ${name} = defineConnector({
  id: '${id}',
  name: '${title}',
  summary: 'Say in one sentence what it keeps up to date, and where.',
  category: 'messaging',
  direction: 'export',
  settings,
  auth: { type: 'header', headers: ({ apiKey }) => ({ authorization: \`Bearer \${apiKey.reveal()}\` }) },
  async *check(ctx) {
    // Ask for something that needs the right to write, and changes nothing.
    await ctx.fetch(new URL('me', ctx.settings.url))
    yield { step: 'reached', ok: true }
    yield { step: 'signed-in', ok: true }
  },
  destinations: {
    list: {
      delivers: 'rows',
      name: 'List',
      modes: ['upsert'],
      fields: { list: { kind: 'text', label: 'List' } },
      removal: 'Say what becomes of rows that leave the source.',
      limits: { rowsPerBatch: 100, bytesPerBatch: 1_000_000, batchesInFlight: 1 },
      // Say blind until the service's documentation promises more.
      repeat: () => ({ kind: 'blind' }),
      targetFields: () => undefined,
      open: (ctx, { list }) => ({
        async deliver(batch): Promise<RowAnswer[]> {
          const answer = await ctx.fetch(new URL(\`lists/\${encodeURIComponent(list)}\`, ctx.settings.url), {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: \`[\${batch.json.join(',')}]\`,
          })
          // Read the answer row by row. What is not understood is never taken for a success.
          throw new Unavailable('maybe', \`An answer with the status \${answer.status} is not understood yet\`)
        },
        close: () => Promise.resolve(),
      }),
    },
  },
})
`,
    'index.test.ts': `import { describe, expect, test } from 'vitest'
import { ${name} } from './index.ts'

// Written by "patchbay connector new". Replace both tests by checkConnector() over a fake of the service, written by hand
// in this folder: see docs/connectors/writing-one.md.
describe('${id}', () => {
  test('says what it does', () => {
    expect(${name}.summary).not.toMatch(/^Say /)
  })

  test('answers each row of a batch by its key', () => {
    expect.fail('There is no fake of the service yet, and deliver() understands no answer')
  })
})
`,
    'README.md': `# ${title}

For the administrator who sets it up: what to make in the service first, with which rights, and where each field of the
set-up pane is found there. What becomes of rows that leave. What the service limits.
`,
    'icon.svg': `<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32" viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" stroke-linecap="round">
  <circle cx="16" cy="16" r="11"/>
</svg>
`,
  }
}
