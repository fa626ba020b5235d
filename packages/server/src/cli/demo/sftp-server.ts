import { constants, promises as fs, type Stats } from 'node:fs'
import { generateKeyPairSync, timingSafeEqual } from 'node:crypto'
import { join, normalize } from 'node:path'
import ssh2, { type Attributes, type AuthContext, type Connection, type SFTPWrapper } from 'ssh2'

const { Server, utils } = ssh2
const { STATUS_CODE, OPEN_MODE } = utils.sftp

/**
 * A small SFTP server over one folder, for the demo and the proof: password sign-in, loopback only, and just the requests that
 * writing files needs. It is not for anybody's data.
 */
export interface SftpServer {
  readonly port: number
  readonly user: string
  readonly password: string
  close(): Promise<void>
}

export async function startSftpServer(folder: string, password: string): Promise<SftpServer> {
  const user = 'demo'
  await fs.mkdir(folder, { recursive: true })
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const open = new Set<Connection>()
  const server = new Server({ hostKeys: [privateKey] }, (client) => {
    open.add(client)
    client.on('close', () => open.delete(client))
    // A client that goes away in the middle is its own affair.
    client.on('error', () => client.end())
    client.on('authentication', (context: AuthContext) => {
      const isRight =
        context.method === 'password' && context.username === user && isSameText(context.password, password)
      if (isRight) context.accept()
      else context.reject(['password'])
    })
    client.on('session', (accept) => {
      accept().on('sftp', (acceptSftp) => serve(acceptSftp(), folder))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The SFTP server has no address')
  return {
    port: address.port,
    user,
    password,
    close: () =>
      new Promise((resolve) => {
        for (const client of open) client.end()
        server.close(() => resolve())
      }),
  }
}

function isSameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.byteLength === right.byteLength && timingSafeEqual(left, right)
}

interface OpenFolder {
  readonly path: string
  isRead: boolean
}

/** Answers the requests of one client. Every request gets exactly one answer; a failing one the status of its cause. */
function serve(sftp: SFTPWrapper, folder: string): void {
  const files = new Map<number, fs.FileHandle>()
  const folders = new Map<number, OpenFolder>()
  // A client that goes away in the middle leaves its files open.
  sftp.on('close', () => {
    for (const file of files.values()) file.close().catch(() => undefined)
    files.clear()
  })
  let nextHandle = 1
  const pathOf = (name: string): string => join(folder, normalize(`/${name}`))
  const handleOf = (handle: Buffer): number => handle.readUInt32BE(0)
  const newHandle = (): { id: number; handle: Buffer } => {
    const id = nextHandle++
    const handle = Buffer.alloc(4)
    handle.writeUInt32BE(id)
    return { id, handle }
  }
  const answer = (id: number, work: () => Promise<unknown>): void => {
    work().then(
      () => sftp.status(id, STATUS_CODE.OK),
      (error: unknown) => sftp.status(id, statusOf(error)),
    )
  }
  const fileOf = (handle: Buffer): fs.FileHandle => {
    const file = files.get(handleOf(handle))
    if (file === undefined) throw new Error('The handle is not open')
    return file
  }

  sftp.on('OPEN', (id, name, flags) => {
    fs.open(pathOf(name), openFlags(flags), 0o644).then(
      (file) => {
        const { id: key, handle } = newHandle()
        files.set(key, file)
        sftp.handle(id, handle)
      },
      (error: unknown) => sftp.status(id, statusOf(error)),
    )
  })
  sftp.on('WRITE', (id, handle, offset, data) =>
    answer(id, async () => fileOf(handle).write(data, 0, data.byteLength, offset)),
  )
  sftp.on('READ', (id, handle, offset, length) => {
    const buffer = Buffer.alloc(Math.min(length, 1 << 20))
    Promise.resolve()
      .then(() => fileOf(handle).read(buffer, 0, buffer.byteLength, offset))
      .then(
        ({ bytesRead }) =>
          bytesRead === 0 ? sftp.status(id, STATUS_CODE.EOF) : sftp.data(id, buffer.subarray(0, bytesRead)),
        (error: unknown) => sftp.status(id, statusOf(error)),
      )
  })
  sftp.on('CLOSE', (id, handle) =>
    answer(id, async () => {
      const key = handleOf(handle)
      folders.delete(key)
      await files.get(key)?.close()
      files.delete(key)
    }),
  )
  const stat = (id: number, name: string): void => {
    fs.lstat(pathOf(name)).then(
      (found) => sftp.attrs(id, attributesOf(found)),
      (error: unknown) => sftp.status(id, statusOf(error)),
    )
  }
  sftp.on('STAT', stat)
  sftp.on('LSTAT', stat)
  sftp.on('FSTAT', (id, handle) => {
    Promise.resolve()
      .then(() => fileOf(handle).stat())
      .then(
        (found) => sftp.attrs(id, attributesOf(found)),
        (error: unknown) => sftp.status(id, statusOf(error)),
      )
  })
  sftp.on('SETSTAT', (id) => sftp.status(id, STATUS_CODE.OK))
  sftp.on('FSETSTAT', (id) => sftp.status(id, STATUS_CODE.OK))
  sftp.on('REMOVE', (id, name) => answer(id, () => fs.unlink(pathOf(name))))
  sftp.on('MKDIR', (id, name) => answer(id, () => fs.mkdir(pathOf(name))))
  sftp.on('RMDIR', (id, name) => answer(id, () => fs.rmdir(pathOf(name))))
  sftp.on('RENAME', (id, from, to) => answer(id, () => fs.rename(pathOf(from), pathOf(to))))
  sftp.on('REALPATH', (id, name) => {
    const path = normalize(`/${name}`)
    sftp.name(id, [{ filename: path, longname: path, attrs: attributesOf(undefined) }])
  })
  sftp.on('OPENDIR', (id, name) => {
    fs.stat(pathOf(name)).then(
      (found) => {
        if (!found.isDirectory()) return sftp.status(id, STATUS_CODE.FAILURE)
        const { id: key, handle } = newHandle()
        folders.set(key, { path: pathOf(name), isRead: false })
        sftp.handle(id, handle)
      },
      (error: unknown) => sftp.status(id, statusOf(error)),
    )
  })
  sftp.on('READDIR', (id, handle) => {
    const opened = folders.get(handleOf(handle))
    if (opened === undefined) return sftp.status(id, STATUS_CODE.FAILURE)
    if (opened.isRead) return sftp.status(id, STATUS_CODE.EOF)
    opened.isRead = true
    listFolder(opened.path).then(
      (names) => (names.length === 0 ? sftp.status(id, STATUS_CODE.EOF) : sftp.name(id, names)),
      (error: unknown) => sftp.status(id, statusOf(error)),
    )
  })
  sftp.on('EXTENDED', (id, name, data) => {
    if (name !== 'posix-rename@openssh.com') return sftp.status(id, STATUS_CODE.OP_UNSUPPORTED)
    const [from, to] = readTexts(data)
    answer(id, () => fs.rename(pathOf(from), pathOf(to)))
  })
}

async function listFolder(path: string): Promise<{ filename: string; longname: string; attrs: Attributes }[]> {
  const names = await fs.readdir(path)
  return await Promise.all(
    names.map(async (filename) => ({
      filename,
      longname: filename,
      attrs: attributesOf(await fs.lstat(join(path, filename))),
    })),
  )
}

/** Two SSH strings (RFC 4251, section 5: a 32-bit length, then the bytes). */
function readTexts(data: Buffer): [string, string] {
  const length = data.readUInt32BE(0)
  const second = data.readUInt32BE(4 + length)
  return [data.toString('utf8', 4, 4 + length), data.toString('utf8', 8 + length, 8 + length + second)]
}

function openFlags(flags: number): number {
  const isWritten = (flags & OPEN_MODE.WRITE) !== 0
  const isRead = (flags & OPEN_MODE.READ) !== 0
  let result: number = constants.O_RDONLY
  if (isWritten) result = isRead ? constants.O_RDWR : constants.O_WRONLY
  if (flags & OPEN_MODE.CREAT) result |= constants.O_CREAT
  if (flags & OPEN_MODE.TRUNC) result |= constants.O_TRUNC
  if (flags & OPEN_MODE.EXCL) result |= constants.O_EXCL
  return result
}

function attributesOf(stats: Stats | undefined): Attributes {
  return {
    mode: stats?.mode ?? 0o040755,
    uid: stats?.uid ?? 0,
    gid: stats?.gid ?? 0,
    size: stats?.size ?? 0,
    atime: Math.floor((stats?.atimeMs ?? 0) / 1000),
    mtime: Math.floor((stats?.mtimeMs ?? 0) / 1000),
  }
}

function statusOf(error: unknown): number {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return STATUS_CODE.NO_SUCH_FILE
  if (code === 'EACCES' || code === 'EPERM') return STATUS_CODE.PERMISSION_DENIED
  return STATUS_CODE.FAILURE
}
