import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Folder } from './context.ts'
import { DestinationInvalid, Unavailable } from './errors.ts'
import type { DeliveredFile, Manifest, OutgoingFile } from './files.ts'
import { folderDelivery } from './folder-delivery.ts'

const RUN = 'run_2'

describe('folderDelivery', () => {
  it('shows nothing before commit and everything after it', async () => {
    const folder = new MemoryFolder()
    const delivery = folderDelivery(folder, 'out', { runId: RUN, delivered: [] })
    await delivery.put(fileOf('customers.csv', 'a,b'))
    await delivery.put(fileOf('orders/part-1.csv', 'c'))
    expect(folder.visible()).toEqual([])

    await delivery.commit(manifestOf({ 'customers.csv': 'a,b', 'orders/part-1.csv': 'c' }))
    expect(Object.fromEntries(folder.files)).toEqual({
      'out/customers.csv': 'a,b',
      'out/orders/part-1.csv': 'c',
      'out/model.json': MODEL,
    })
    expect(folder.isClosed).toBe(true)
  })

  it('writes into the root itself', async () => {
    const folder = new MemoryFolder()
    const delivery = folderDelivery(folder, '', { runId: RUN, delivered: [] })
    await delivery.put(fileOf('a.csv', 'a'))
    await delivery.commit(manifestOf({ 'a.csv': 'a' }))
    expect(folder.visible()).toEqual(['a.csv', 'model.json'])
  })

  it('says so when the far end holds another number of bytes than was sent', async () => {
    const folder = new MemoryFolder()
    folder.write = (name, file) => {
      folder.files.set(name, 'short')
      return Promise.resolve(file.sizeBytes - 1)
    }
    const put = folderDelivery(folder, '', { runId: RUN, delivered: [] }).put(fileOf('a.csv', 'abcdef'))
    await expect(put).rejects.toThrow(Unavailable)
  })

  it.each(['a.csv', 'model.json'])('leaves a foreign %s alone, and changes nothing at all', async (taken) => {
    const folder = new MemoryFolder({ [`out/${taken}`]: 'theirs!' })
    const delivery = folderDelivery(folder, 'out', { runId: RUN, delivered: [] })
    const publish = async (): Promise<void> => {
      await delivery.put(fileOf('a.csv', 'a'))
      await delivery.put(fileOf('b.csv', 'b'))
      await delivery.commit(manifestOf({ 'b.csv': 'b', 'a.csv': 'a' }))
    }
    await expect(publish()).rejects.toThrow(DestinationInvalid)
    await expect(publish()).rejects.toThrow(new RegExp(`out/${taken}`))
    expect(folder.visible()).toEqual([`out/${taken}`])
    expect(folder.files.get(`out/${taken}`)).toBe('theirs!')
  })

  it.each(['a.csv', 'model.json'])('does not take a foreign %s for its own because of its size', async (taken) => {
    const folder = new MemoryFolder({ [taken]: 'XX' })
    const delivery = folderDelivery(folder, '', { runId: RUN, delivered: [] })
    await delivery.put(fileOf('a.csv', 'aa'))
    await expect(delivery.commit(manifestOf({ 'a.csv': 'aa' }))).rejects.toThrow(DestinationInvalid)
    expect(folder.files.get(taken)).toBe('XX')
  })

  it('overwrites what an earlier run of the export wrote, unless somebody has changed it since', async () => {
    const delivered = [deliveredOf('a.csv', 'old'), deliveredOf('model.json', MODEL)]
    const publish = async (standing: string): Promise<MemoryFolder> => {
      const folder = new MemoryFolder({ 'a.csv': standing, 'model.json': 'MM' })
      const delivery = folderDelivery(folder, '', { runId: RUN, delivered })
      await delivery.put(fileOf('a.csv', 'new content'))
      await delivery.commit(manifestOf({ 'a.csv': 'new content' }))
      return folder
    }
    expect((await publish('old')).files.get('a.csv')).toBe('new content')
    await expect(publish('changed')).rejects.toThrow(DestinationInvalid)
  })

  it('removes superseded files that are still as it wrote them, and no others', async () => {
    const files = { 'same.csv': '1', 'changed.csv': '22', 'never-ours.csv': '1', 'kept.csv': '1' }
    const folder = new MemoryFolder({ ...files, 'changed.csv': 'by somebody' })
    folder.refused.add('link.csv')
    const ours = ['same.csv', 'changed.csv', 'link.csv', 'gone.csv'].map((name) => deliveredOf(name, '1'))
    const delivery = folderDelivery(folder, '', { runId: RUN, delivered: ours })
    await delivery.put(fileOf('kept-too.csv', '1'))
    const manifest = manifestOf({ 'kept-too.csv': '1' }, [...ours, deliveredOf('never-ours.csv', '1')])
    await delivery.commit(manifest)
    expect(folder.visible()).toEqual(['changed.csv', 'kept-too.csv', 'kept.csv', 'model.json', 'never-ours.csv'])
  })

  it('commits a second time without doing anything', async () => {
    const folder = new MemoryFolder()
    const delivery = folderDelivery(folder, 'out', { runId: RUN, delivered: [] })
    await delivery.put(fileOf('a.csv', 'a'))
    await delivery.commit(manifestOf({ 'a.csv': 'a' }))
    const changes = folder.changes
    await delivery.commit(manifestOf({ 'a.csv': 'a' }))
    await folderDelivery(folder, 'out', { runId: RUN, delivered: [] }).commit(manifestOf({ 'a.csv': 'a' }))
    expect(folder.changes).toBe(changes)
  })

  it('says that a part is lost rather than publish without it', async () => {
    const folder = new MemoryFolder()
    const delivery = folderDelivery(folder, '', { runId: RUN, delivered: [] })
    await delivery.put(fileOf('a.csv', 'a'))
    const commit = delivery.commit(manifestOf({ 'a.csv': 'a', 'never-put.csv': 'b' }))
    await expect(commit).rejects.toThrow(/never-put\.csv/)
    expect(folder.visible()).toEqual([])
  })

  it('abandons its own temporary files only, again and again', async () => {
    const others = ['out/.patchbay-run_2-other-0123456789abcdef01234567.part', 'out/.patchbay-run_2-x.part', 'out/z']
    const folder = new MemoryFolder(Object.fromEntries(others.map((name) => [name, '1'])))
    await folderDelivery(folder, 'out', { runId: RUN, delivered: [] }).put(fileOf('deep/er/a.csv', 'a'))
    const after = folderDelivery(folder, 'out', { runId: RUN, delivered: [] })
    await after.abandon()
    await after.abandon()
    expect([...folder.files.keys()].toSorted()).toEqual(others.toSorted())
    expect(folder.isClosed).toBe(true)
  })

  it.each(['.patchbay-x', 'a/.patchbay-y/b.csv'])('keeps the name %s for itself', async (name) => {
    const put = folderDelivery(new MemoryFolder(), '', { runId: RUN, delivered: [] }).put(fileOf(name, 'a'))
    await expect(put).rejects.toThrow(DestinationInvalid)
  })

  it('refuses a base or a name that leads elsewhere, before it touches anything', async () => {
    const folder = new MemoryFolder()
    const run = { runId: RUN, delivered: [] }
    expect(() => folderDelivery(folder, '../up', run)).toThrow(DestinationInvalid)
    expect(() => folderDelivery(folder, '/etc', run)).toThrow(DestinationInvalid)
    await expect(folderDelivery(folder, '', run).put(fileOf('../a.csv', 'a'))).rejects.toThrow(DestinationInvalid)
    const commit = folderDelivery(folder, '', run).commit(manifestOf({ 'a/../../b': 'x' }))
    await expect(commit).rejects.toThrow(DestinationInvalid)
    expect(folder.changes).toBe(0)
  })

  it('is carried on after a crash at any call, as often as it takes, and touches nothing foreign', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ files, earlier, foreign, crashes }) => {
        const folder = new MemoryFolder({ ...inBase(earlier), ...inBase(foreign) })
        const commit = await putAll(folder, files, earlier)
        for (const crash of crashes) await crashIn(folder, crash, commit)
        await commit()
        expect(Object.fromEntries(folder.files)).toEqual(inBase({ ...foreign, ...files, 'model.json': MODEL }))
      }),
      { numRuns: 3000 },
    )
  })

  it('never overwrites a foreign file that came while it wrote, of whatever size, through all crashes', async () => {
    const withTaken = fc.tuple(scenario, fc.constantFrom(...NAMES, 'model.json'), content)
    await fc.assert(
      fc.asyncProperty(withTaken, async ([{ files, foreign, crashes }, taken, text]) => {
        fc.pre(taken in files || (taken === 'model.json' && Object.keys(files).length > 0))
        const folder = new MemoryFolder(inBase(foreign))
        const commit = await putAll(folder, files, {})
        folder.files.set(`out/${taken}`, text)
        for (const crash of crashes) await crashIn(folder, crash, commit)
        await expect(commit()).rejects.toThrow(DestinationInvalid)
        expect(folder.visible()).toEqual(Object.keys(inBase({ ...foreign, [taken]: '' })).toSorted())
        expect(folder.files.get(`out/${taken}`)).toBe(text)
      }),
      { numRuns: 1000 },
    )
  })
})

const MODEL = 'mm'
const NAMES = ['a.csv', 'b.csv', 'd/a.csv', 'd/e.csv'] as const
const content = fc.string({ maxLength: 3, unit: fc.constantFrom('x', 'y') })
const filesOf = (...names: readonly string[]): fc.Arbitrary<Record<string, string>> =>
  fc.dictionary(fc.constantFrom(...names), content, { noNullPrototype: true })
const scenario = fc.record({
  files: filesOf(...NAMES),
  /** What an earlier run of the export wrote. */
  earlier: filesOf(...NAMES, 'old.csv', 'd/old.csv', 'model.json'),
  foreign: filesOf('theirs.csv', 'd/theirs.csv', 'old.csv.bak'),
  crashes: fc.array(fc.record({ afterCalls: fc.nat(25), isDone: fc.boolean() }), { maxLength: 4 }),
})

function inBase(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [`out/${name}`, text]))
}

/** Puts the files of a run, and gives its commit: each call is one of a new process. */
async function putAll(
  folder: Folder,
  files: Readonly<Record<string, string>>,
  earlier: Readonly<Record<string, string>>,
): Promise<() => Promise<void>> {
  const delivered = Object.entries(earlier).map(([name, text]) => deliveredOf(name, text))
  const first = folderDelivery(folder, 'out', { runId: RUN, delivered })
  for (const [name, text] of Object.entries(files)) await first.put(fileOf(name, text))
  return () => folderDelivery(folder, 'out', { runId: RUN, delivered }).commit(manifestOf(files, delivered))
}

async function crashIn(
  folder: MemoryFolder,
  { afterCalls, isDone }: { readonly afterCalls: number; readonly isDone: boolean },
  work: () => Promise<void>,
): Promise<void> {
  folder.crashAfter(afterCalls, isDone)
  await work().catch((error: unknown) => {
    if (!(error instanceof Crash) && !(error instanceof DestinationInvalid)) throw error
  })
  folder.restart()
}

class Crash extends Error {}

/** A folder in memory. Two steps for a write, so that a crash can leave half a file. */
class MemoryFolder implements Folder {
  readonly files: Map<string, string>
  /** Names that are something else than a plain file. */
  readonly refused = new Set<string>()
  changes = 0
  isClosed = false
  #callsLeft = Infinity
  #isLastDone = false

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.files = new Map(Object.entries(files))
  }

  visible(): readonly string[] {
    return [...this.files.keys()].filter((name) => !name.includes('.patchbay-')).toSorted()
  }

  /** The call after so many fails, and all that follow; `isLastDone`: it fails after it has done its work. */
  crashAfter(calls: number, isLastDone: boolean): void {
    this.#callsLeft = calls
    this.#isLastDone = isLastDone
  }

  restart(): void {
    this.#callsLeft = Infinity
  }

  sizeOf(name: string): Promise<number | undefined> {
    return this.#call(() => {
      if (this.refused.has(name)) throw new DestinationInvalid('folder', `${name} is no plain file`)
      return this.files.get(name)?.length
    })
  }

  async write(name: string, file: OutgoingFile): Promise<number> {
    await this.#call(() => this.#change(() => this.files.set(name, '')))
    for await (const piece of file.read(2)) {
      const text = new TextDecoder().decode(piece)
      await this.#call(() => this.#change(() => this.files.set(name, (this.files.get(name) ?? '') + text)))
    }
    return this.files.get(name)?.length ?? 0
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call(() =>
      this.#change(() => {
        const text = this.files.get(from)
        if (text === undefined) throw new Error(`${from} is not there`)
        this.files.delete(from)
        this.files.set(to, text)
      }),
    )
  }

  remove(name: string): Promise<void> {
    return this.#call(() => this.#change(() => this.files.delete(name)))
  }

  makeFolder(): Promise<void> {
    return this.#call(() => undefined)
  }

  list(name: string): Promise<readonly string[]> {
    return this.#call(() =>
      [...this.files.keys()]
        .filter((path) => path.startsWith(`${name}/`) && !path.slice(name.length + 1).includes('/'))
        .map((path) => path.slice(name.length + 1)),
    )
  }

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }

  #change(work: () => unknown): void {
    this.changes += 1
    work()
  }

  async #call<T>(work: () => T): Promise<T> {
    this.#callsLeft -= 1
    if (this.#callsLeft < -1 || (this.#callsLeft === -1 && !this.#isLastDone)) throw new Crash()
    const result = work()
    if (this.#callsLeft === -1) throw new Crash()
    return Promise.resolve(result)
  }
}

function fileOf(name: string, text: string): OutgoingFile {
  const bytes = new TextEncoder().encode(text)
  return {
    ...deliveredOf(name, text),
    async *read(pieceBytes) {
      for (let at = 0; at < bytes.length; at += pieceBytes)
        yield await Promise.resolve(bytes.slice(at, at + pieceBytes))
    },
  }
}

function deliveredOf(name: string, text: string): DeliveredFile {
  return { name, rows: 1, sizeBytes: text.length, sha256: '' }
}

function manifestOf(files: Readonly<Record<string, string>>, superseded: readonly DeliveredFile[] = []): Manifest {
  return {
    files: Object.entries(files).map(([name, text]) => deliveredOf(name, text)),
    model: fileOf('model.json', MODEL),
    superseded,
  }
}
