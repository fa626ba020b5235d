/**
 * Control stores for tests. PGlite takes seconds to make its folder, so one is made ready (migrations, queue) in the
 * system's temporary folder, named after what it was made from, and copied for each test file.
 */
import { createHash, randomBytes } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { By } from '../store/by.ts'
import { openQueue } from '../jobs/queue.ts'
import { openStore, type Store } from '../store/open-store.ts'

export interface TestStore extends Store {
  /** A later process (or this one, after `close`) may open it again. */
  readonly dataFolder: string
  /** Closes the store and removes its folder. */
  remove(): Promise<void>
}

export async function openTestStore(options: { readonly databaseUrl?: string } = {}): Promise<TestStore> {
  const dataFolder = options.databaseUrl === undefined ? await copyTemplate() : temporaryFolder()
  const store = await openStore({ dataFolder, ...options })
  return {
    ...store,
    remove: async () => {
      await store.close()
      rmSync(dataFolder, { recursive: true, force: true })
    },
  }
}

/** A data folder with a control store in it that was just made; nobody has it open. */
export async function copyTemplate(): Promise<string> {
  const template = join(tmpdir(), `patchbay-control-${digestOfMigrations()}`)
  if (!existsSync(template)) await makeTemplate(template)
  const folder = temporaryFolder()
  cpSync(join(template, 'control'), join(folder, 'control'), { recursive: true })
  return folder
}

async function makeTemplate(template: string): Promise<void> {
  const folder = temporaryFolder()
  const store = await openStore({ dataFolder: folder })
  const queue = await openQueue(store, () => undefined)
  await queue.close()
  await store.close()
  try {
    renameSync(folder, template)
  } catch {
    // Another test file was quicker; its template is as good.
    rmSync(folder, { recursive: true, force: true })
  }
}

function digestOfMigrations(): string {
  const hash = createHash('sha256')
  const folder = new URL('../store/migrations/', import.meta.url)
  for (const name of readdirSync(folder).toSorted()) hash.update(readFileSync(new URL(name, folder)))
  // PGlite and pg-boss bring files and tables of their own.
  hash.update(readFileSync(new URL('../../package.json', import.meta.url)))
  return hash.digest('hex').slice(0, 16)
}

const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'patchbay-test-'))

export function byTester(now = new Date('2026-01-01T00:00:00Z')): By {
  return { actor: 'tester', now, randomBytes }
}
