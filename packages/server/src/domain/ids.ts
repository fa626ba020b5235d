/** Ids are text with a prefix that says what they name; 20 random characters of base 32 (100 bits) make them unguessable. */
export type TableId = string & { readonly __id: 'table' }
export type SegmentId = string & { readonly __id: 'segment' }
export type ConnectionId = string & { readonly __id: 'connection' }
export type ExportId = string & { readonly __id: 'export' }
export type RunId = string & { readonly __id: 'run' }

const PREFIX = {
  table: 'tbl',
  segment: 'seg',
  connection: 'con',
  export: 'exp',
  run: 'run',
  key: 'key',
  upload: 'upl',
  notification: 'ntf',
  attempt: 'att',
  user: 'usr',
  link: 'lnk',
  session: 'ses',
} as const
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

export type IdKind = keyof typeof PREFIX

/** `randomBytes` is passed in, so that tests can make the same ids again. */
export function newId<K extends IdKind>(
  kind: K,
  randomBytes: (size: number) => Uint8Array,
): string & { readonly __id: K } {
  const text = Array.from(randomBytes(20), (byte) => ALPHABET[byte & 31]).join('')
  return `${PREFIX[kind]}_${text}` as string & { readonly __id: K }
}

/** Whether a text can be an id of this kind: ids are used in paths, so nothing else may pass for one. */
export function isId(kind: IdKind, text: string): boolean {
  return new RegExp(`^${PREFIX[kind]}_[a-z2-7]{20}$`).test(text)
}
