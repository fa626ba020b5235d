/**
 * Secrets of one running program. The key-encryption key wraps data keys, and the active data key seals secrets. Rotation
 * makes a new one of both: every data key is wrapped a second time, the file is changed in one step, and the first wrapping
 * is taken away; a process killed in between finds a key that opens everything, whichever of the two files it finds. What
 * was sealed before is sealed anew afterwards, row by row; the data keys of before stay, so nothing waits for that.
 * The wrapped data keys are also how a wrong key file is noticed at the start, before anything is sent or written.
 */
import { hkdfSync } from 'node:crypto'
import { Problem } from '../domain/problem.ts'
import { KEY_BYTES, hasNextKey, readKeyFile, readNextKey, takeNextKey } from './key-file.ts'
import { keyIdOf, openSecret, sealSecret, type SecretPlace } from './seal.ts'
import { newDataKey, unwrapKey, wrapKey, type WrappedKey } from './wrap.ts'

export type { SecretPlace } from './seal.ts'

export interface Vault {
  seal(text: string, place: SecretPlace): string
  /** Throws `Problem` when the text was not sealed for this place. A data key that is new here is looked up. */
  open(sealed: string, place: SecretPlace): Promise<string>
  /** A key for one purpose, as for backups; the purposes know nothing of each other's keys. */
  deriveKey(purpose: string, salt: Uint8Array): Uint8Array
  /** Under which secrets are sealed now. */
  activeKeyId(): string
  /** Takes what another process did: its new data key, or a new key file. */
  reload(): Promise<void>
  /** Ends a rotation that was begun, or makes a new key and a new data key. Gives where the old key file is kept. */
  rotate(): Promise<{ readonly oldKeyFile: string }>
  /** Takes the old key's wrappings away; every process must have the new key file by then. */
  settleRotation(): Promise<void>
  /** The old key opens the data keys still. */
  isUnsettled(): Promise<boolean>
}

/** Where wrapped data keys are kept; `store/data-key.ts` has the functions. */
export interface DataKeyPlace {
  list(): Promise<readonly StoredDataKey[]>
  /** Keeps what is there already when another process was quicker. */
  addFirst(key: WrappedKey): Promise<void>
  /** Whole or not at all: `fresh` takes the place of `retired`, and each of the others gets its second wrapping. */
  beginRotation(
    retired: string,
    fresh: WrappedKey & { readonly wrappedNext: string },
    next: ReadonlyMap<string, string>,
  ): Promise<void>
  /** The second wrappings take the place of the first. */
  settleRotation(): Promise<void>
}

export interface StoredDataKey extends WrappedKey {
  readonly wrappedNext: string | null
  readonly state: 'active' | 'retired'
}

export interface VaultOptions {
  readonly keyFile: string
  readonly dataKeys: DataKeyPlace
  readonly randomBytes: (size: number) => Uint8Array
  /** The proof stops the process here. */
  readonly failpoint?: (point: RotationPoint) => void
}

export type RotationPoint = 'key-written' | 'keys-wrapped' | 'file-swapped' | 'rotation-settled' | 'row-sealed-anew'

interface Opened {
  readonly wrapping: Uint8Array
  readonly keys: ReadonlyMap<string, Uint8Array>
  readonly active: { readonly id: string; readonly key: Uint8Array }
}

/** Fails closed: a missing, readable, damaged or wrong key stops the start with a `Problem`. */
export async function openVault(options: VaultOptions): Promise<Vault> {
  const { dataKeys, keyFile, randomBytes, failpoint = () => undefined } = options
  const isNeeded = (await dataKeys.list()).length > 0
  const first = readKeyFile({ path: keyFile, isNeeded, randomBytes })
  if (!isNeeded) await dataKeys.addFirst(newDataKey(first, randomBytes).wrapped)
  let opened = await openKeys(options)

  const settleRotation = async (): Promise<void> => {
    const rows = await dataKeys.list()
    const { wrapping } = opened
    if (!rows.some(isTwice)) return
    // Only where this key opens every second wrapping: else the first is the only way there is.
    if (!rows.every((row) => opensNext(row, wrapping)))
      throw new Problem('not-ready', 'The key file of this process is not the new one', {
        path: 'PATCHBAY_KEY_FILE',
        cure: 'Put the new key file here too, and start again',
      })
    await dataKeys.settleRotation()
    failpoint('rotation-settled')
  }

  return {
    seal: (text, place) => sealSecret(text, place, opened.active, randomBytes),
    async open(sealed, place) {
      if (!opened.keys.has(keyIdOf(sealed))) opened = await openKeys(options)
      return openSecret(sealed, place, (id) => opened.keys.get(id))
    },
    deriveKey: (purpose, salt) =>
      new Uint8Array(hkdfSync('sha256', opened.wrapping, salt, `patchbay ${purpose}`, KEY_BYTES)),
    activeKeyId: () => opened.active.id,
    async reload() {
      opened = await openKeys(options)
    },
    async rotate() {
      opened = await openKeys(options)
      const rows = await dataKeys.list()
      // One that was begun here with the key that lies ready is carried on; any other must end first, or its key is lost.
      const isBegun = rows.some(isTwice)
      if (isBegun && !hasNextKey(keyFile)) throw unsettled()
      const next = readNextKey(keyFile, { randomBytes })
      failpoint('key-written')
      if (isBegun && !rows.every((row) => opensNext(row, next))) throw unsettled()
      if (!isBegun) {
        const fresh = newDataKey(opened.wrapping, randomBytes)
        const wrapNext = (id: string, key: Uint8Array): string => wrapKey(id, key, next, randomBytes)
        const wrapped = { ...fresh.wrapped, wrappedNext: wrapNext(fresh.wrapped.id, fresh.key) }
        const others = new Map([...opened.keys].map(([id, key]) => [id, wrapNext(id, key)]))
        await dataKeys.beginRotation(opened.active.id, wrapped, others)
      }
      failpoint('keys-wrapped')
      const oldKeyFile = takeNextKey(keyFile, `before-${(await openKeys(options)).active.id}`)
      failpoint('file-swapped')
      opened = await openKeys(options)
      return { oldKeyFile }
    },
    settleRotation,
    isUnsettled: async () => (await dataKeys.list()).some(isTwice),
  }
}

function opensNext({ id, wrappedNext }: StoredDataKey, wrapping: Uint8Array): boolean {
  return wrappedNext !== null && unwrapKey(id, wrappedNext, wrapping) !== undefined
}

function unsettled(): Problem {
  return new Problem('conflict', 'An earlier rotation of the key has not ended', {
    cure: 'When every machine has the new key file: patchbay key rotate --finish',
  })
}

function isTwice({ wrappedNext }: StoredDataKey): boolean {
  return wrappedNext !== null
}

/** With the key file as it is now, by whichever wrapping it opens. */
async function openKeys({ dataKeys, keyFile, randomBytes }: VaultOptions): Promise<Opened> {
  const wrapping = readKeyFile({ path: keyFile, isNeeded: true, randomBytes })
  const keys = new Map<string, Uint8Array>()
  let active: string | undefined
  for (const { id, wrapped, wrappedNext, state } of await dataKeys.list()) {
    const key =
      unwrapKey(id, wrapped, wrapping) ?? (wrappedNext === null ? undefined : unwrapKey(id, wrappedNext, wrapping))
    if (key === undefined) throw wrongKey(keyFile)
    keys.set(id, key)
    if (state === 'active') active = id
  }
  const key = active === undefined ? undefined : keys.get(active)
  if (active === undefined || key === undefined) throw new Error('The store has no active data key')
  return { wrapping, keys, active: { id: active, key } }
}

function wrongKey(keyFile: string): Problem {
  return new Problem('not-ready', `The key in ${keyFile} is not the one that this control store was sealed with`, {
    path: 'PATCHBAY_KEY_FILE',
    cure: 'Give the key file that belongs to this data folder or database. Nothing was changed',
  })
}
