/**
 * An SSH server in this process, for what a real OpenSSH server cannot be brought to do in a test: check passwords without
 * being root, record who tried to sign in and how, be full, fall silent. Its SFTP is the bare version 3, without any of
 * OpenSSH's extensions and with small packets, as appliances have it. Files are kept in memory.
 */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import ssh2, { type AuthContext, type Connection, type SFTPWrapper } from 'ssh2'

export type Method = 'password' | 'keyboard-interactive' | 'publickey'

export interface FakeSshOptions {
  readonly user?: string
  readonly password?: string
  /** Ways to sign in that it offers; only `password` unless said. */
  readonly methods?: readonly Method[]
  /** Asks for one more thing after the right password. */
  readonly secondFactor?: boolean
  /** Files may have so many bytes together; what goes beyond is answered with a bare "Failure". */
  readonly quotaBytes?: number
  /** From then on it reads and does not answer. */
  readonly silentAt?: 'sign-in' | 'write'
  readonly withoutSftp?: boolean
  /** Algorithms that it offers in place of good ones. */
  readonly algorithms?: ConstructorParameters<typeof ssh2.Server>[0]['algorithms']
}

export interface FakeSsh {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly user: string
  readonly password: string
  /** `SHA256:…` */
  readonly hostKey: string
  /** Every attempt to sign in, with what it brought. */
  readonly attempts: readonly { readonly method: string; readonly user: string; readonly secret: string | undefined }[]
  readonly files: Map<string, Buffer>
  readonly folders: Set<string>
  /** Connections that were opened so far. */
  connections(): number
  openConnections(): number
  stop(): Promise<void>
}

const { STATUS_CODE, OPEN_MODE } = ssh2.utils.sftp
const FILE_MODE = 0o100_644
const FOLDER_MODE = 0o040_755

export async function startFakeSsh(options: FakeSshOptions = {}): Promise<FakeSsh> {
  const { user = 'partner', password = 'correct horse' } = options
  const hostKey = makeHostKey()
  const attempts: FakeSsh['attempts'][number][] = []
  const files = new Map<string, Buffer>()
  const folders = new Set(['/', '/home'])
  const open = new Set<Connection>()
  let connections = 0

  const server = new ssh2.Server(
    {
      hostKeys: [hostKey.pem],
      ...(options.algorithms !== undefined && { algorithms: options.algorithms }),
    },
    (client) => {
      connections += 1
      // Missing in the types. Without it every answer waits for the delayed acknowledgement of the one before.
      if ('setNoDelay' in client && typeof client.setNoDelay === 'function') client.setNoDelay(true)
      open.add(client)
      client.on('close', () => open.delete(client))
      client.on('error', () => undefined)
      client.on('authentication', (context) => {
        const secret = context.method === 'password' ? context.password : undefined
        attempts.push({ method: context.method, user: context.username, secret })
        if (options.silentAt !== 'sign-in') judge(context, user, password, options)
      })
      client.on('session', (accept) => {
        accept().on('sftp', (acceptSftp, reject) => {
          if (options.withoutSftp === true) reject()
          else serveFiles(acceptSftp(), { files, folders, options })
        })
      })
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  return {
    ...{ host: '127.0.0.1' as const, port, user, password, attempts, files, folders },
    hostKey: hostKey.fingerprint,
    connections: () => connections,
    openConnections: () => open.size,
    stop: async () => {
      for (const client of open) client.end()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Not by ssh2 itself, whose own Ed25519 keys it cannot read now and then (1 in 256). */
function makeHostKey(): { readonly pem: string; readonly fingerprint: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ type: 'sec1', format: 'pem' }).toString()
  const key = ssh2.utils.parseKey(pem)
  if (key instanceof Error) throw key
  const hash = createHash('sha256').update(key.getPublicSSH()).digest('base64')
  return { pem, fingerprint: `SHA256:${hash.replace(/=+$/, '')}` }
}

function judge(context: AuthContext, user: string, password: string, options: FakeSshOptions): void {
  const { methods = ['password'], secondFactor = false } = options
  const refuse = (): void => context.reject([...methods])
  const finish = (isRight: boolean): void => {
    if (!isRight) refuse()
    else if (secondFactor) context.reject(['keyboard-interactive'], true)
    else context.accept()
  }
  if (context.method === 'password' && methods.includes('password'))
    finish(context.username === user && context.password === password)
  else if (context.method === 'keyboard-interactive' && methods.includes('keyboard-interactive'))
    context.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
      finish(context.username === user && answers[0] === password),
    )
  else refuse()
}

interface Store {
  readonly files: Map<string, Buffer>
  readonly folders: Set<string>
  readonly options: FakeSshOptions
}

function serveFiles(sftp: SFTPWrapper, { files, folders, options }: Store): void {
  const handles = new Map<number, { readonly path: string; isListed: boolean }>()
  let handleCount = 0
  const absolute = (path: string): string =>
    (path.startsWith('/') ? path : `/home/${path}`).replace(/\/\.$|\/+$/, '') || '/'
  const handleOf = (handle: Buffer): { readonly path: string; isListed: boolean } =>
    handles.get(handle.readUInt32BE()) ?? { path: '', isListed: true }
  const newHandle = (id: number, path: string): void => {
    const handle = Buffer.alloc(4)
    handle.writeUInt32BE(++handleCount)
    handles.set(handleCount, { path, isListed: false })
    sftp.handle(id, handle)
  }
  const answer = (id: number, code: keyof typeof STATUS_CODE): void => sftp.status(id, STATUS_CODE[code])
  const attributesOf = (path: string): { mode: number; size: number } | undefined => {
    const file = files.get(path)
    if (file !== undefined) return { mode: FILE_MODE, size: file.length }
    return folders.has(path) ? { mode: FOLDER_MODE, size: 0 } : undefined
  }
  const look = (id: number, name: string): void => {
    const found = attributesOf(absolute(name))
    if (found === undefined) answer(id, 'NO_SUCH_FILE')
    else sftp.attrs(id, { ...found, uid: 0, gid: 0, atime: 0, mtime: 0 })
  }
  const bytesUsed = (): number => files.values().reduce((sum, file) => sum + file.length, 0)

  sftp.on('REALPATH', (id, name) => sftp.name(id, [{ filename: absolute(name), longname: '', attrs: NO_ATTRIBUTES }]))
  sftp.on('STAT', look)
  sftp.on('LSTAT', look)
  sftp.on('OPEN', (id, name, flags) => {
    const path = absolute(name)
    if ((flags & OPEN_MODE.EXCL) !== 0 && attributesOf(path) !== undefined) answer(id, 'FAILURE')
    else {
      files.set(path, Buffer.alloc(0))
      newHandle(id, path)
    }
  })
  sftp.on('WRITE', (id, handle, offset, data) => {
    if (options.silentAt === 'write') return
    const { path } = handleOf(handle)
    const old = files.get(path) ?? Buffer.alloc(0)
    const grown = Buffer.alloc(Math.max(old.length, offset + data.length))
    old.copy(grown)
    data.copy(grown, offset)
    if (bytesUsed() - old.length + grown.length > (options.quotaBytes ?? Infinity)) answer(id, 'FAILURE')
    else {
      files.set(path, grown)
      answer(id, 'OK')
    }
  })
  sftp.on('CLOSE', (id) => answer(id, 'OK'))
  sftp.on('REMOVE', (id, name) => answer(id, files.delete(absolute(name)) ? 'OK' : 'FAILURE'))
  sftp.on('RENAME', (id, from, to) => {
    const file = files.get(absolute(from))
    // As version 3 wants it: nothing is overwritten.
    if (file === undefined || attributesOf(absolute(to)) !== undefined) answer(id, 'FAILURE')
    else {
      files.delete(absolute(from))
      files.set(absolute(to), file)
      answer(id, 'OK')
    }
  })
  sftp.on('MKDIR', (id, name) => {
    if (attributesOf(absolute(name)) !== undefined) answer(id, 'FAILURE')
    else {
      folders.add(absolute(name))
      answer(id, 'OK')
    }
  })
  sftp.on('OPENDIR', (id, name) => newHandle(id, absolute(name)))
  sftp.on('READDIR', (id, handle) => {
    const listed = handleOf(handle)
    if (listed.isListed) {
      answer(id, 'EOF')
      return
    }
    listed.isListed = true
    const start = listed.path === '/' ? '/' : `${listed.path}/`
    const names = [...files.keys()].filter((path) => path.startsWith(start) && !path.slice(start.length).includes('/'))
    sftp.name(
      id,
      names.map((path) => ({
        filename: path.slice(start.length),
        longname: '',
        attrs: { ...NO_ATTRIBUTES, mode: FILE_MODE },
      })),
    )
  })
}

const NO_ATTRIBUTES = { mode: 0, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 }
