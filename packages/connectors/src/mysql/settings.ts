import type { Fields } from '@patchbay/connector-sdk'

export const NAME_LENGTH_MAX = 64

/**
 * All that says where, as whom and trusting whom is an `endpoint`: who could point a stored password at another server,
 * or make this one's certificate unchecked, could read it.
 */
export const settings = {
  host: {
    kind: 'text',
    label: 'Host',
    example: 'db.example.com',
    pattern: '[^\\s/@]+',
    maxLength: 253,
    endpoint: true,
  },
  port: { kind: 'number', label: 'Port', default: 3306, min: 1, max: 65535, endpoint: true },
  database: {
    kind: 'text',
    label: 'Database',
    help: 'Also called schema: where the tables are',
    maxLength: NAME_LENGTH_MAX,
    endpoint: true,
  },
  user: {
    kind: 'text',
    label: 'User',
    help: 'An account for Patchbay alone, with the rights that this connector’s page lists and no more',
    maxLength: 128,
    endpoint: true,
  },
  password: { kind: 'secret', label: 'Password', help: 'As set by CREATE USER … IDENTIFIED BY for this user' },
  tls: {
    kind: 'choice',
    label: 'Encryption',
    choices: [
      { value: 'verify', label: 'TLS, with the server’s certificate checked' },
      {
        value: 'none',
        label: 'None: I trust every part of the network between Patchbay and the server',
        help: 'Rows travel readable. There is no choice in between: encryption without a checked certificate keeps out nobody who stands in the way.',
      },
    ],
    default: 'verify',
    endpoint: true,
  },
  ca: {
    kind: 'text',
    label: 'Certificate authority',
    help: 'The certificate (PEM) of your own authority. Empty: the authorities that this machine trusts.',
    optional: true,
    multiline: true,
    maxLength: 65_536,
    showWhen: { field: 'tls', is: 'verify' },
    endpoint: true,
  },
} as const satisfies Fields

export const tableFields = {
  table: {
    kind: 'text',
    label: 'Table',
    help: 'Made when it does not exist',
    example: 'customers',
    maxLength: NAME_LENGTH_MAX,
  },
} as const satisfies Fields
