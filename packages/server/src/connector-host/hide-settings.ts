/**
 * Takes the settings of a connection out of what is said about a run. Whoever may see the run need not be one of the
 * Administrators, who alone may know where and as whom a connection connects: the field's label stands in its place, and
 * that is also what an Administrator has to look at.
 * The limit: what only the far end knows of itself, such as the address behind a name, is not recognised.
 */
import type { Fields } from '@patchbay/connector-sdk'
import type { FieldValues } from '../domain/field-values.ts'

/** Shorter than this, a value would be found in ordinary words. */
const LENGTH_MIN = 3

export function makeSettingsHider(fields: Fields, values: FieldValues): (text: string) => string {
  const labels = new Map<string, string>()
  for (const [name, value] of Object.entries(values)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    // A choice, a number and a switch are words and figures of everyday, and say little without the rest.
    if (field === undefined || (field.kind !== 'text' && field.kind !== 'lookup' && field.kind !== 'pin')) continue
    for (const form of formsOf(String(value))) labels.set(form.toLowerCase(), field.label)
  }
  if (labels.size === 0) return (text) => text
  const forms = [...labels.keys()].toSorted((a, b) => b.length - a.length).map((form) => RegExp.escape(form))
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(${forms.join('|')})(?![\\p{L}\\p{N}])`, 'giu')
  return (text) => text.replace(pattern, (found) => `[${labels.get(found.toLowerCase()) ?? 'setting'}]`)
}

/** A web address is also quoted in parts: its origin, its host with and without the port, its path. */
function formsOf(value: string): readonly string[] {
  const text = value.trim()
  const forms = [text]
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) && URL.canParse(text)) {
    const { origin, host, hostname, pathname, search } = new URL(text)
    forms.push(origin, host, hostname, pathname, `${pathname}${search}`)
  }
  return forms.map((form) => form.replace(/^\/+$/, '')).filter((form) => form.length >= LENGTH_MIN)
}
