import { inspect } from 'node:util'
import type { Secret } from '@patchbay/connector-sdk'

/** Holds a secret so that no accident shows it: printing, logging, JSON and string building all give `[secret]`. */
export function makeSecret(text: string): Secret {
  return Object.freeze(new HiddenSecret(text))
}

const SHOWN = '[secret]'

class HiddenSecret implements Secret {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  reveal(): string {
    return this.#text
  }
  toString(): string {
    return SHOWN
  }
  toJSON(): string {
    return SHOWN
  }
  [Symbol.toPrimitive](): string {
    return SHOWN
  }
  [inspect.custom](): string {
    return SHOWN
  }
}
