/** Finds planted texts wherever they went: raw, escaped as JSON or for a URL, in hexadecimal, and inside base64. */
function formsOf(canary: string): readonly string[] {
  const bytes = Buffer.from(canary, 'utf8')
  // Within a longer text the first and last characters of base64 also hold bits of the neighbours.
  const within = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
  })
  const base64 = within.flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')])
  const hex = bytes.toString('hex')
  return [canary, JSON.stringify(canary).slice(1, -1), encodeURIComponent(canary), hex, hex.toUpperCase(), ...base64]
}

/** Numbers of the canaries that a text holds; never the canaries themselves, which a report would then leak. */
export function findCanaries(haystack: string, canaries: readonly string[]): readonly number[] {
  return canaries.flatMap((canary, index) => (formsOf(canary).some((form) => haystack.includes(form)) ? [index] : []))
}
