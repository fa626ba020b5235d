import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { de } from './de/index.ts'
import { en } from './en/index.ts'
import { formatMessage, placesOf, type Message } from './format.ts'

const english: Readonly<Record<string, Message>> = en
const german: Readonly<Record<string, Message>> = de

test('every text is there in both languages', () => {
  expect(Object.keys(english).length).toBeGreaterThan(50)
  expect(Object.keys(german).toSorted()).toEqual(Object.keys(english).toSorted())
})

test('both languages fill the same places', () => {
  for (const [key, message] of Object.entries(english))
    expect([key, placesOf(german[key] ?? '')]).toEqual([key, placesOf(message)])
})

test('no area writes over a text of another', () => {
  for (const language of ['en', 'de']) {
    const keys = globSync(`${language}/*.ts`, { cwd: import.meta.dirname })
      .map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'))
      .flatMap((text) => [...text.matchAll(/^ {2}'([^']+)':/gm)].map(([, key = '']) => key))
    expect(keys.length).toBe(Object.keys(english).length)
    expect(keys.toSorted()).toEqual(Object.keys(english).toSorted())
  }
})

test('every text is used by a page', () => {
  const source = globSync('**/*.{ts,tsx}', { cwd: join(import.meta.dirname, '..'), exclude: ['messages/**'] })
    .map((file) => readFileSync(join(import.meta.dirname, '..', file), 'utf8'))
    .join('\n')
  // A key that is put together, as `status.${status}`, counts for all that begin so.
  const beginnings = [...source.matchAll(/`([a-z][\w-]*(?:\.[\w-]+)*\.)\$\{/g)].map(([, beginning = '']) => beginning)
  // The words of actions are a vocabulary that all pages take from.
  const unused = Object.keys(english).filter(
    (key) =>
      !key.startsWith('action.') &&
      !source.includes(`'${key}'`) &&
      !source.includes(`"${key}"`) &&
      !beginnings.some((beginning) => key.startsWith(beginning)),
  )
  expect(unused).toEqual([])
})

test('numbers stand in the words of the language', () => {
  const rows: Message = { one: '{count} row', other: '{count} rows' }
  expect(formatMessage(rows, { count: 1 }, 'en-GB')).toBe('1 row')
  expect(formatMessage(rows, { count: 12_345 }, 'en-GB')).toBe('12,345 rows')
  expect(formatMessage('{count} Zeilen', { count: 12_345 }, 'de-DE')).toBe('12.345 Zeilen')
})

test('what a person typed into a place stays text', () => {
  expect(formatMessage('Removed {name}', { name: '{count} <b>' }, 'en')).toBe('Removed {count} <b>')
})
