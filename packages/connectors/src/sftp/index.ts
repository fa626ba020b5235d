import {
  ConnectorError,
  defineConnector,
  folderDelivery,
  probeFolder,
  SettingsInvalid,
  layoutFields,
  layoutOf,
} from '@patchbay/connector-sdk'
import type { CheckStep, Context, Fields } from '@patchbay/connector-sdk'
import { connectSession, HostKeyUnknown, type Account, type Connecting } from './connect.ts'
import { SftpFolder } from './folder.ts'
import { readPrivateKey } from './private-key.ts'
import { LIMITS, type Session } from './session.ts'
import type { Proof } from './sign-in.ts'

const settings = {
  host: { kind: 'text', label: 'Host', example: 'sftp.example.com', maxLength: 253, endpoint: true },
  port: { kind: 'number', label: 'Port', min: 1, max: 65_535, default: 22, endpoint: true },
  user: { kind: 'text', label: 'User', maxLength: 255, endpoint: true },
  signIn: {
    kind: 'choice',
    label: 'Sign in with',
    choices: [
      { value: 'key', label: 'Private key', help: 'The public key stands with the account on the server' },
      { value: 'password', label: 'Password' },
    ],
    default: 'key',
  },
  password: {
    kind: 'secret',
    label: 'Password',
    help: "The account's password on the server; the server's operator gives it out",
    showWhen: { field: 'signIn', is: 'password' },
  },
  privateKey: {
    kind: 'secret',
    label: 'Private key',
    help: 'The whole file that ssh-keygen made (the one without .pub), in OpenSSH or PEM form: Ed25519, ECDSA or RSA',
    multiline: true,
    showWhen: { field: 'signIn', is: 'key' },
  },
  passphrase: {
    kind: 'secret',
    label: 'Passphrase of the key',
    help: 'Chosen when the key was made; left empty for a key without one',
    optional: true,
    showWhen: { field: 'signIn', is: 'key' },
  },
  hostKey: {
    kind: 'pin',
    label: "Fingerprint of the server's key",
    help: "Compare it with what the server's operator tells you: only that server will ever be sent data or a password",
  },
  baseFolder: {
    kind: 'text',
    label: 'Base folder',
    help: 'Exports write below this folder only. It must exist. Left empty: the folder in which the account arrives',
    example: '/upload',
    maxLength: 1000,
    optional: true,
  },
} as const satisfies Fields

type SftpContext = Context<typeof settings>

export const sftp = defineConnector({
  id: 'sftp',
  name: 'SFTP',
  summary: 'Writes tables and segments as files to a folder on an SSH server.',
  category: 'files',
  direction: 'export',
  settings,
  auth: { type: 'none' },
  check: checkServer,
  destinations: {
    folder: {
      delivers: 'files',
      name: 'Folder',
      modes: ['replace', 'append', 'upsert', 'mirror'],
      limits: { partsPerTable: 5, partsInFlight: 2 },
      fields: {
        folder: {
          kind: 'text',
          label: 'Folder',
          help: 'Below the base folder of the connection; made where it is missing. Left empty: the base folder itself',
          example: 'patchbay/customers',
          pattern: '[^/\\\\][^\\\\]*',
          maxLength: 1000,
          optional: true,
        },
        ...layoutFields,
      },
      removal:
        'Replace: rows that leave are not in the new files, which take the place of the last ones. Mirror: they are ' +
        'listed in the change file, as "removed" in its first column. Append and upsert: nothing is said of them. Files ' +
        'that Patchbay did not write, or that were changed since, are never touched.',
      layout: layoutOf,
      open: (ctx, { folder }, run) => {
        const account = accountOf(ctx)
        const connect = async (): Promise<Session> => (await dial(ctx, account)).ready
        return folderDelivery(new SftpFolder(connect, ctx.settings.baseFolder, ctx.signal), folder ?? '', run)
      },
    },
  },
})

async function* checkServer(ctx: SftpContext): AsyncGenerator<CheckStep> {
  let step: CheckStep['step'] = 'reached'
  let connecting: Connecting | undefined
  try {
    connecting = await dial(ctx, accountOf(ctx))
    yield { step: 'resolved', ok: true }
    yield { step: 'reached', ok: true }
    step = 'trusted'
    yield { step, ok: true, detail: await connecting.trusted }
    step = 'signed-in'
    const session = await connecting.ready
    yield { step, ok: true }
    step = 'may-write'
    await probeFolder(new SftpFolder(() => Promise.resolve(session), ctx.settings.baseFolder, ctx.signal))
    yield { step, ok: true }
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error
    yield failedStep(error, step)
  } finally {
    const session = await connecting?.ready.catch(() => undefined)
    await session?.close()
  }
}

function failedStep(error: ConnectorError, reached: CheckStep['step']): CheckStep {
  const step = ('step' in error ? (error.step as CheckStep['step'] | undefined) : undefined) ?? reached
  const named = 'field' in error && typeof error.field === 'string' ? error.field : undefined
  // The folder of an export is not on the set-up pane; while checking, it is the base folder that is tried.
  const field = named === 'folder' ? 'baseFolder' : (named ?? (step === 'resolved' ? 'host' : undefined))
  return {
    step,
    ok: false,
    message: error.message,
    ...(field !== undefined && { field }),
    ...(error instanceof HostKeyUnknown && { pin: { field: 'hostKey', value: error.fingerprint } }),
  }
}

async function dial(ctx: SftpContext, account: Account): Promise<Connecting> {
  const socket = await ctx.connect({ host: account.host, port: account.port })
  return connectSession(socket, account, ctx.signal, LIMITS)
}

function accountOf({ settings }: SftpContext): Account {
  const { host, port, user, hostKey: pin } = settings
  // Kept for the next connection of the same run: opening a protected key keeps the whole process busy for half a second.
  let proof: Proof | undefined
  return { host, port, user, pin, proof: () => (proof ??= readProof(settings)) }
}

function readProof({ signIn, password, privateKey, passphrase }: SftpContext['settings']): Proof {
  if (signIn === 'key') return { key: readPrivateKey(privateKey?.reveal() ?? '', passphrase?.reveal()) }
  const text = password?.reveal() ?? ''
  if (text === '') throw new SettingsInvalid('password', 'Enter the password')
  return { password: text }
}
