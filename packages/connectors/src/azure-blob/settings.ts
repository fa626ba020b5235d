import { SettingsInvalid, type Fields, type Values } from '@patchbay/connector-sdk'
import { readConnectionString, type Account } from './connection-string.ts'

/** All that says where and as whom is an `endpoint`. A connection string says both, and is a secret as a whole. */
export const settings = {
  signIn: {
    kind: 'choice',
    label: 'Sign in with',
    choices: [
      {
        value: 'client',
        label: 'App registration',
        help: 'Microsoft Entra ID, with a client secret; the best of the four',
      },
      { value: 'sas', label: 'Shared access signature', help: 'Of the container or the account' },
      { value: 'key', label: 'Account key', help: 'Of the storage account: whoever has it may do everything in it' },
      { value: 'connection-string', label: 'Connection string' },
    ],
    default: 'client',
  },
  account: {
    kind: 'text',
    label: 'Storage account',
    help: 'Its name, as on its overview page. A connection string names it itself: then leave it empty',
    example: 'mycompanyexports',
    pattern: '[a-z0-9]+',
    maxLength: 24,
    optional: true,
    endpoint: true,
  },
  container: {
    kind: 'text',
    label: 'Container',
    help: 'It must exist',
    example: 'exports',
    pattern: '[a-z0-9$][a-z0-9-]+',
    maxLength: 63,
    endpoint: true,
  },
  baseFolder: {
    kind: 'text',
    label: 'Base folder',
    help: 'Exports write below it only. Left empty: the whole container',
    example: 'patchbay',
    pattern: '[^/\\\\][^\\\\]*',
    maxLength: 500,
    optional: true,
  },
  tenantId: {
    kind: 'text',
    label: 'Directory (tenant) ID',
    help: 'Microsoft Entra ID, App registrations, the application, Overview',
    example: '00000000-0000-0000-0000-000000000000',
    pattern: '[\\w.-]+',
    maxLength: 100,
    showWhen: { field: 'signIn', is: 'client' },
    endpoint: true,
  },
  clientId: {
    kind: 'text',
    label: 'Application (client) ID',
    help: 'On the same page',
    example: '00000000-0000-0000-0000-000000000000',
    pattern: '[0-9A-Za-z-]+',
    maxLength: 100,
    showWhen: { field: 'signIn', is: 'client' },
    endpoint: true,
  },
  clientSecret: {
    kind: 'secret',
    label: 'Client secret',
    help: 'Certificates & secrets, New client secret: the value, which is shown once, and not the secret ID',
    showWhen: { field: 'signIn', is: 'client' },
  },
  sas: {
    kind: 'secret',
    label: 'Shared access signature',
    help: 'The container, Shared access tokens: the SAS token or the whole URL. Permissions: Read, Create, Write, Delete',
    showWhen: { field: 'signIn', is: 'sas' },
  },
  accountKey: {
    kind: 'secret',
    label: 'Account key',
    help: 'The storage account, Access keys: key1 or key2',
    showWhen: { field: 'signIn', is: 'key' },
  },
  connectionString: {
    kind: 'secret',
    label: 'Connection string',
    help: 'The storage account, Access keys (or Shared access signature): Connection string',
    showWhen: { field: 'signIn', is: 'connection-string' },
  },
  cloud: {
    kind: 'choice',
    label: 'Cloud',
    choices: [
      { value: 'public', label: 'Azure' },
      { value: 'us-government', label: 'Azure Government (US)' },
      { value: 'china', label: 'Azure operated by 21Vianet (China)' },
    ],
    default: 'public',
    endpoint: true,
  },
  endpoint: {
    kind: 'text',
    label: 'Blob service endpoint',
    help: 'The storage account, Endpoints, Blob service. Left empty: the usual one of the account',
    example: 'https://mycompanyexports.blob.core.windows.net',
    pattern: 'https?://[^?#@\\s]+',
    maxLength: 300,
    optional: true,
    endpoint: true,
  },
} as const satisfies Fields

export type AzureSettings = Values<typeof settings>

const CLOUDS = {
  public: { storage: 'core.windows.net', signIn: 'https://login.microsoftonline.com' },
  'us-government': { storage: 'core.usgovcloudapi.net', signIn: 'https://login.microsoftonline.us' },
  china: { storage: 'core.chinacloudapi.cn', signIn: 'https://login.chinacloudapi.cn' },
} as const

export function tokenEndpointOf({ cloud, tenantId }: AzureSettings): string {
  return `${CLOUDS[cloud].signIn}/${tenantId ?? ''}/oauth2/v2.0/token`
}

export function accountOf(given: AzureSettings): Account {
  if (given.signIn === 'connection-string')
    return readConnectionString(given.connectionString?.reveal() ?? '', CLOUDS[given.cloud].storage)
  const name = given.account ?? ''
  if (name === '') throw new SettingsInvalid('account', 'Enter the name of the storage account')
  const usual = `https://${name}.blob.${CLOUDS[given.cloud].storage}`
  const url = (given.endpoint === undefined || given.endpoint === '' ? usual : given.endpoint).replace(/\/$/, '')
  switch (given.signIn) {
    case 'key':
      return { url, name, proof: { kind: 'key', key: given.accountKey?.reveal().trim() ?? '' } }
    case 'sas':
      return { url, name, proof: { kind: 'sas', sas: sasOf(given.sas?.reveal() ?? '') } }
    case 'client':
      return { url, name, proof: { kind: 'token' } }
  }
}

/** The token, of itself or out of the URL that the portal shows beside it. */
function sasOf(given: string): string {
  const sas = given.trim().replace(/^[^?]*\?/, '')
  if (!new URLSearchParams(sas).has('sig'))
    throw new SettingsInvalid('sas', 'This is no shared access signature: it has no sig=… in it')
  return sas
}

/** Of the account, where the settings are whole; signing in elsewhere is not possible. */
export function originsOf(given: AzureSettings): readonly string[] {
  return [new URL(accountOf(given).url).origin]
}
