import type { CheckStep, DeliveredFile, FileDelivery, Secret } from '@patchbay/connector-sdk'
import { makeContext, secretOf } from '../../test-servers/context.ts'
import { sftp } from './index.ts'

export interface SftpSettings {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly signIn: 'password' | 'key'
  readonly password?: Secret
  readonly privateKey?: Secret
  readonly passphrase?: Secret
  readonly hostKey?: string
  readonly baseFolder?: string
}

interface Server {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly hostKey: string
}

export function withKey(server: Server & { readonly privateKey: string }, passphrase?: string): SftpSettings {
  const { host, port, user, hostKey, privateKey } = server
  return {
    ...{ host, port, user, hostKey, signIn: 'key', privateKey: secretOf(privateKey) },
    ...(passphrase !== undefined && { passphrase: secretOf(passphrase) }),
  }
}

export function withPassword({ host, port, user, hostKey }: Server, password: string): SftpSettings {
  return { host, port, user, hostKey, signIn: 'password', password: secretOf(password) }
}

export async function checkAll(settings: SftpSettings): Promise<readonly CheckStep[]> {
  return Array.fromAsync(sftp.check(makeContext({ settings: { ...settings } })))
}

/** As `resolved reached trusted`, and what stopped it: `signed-in(password)!`. */
export function summary(steps: readonly CheckStep[]): string {
  return steps.map((step) => (step.ok ? step.step : `${step.step}(${step.field ?? ''})!`)).join(' ')
}

export async function openDelivery(
  settings: SftpSettings,
  run: {
    readonly folder?: string
    readonly runId?: string
    readonly delivered?: readonly DeliveredFile[]
    readonly signal?: AbortSignal
  } = {},
): Promise<FileDelivery> {
  const { folder, runId = 'run_1', delivered = [], signal } = run
  const destination = sftp.destinations['folder']
  if (destination?.delivers !== 'files') throw new Error('The connector delivers no files')
  const ctx = makeContext({ settings: { ...settings }, ...(signal !== undefined && { signal }) })
  return destination.open(ctx, folder === undefined ? {} : { folder }, { runId, delivered })
}
