/** The texts of the pages in the reader's language. Nothing that a person reads is written anywhere else. */
import { formatMessage, type Message, type Values } from './format.ts'
import type { en } from './en/index.ts'

export type MessageKey = keyof typeof en
export const LANGUAGES = ['en', 'de'] as const
export type Language = (typeof LANGUAGES)[number]

const STORED = 'patchbay.language'

let language: Language = 'en'
let messages: Readonly<Record<string, Message>> = {}

/** Before the first page is drawn; the other language is never loaded. */
export async function chooseLanguage(): Promise<void> {
  language = storedLanguage() ?? (navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en')
  messages = language === 'de' ? (await import('./de/index.ts')).de : (await import('./en/index.ts')).en
  document.documentElement.lang = language
}

export function currentLanguage(): Language {
  return language
}

/** Kept in this browser; the page is loaded again in the other language, at the same address. */
export function changeLanguage(next: Language): void {
  localStorage.setItem(STORED, next)
  location.reload()
}

/** The text for a key, with its places filled in. */
export function t(key: MessageKey, values: Values = {}): string {
  const message = messages[key]
  return message === undefined ? key : formatMessage(message, values, locale())
}

/** For numbers and dates: the browser's own where it speaks the chosen language, as en-GB for English. */
export function locale(): string {
  return navigator.languages.find((name) => name.toLowerCase().startsWith(language)) ?? language
}

function storedLanguage(): Language | undefined {
  const stored = localStorage.getItem(STORED)
  return LANGUAGES.find((known) => known === stored)
}
