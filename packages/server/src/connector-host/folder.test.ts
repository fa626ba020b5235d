import { createHash } from 'node:crypto'
import {
  link,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ConnectionRefused,
  DestinationInvalid,
  folderDelivery,
  probeFolder,
  type Folder,
  type OutgoingFile,
} from '@patchbay/connector-sdk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkFileRoots } from './file-roots.ts'
import { openFolder as openLocalFolder, type LocalFile } from './folder.ts'

let top: string
let root: string
let outside: string
let spool: string
let folder: Folder

const SIGNAL = new AbortController().signal
const openFolder = async (path: string, signal = SIGNAL): Promise<Folder> =>
  openLocalFolder(path, { roots: await checkFileRoots([root]), spoolFolder: spool, signal })

beforeEach(async () => {
  top = await realpath(await mkdtemp(join(tmpdir(), 'patchbay-folder-')))
  ;[root, outside, spool] = [join(top, 'root'), join(top, 'outside'), join(top, 'spool')]
  for (const path of [root, outside, spool]) await mkdir(path)
  folder = await openFolder(root)
})
afterEach(() => rm(top, { recursive: true }))

describe('the roots', () => {
  it.each(['', 'relative', '/', '/tmp/../etc', '/tmp/./x', '/does/not/exist-here', '/etc/hostname'])(
    'refuse %j',
    async (path) => {
      await expect(checkFileRoots([path])).rejects.toThrow(/PATCHBAY_FILE_ROOTS: ".*" cannot be used/)
    },
  )

  it.each([
    'OUTSIDE',
    'ROOT/../outside',
    'ROOT/..',
    'ROOT/./x',
    'ROOTER',
    'root',
    '.',
    '',
    '/',
    '/etc',
    '~',
    '/proc/self/root/etc',
    '/proc/self/cwd',
    'ROOT/\0/x',
    '//etc',
    'ROOT//x',
    'file://ROOT',
  ])('keep %j out', async (path) => {
    const written = path.replace('ROOTER', `${root}er`).replace('ROOT', root).replace('OUTSIDE', outside)
    await expect(openFolder(written)).rejects.toThrow(ConnectionRefused)
  })

  it('must hold a folder that is there', async () => {
    await writeFile(join(root, 'file'), '')
    await expect(openFolder(join(root, 'missing'))).rejects.toThrow(/The folder .*missing does not exist/)
    await expect(openFolder(join(root, 'file'))).rejects.toThrow(/cannot be opened \(ENOTDIR\)/)
  })

  it('name the cure', async () => {
    await expect(openFolder(outside)).rejects.toThrow(/the operator can list it in PATCHBAY_FILE_ROOTS/)
  })

  it('may be a link themselves, and let in what is below', async () => {
    await symlink(root, join(top, 'link'))
    expect(await checkFileRoots([join(top, 'link'), `${root}/`])).toEqual([root, root])
    await mkdir(join(root, 'a'))
    const below = await openFolder(join(root, 'a'))
    await below.write('x', fileOf('x'))
    expect(await readdir(join(root, 'a'))).toEqual(['x'])
  })
})

describe('a folder', () => {
  it('does all that a delivery needs', async () => {
    await probeFolder(folder)
    const delivery = folderDelivery(folder, 'daily/customers', { runId: 'run_1', delivered: [] })
    await delivery.put(fileOf('a.csv', 'a,b\n'))
    await delivery.put(await spooled('deep/b.csv', 'c\n'))
    const [a, b] = [fileOf('a.csv', 'a,b\n'), fileOf('deep/b.csv', 'c\n')]
    const manifest = { files: [a, b], model: fileOf('model.json', '{}'), superseded: [] }
    await delivery.commit(manifest)
    await delivery.commit(manifest)
    const base = join(root, 'daily/customers')
    expect((await readdir(base, { recursive: true })).toSorted()).toEqual(['a.csv', 'deep', 'deep/b.csv', 'model.json'])
    expect(await readFile(join(base, 'deep/b.csv'), 'utf8')).toBe('c\n')
  })

  it('takes a spooled file by another name, without a copy', async () => {
    const file = await spooled('x', 'abc')
    expect(await folder.write('x', file)).toBe(3)
    expect((await stat(join(root, 'x'))).ino).toBe((await stat(file.path)).ino)
    // Again, and over a file of another's.
    expect(await folder.write('x', file)).toBe(3)
    await folder.write('y', fileOf('y', 'longer than before'))
    expect(await folder.write('y', file)).toBe(3)
  })

  it('copies what is not from the spool, whatever path it claims', async () => {
    await writeFile(join(outside, 'secret'), 'secret')
    const claiming: LocalFile = { ...fileOf('x', 'honest'), path: join(outside, 'secret') }
    await folder.write('x', claiming)
    await symlink(join(outside, 'secret'), join(spool, 'link'))
    await folder.write('y', { ...fileOf('y', 'honest'), path: join(spool, 'link') } as LocalFile)
    expect(await readFile(join(root, 'x'), 'utf8')).toBe('honest')
    expect(await readFile(join(root, 'y'), 'utf8')).toBe('honest')
  })

  it('gives no rights to others', async () => {
    await folder.write('x', fileOf('x'))
    await folder.write('y', await spooled('y', 'y'))
    await folder.makeFolder('a/b')
    const modes = await Promise.all(
      ['x', 'y', 'a', 'a/b'].map(async (name) => (await stat(join(root, name))).mode & 0o7),
    )
    expect(modes).toEqual([0, 0, 0, 0])
  })

  it('renames over a file, and over another name of the same file', async () => {
    const file = await spooled('x', 'abc')
    await folder.write('temporary', file)
    await folder.write('final', file)
    await folder.rename('temporary', 'final')
    expect(await readdir(root)).toEqual(['final'])
    await folder.write('temporary', fileOf('t', 'new'))
    await folder.rename('temporary', 'final')
    expect(await readFile(join(root, 'final'), 'utf8')).toBe('new')
    expect(await readFile(file.path, 'utf8')).toBe('abc')
    await expect(folder.rename('missing', 'final')).rejects.toThrow(DestinationInvalid)
  })

  it('finds nothing where nothing is, and removes it again and again', async () => {
    expect(await folder.sizeOf('x')).toBeUndefined()
    expect(await folder.sizeOf('a/b/x')).toBeUndefined()
    expect(await folder.list('a')).toEqual([])
    await folder.remove('x')
    await folder.remove('a/x')
    await folder.write('x', fileOf('x'))
    await mkdir(join(root, 'sub'))
    expect(await folder.list('')).toEqual(['x'])
  })

  it.each(['sub', 'link', 'pipe/x'])('does not take %s for a file', async (name) => {
    await mkdir(join(root, 'sub'))
    await symlink(join(outside, 'x'), join(root, 'link'))
    await writeFile(join(root, 'pipe'), '')
    await expect(folder.sizeOf(name)).rejects.toThrow(DestinationInvalid)
  })

  it.each([
    '..',
    '../x',
    'a/../../x',
    '/etc/passwd',
    './x',
    'a//x',
    'a/',
    '',
    'a\\b',
    'a\0b',
    '\u202egpj',
    'x'.repeat(256),
    'a/.',
    'x.',
    '\ud800',
  ])('refuses the name %j', async (name) => {
    await mkdir(join(root, 'a'))
    const deeds = [
      () => folder.write(name, fileOf('x')),
      () => folder.rename('a', name),
      () => folder.remove(name),
      () => folder.sizeOf(name),
      ...(name === '' ? [] : [() => folder.makeFolder(name), () => folder.list(name)]),
    ]
    for (const deed of deeds) await expect(deed()).rejects.toThrow(DestinationInvalid)
    expect(await readdir(top)).toEqual(['outside', 'root', 'spool'])
  })

  it('does not follow a link out of the root, by any deed', async () => {
    await writeFile(join(outside, 'theirs'), 'theirs')
    await symlink(outside, join(root, 'out'))
    await symlink('../outside', join(root, 'relative'))
    await symlink('/proc/self/cwd', join(root, 'proc'))
    await folder.write('mine', fileOf('mine'))
    for (const link of ['out', 'relative', 'proc', 'out/../out']) {
      const deeds = [
        () => folder.write(`${link}/x`, fileOf('x')),
        () => folder.rename('mine', `${link}/x`),
        () => folder.rename(`${link}/theirs`, 'mine'),
        () => folder.remove(`${link}/theirs`),
        () => folder.sizeOf(`${link}/theirs`),
        () => folder.list(link),
        () => folder.makeFolder(`${link}/new`),
      ]
      for (const deed of deeds) await expect(deed()).rejects.toThrow(/leads out|not allowed/)
    }
    await expect(openFolder(join(root, 'out')).then((out) => out.write('x', fileOf('x')))).rejects.toThrow(/leads out/)
    expect(await readdir(outside)).toEqual(['theirs'])
    expect(await readFile(join(root, 'mine'), 'utf8')).toBe('mine')
  })

  it('replaces a link or another name that stands under the name, and not what it points at', async () => {
    await writeFile(join(outside, 'theirs'), 'theirs')
    await symlink(join(outside, 'theirs'), join(root, 'x'))
    await link(join(outside, 'theirs'), join(root, 'y'))
    await symlink(join(outside, 'theirs'), join(root, 'z'))
    await folder.write('x', fileOf('x', 'mine'))
    await folder.write('y', fileOf('y', 'mine'))
    await folder.rename('x', 'z')
    expect(await readFile(join(outside, 'theirs'), 'utf8')).toBe('theirs')
    expect((await lstat(join(root, 'z'))).isFile()).toBe(true)
  })

  it('holds against a link that is swapped in at any moment', async () => {
    await mkdir(join(root, 'swap'))
    let isOver = false
    const swap = async (): Promise<void> => {
      while (!isOver) {
        await rm(join(root, 'swap'), { recursive: true, force: true })
        await symlink(outside, join(root, 'swap'))
        await rm(join(root, 'swap'), { force: true })
        await mkdir(join(root, 'swap'))
      }
    }
    const swapping = swap()
    for (let round = 0; round < 300; round += 1) await folder.write('swap/x', fileOf('x')).catch(() => undefined)
    isOver = true
    await swapping.catch(() => undefined)
    expect(await readdir(outside)).toEqual([])
  })

  it('stops in the middle of a file when the signal aborts', async () => {
    const controller = new AbortController()
    const stopping = await openFolder(root, controller.signal)
    const reason = new Error('canceled')
    const endless: OutgoingFile = {
      ...fileOf('x'),
      async *read() {
        for (let piece = 0; ; piece += 1) {
          if (piece === 3) controller.abort(reason)
          yield await Promise.resolve(Buffer.alloc(10))
        }
      },
    }
    await expect(stopping.write('x', endless)).rejects.toBe(reason)
  })
})

function fileOf(name: string, text = name): OutgoingFile {
  const bytes = Buffer.from(text)
  return {
    name,
    rows: 1,
    sizeBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    async *read() {
      yield await Promise.resolve(bytes)
    },
  }
}

async function spooled(name: string, text: string): Promise<LocalFile> {
  const path = join(spool, name.replaceAll('/', '-'))
  await writeFile(path, text)
  return { ...fileOf(name, text), path }
}
