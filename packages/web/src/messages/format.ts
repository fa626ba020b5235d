/** A text with places in braces; or one for each number, chosen by `count` and the language's own rules. */
export type Message = string | { readonly one: string; readonly other: string }
export type Values = Readonly<Record<string, string | number>>

export function formatMessage(message: Message, values: Values, locale: string): string {
  const text = typeof message === 'string' ? message : message[formOf(values['count'], locale)]
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name]
    if (value === undefined) return whole
    return typeof value === 'number' ? formatNumber(value, locale) : value
  })
}

/** The places that a message has, to compare its translations. */
export function placesOf(message: Message): readonly string[] {
  const texts = typeof message === 'string' ? [message] : Object.values(message)
  const places = texts.flatMap((text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name))
  return [...new Set(places)].toSorted()
}

function formOf(count: string | number | undefined, locale: string): 'one' | 'other' {
  return new Intl.PluralRules(locale).select(Number(count ?? 0)) === 'one' ? 'one' : 'other'
}

function formatNumber(value: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(value)
}
