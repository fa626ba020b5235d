/**
 * The normal forms, against the services' own published examples, and against a second implementation of them that shares
 * no line with the first: plain loops over characters, and Node's own SHA-256.
 */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import type { NormalForm } from '@patchbay/connector-sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeTestLake, type TestLake } from './lake-test-support.ts'
import { columnValue } from './plan-sql/cell-sql.ts'
import { parquetFiles } from './sql-text.ts'
import { join } from 'node:path'

let lake: TestLake
beforeAll(async () => {
  lake = await makeTestLake()
})
afterAll(async () => lake.remove())

const sha = (text: string): string => createHash('sha256').update(text).digest('hex')
/** What stands in a cell that cannot be sent. */
const unsendable = (value: string): string => `\u0001${sha(value)}`

async function cells(form: NormalForm, values: readonly (string | null)[], isHashed = false): Promise<unknown[]> {
  const rows = values.map((value, id) => ({ id, value }))
  const table = await lake.write(`values_${form}`, 'id', { id: 'integer', value: 'text' }, rows)
  const column = {
    to: 'value',
    from: 'value',
    sourceType: 'text',
    type: 'text',
    transforms: [],
    normal: form,
    ...(isHashed ? ({ hash: 'sha256' } as const) : {}),
    identifier: false,
  } as const
  const files = parquetFiles(table.files.map((file) => join(lake.root, file)))
  const got = await lake.db.rows(`SELECT ${columnValue(column)} AS cell FROM ${files} t ORDER BY id`)
  return got.map((row) => row['cell'])
}

describe('the examples that the services publish', () => {
  // Google: "Format user data" of the Data Manager API, and the tests of its own formatter.
  it.each<[NormalForm, string, string]>([
    ['gmail-email', 'QuinnY@EXAMPLE.com', 'quinny@example.com'],
    ['gmail-email', 'Jefferson.Loves.hiking@gmail.com', 'jeffersonloveshiking@gmail.com'],
    ['gmail-email', 'Jefferson.LOVES.Hiking@googlemail.com', 'jeffersonloveshiking@googlemail.com'],
    ['gmail-email', 'cloudy.sanfrancisco+shopping@gmail.com', 'cloudysanfrancisco@gmail.com'],
    ['gmail-email', 'Cloudy.SanFrancisco+shopping@googlemail.com', 'cloudysanfrancisco@googlemail.com'],
    ['gmail-email', 'user.name+NYC@Example.com', 'user.name+nyc@example.com'],
    ['gmail-email', ' a b@gmail .com ', 'ab@gmail.com'],
    ['e164', '1 800 555 0100', '+18005550100'],
    ['e164', '18005550100', '+18005550100'],
    ['e164', '+1 800-555-0100', '+18005550100'],
    ['e164', '441134960987', '+441134960987'],
    ['e164', '+44-113-496-0987', '+441134960987'],
    ['name', '  GivenName  ', 'givenname'],
    ['postal-code', ' 1229-076  ', '1229-076'],
    ['country-upper', ' uS ', 'US'],
    // Meta: "Customer Information Parameters".
    ['email', 'John_Smith@gmail.com', 'john_smith@gmail.com'],
    ['bare-name', 'Mary', 'mary'],
    ['bare-name', '정', '정'],
    ['bare-name', 'Valéry', 'valéry'],
    ['bare-name', 'New York', 'newyork'],
    ['bare-region', 'AZ', 'az'],
    ['bare-region', 'New York', 'ny'],
    ['bare-postal-code', '94035-1234', '94035'],
    ['bare-postal-code', '94035', '94035'],
    ['bare-postal-code', '75018', '75018'],
    ['bare-postal-code', 'M1 1AE', 'm11ae'],
    ['country-lower', 'United States', 'us'],
    ['birth-date', '2/16/1997', '19970216'],
    ['phone-digits', '+1 (650) 555-1212', '16505551212'],
  ])('%s of %j', async (form, value, wanted) => {
    expect(await cells(form, [value])).toEqual([wanted])
  })

  it.each<[NormalForm, string, string]>([
    ['gmail-email', '  ALEXZ@example.com   ', '509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a'],
    ['e164', '   +1-800-555-0100', 'fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30'],
    ['name', 'GivenName ', '128a07bfe2df877c52076e60d7774cf5baaa046c5a6c48daf30ff43ecca2f814'],
    ['name', '  FamilyName ', '77762c287e61ce065bee5c15464012c6fbe088398b8057627d5577249430d574'],
    ['email', ' John_Smith@gmail.com ', '62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f'],
    ['phone-digits', '+1 (650)555-1212', 'e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176'],
    ['bare-name', 'Mary', '6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec'],
    ['bare-name', '정', '8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14'],
    ['bare-name', 'Valéry', '08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c'],
    ['birth-date', '2/16/1997', '01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c'],
    ['country-lower', 'United States', '79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621'],
  ])('the hash of %s of %j', async (form, value, wanted) => {
    expect(await cells(form, [value], true)).toEqual([wanted])
  })

  it.each<[NormalForm, readonly string[]]>([
    ['gmail-email', ['quinn', ' @googlemail.com', ' ...@gmail.com', 'a@b@c', '+a@gmail.com', '@', 'a@']],
    ['email', ['a', 'a@@b', '@b']],
    ['e164', [' +A BCD EFG ', '089 123456', '(089) 123456', '12345', '+1234567890123456', '+49 89 1 ext 5', '+49 89 123456 / +49 89 1']],
    ['phone-digits', ['0171 2345678', 'none', '1-800-FLOWERS', '+']],
    ['country-upper', ['Atlantis', 'XX', 'U', 'USSR']],
    ['birth-date', ['3/4/1997', '1899-12-31', '1997-02-30', '2/31/1997', 'in May', '19970230', '2100-01-01']],
    ['birth-day', ['1997-13-01']],
    ['device-id', ['00000000-0000-0000-0000-000000000000', 'AECE52E7', 'AECE52E703EE455AB3C4E57283966239']],
  ])('%s cannot be made of what is none', async (form, values) => {
    expect(await cells(form, values)).toEqual(values.map(unsendable))
    expect(await cells(form, values, true)).toEqual(values.map(unsendable))
  }) // prettier-ignore

  it('what is hashed already passes as it is, and what is empty stays empty', async () => {
    const hash = sha('x')
    expect(await cells('email', [hash.toUpperCase(), ` ${hash} `, null, '', ' \u3000'], true)).toEqual([hash, hash, null, null, null])
    // Where no hash is asked, 64 hex digits are no e-mail address.
    expect(await cells('email', [hash])).toEqual([unsendable(hash)])
    expect(await cells('bare-name', ['-', '…'], true)).toEqual([null, null])
  }) // prettier-ignore

  it('the rest of the forms', async () => {
    expect(await cells('birth-date', ['1997-02-16', '1997-02-16T00:00:00.000000Z', '16.2.1997', '5/5/1999', '19970216', '16/2/1997'])).toEqual(
      ['19970216', '19970216', '19970216', '19990505', '19970216', '19970216'])
    expect([await cells('birth-year', ['1997-02-06']), await cells('birth-month', ['1997-02-06']), await cells('birth-day', ['1997-02-06'])]).toEqual(
      [['1997'], ['02'], ['06']])
    expect(await cells('gender', ['F', ' Male', 'weiblich', 'm.', 'diverse', 'x'])).toEqual(['f', 'm', 'f', 'm', null, null])
    expect(await cells('initial', ["'Émile", 'İnci'])).toEqual(['é', 'i'])
    expect(await cells('device-id', [' AECE52E7-03EE-455A-B3C4-E57283966239'])).toEqual(['aece52e7-03ee-455a-b3c4-e57283966239'])
    expect(await cells('bare-name', ["O'Brien-Šmíd", 'ΓΙΩΡΓΟΣ', 'Vale\u0301ry', 'ΣΙΣΥΦΟΣ'])).toEqual(['obrienšmíd', 'γιωργος', 'valéry', 'σισυφος'])
    expect(await cells('country-lower', ['de', 'GERMANY', 'Côte d’Ivoire', 'uk', 'Türkiye'])).toEqual(['de', 'de', 'ci', 'gb', 'tr'])
    expect(await cells('bare-region', ['Île-de-France', 'district of columbia', 'Bayern'])).toEqual(['îledefrance', 'dc', 'bayern'])
    expect(await cells('e164', ['0049 (0)89 / 12 34-56', '+49 (0) 89 123456', 'tel:+4989123456', '+٤٩ ٨٩ ١٢٣٤٥٦', '＋４９８９１２３４５６'])).toEqual(
      ['+4989123456', '+4989123456', '+4989123456', '+4989123456', '+4989123456'])
  }) // prettier-ignore
})

// ---- the second implementation -------------------------------------------------------------------------------------

const isSpace = (char: string): boolean => /^[\s\u0085\u200b\ufeff]$/u.test(char) || /^\p{Z}$/u.test(char)
const isBare = (char: string): boolean => /^[\p{L}\p{M}\p{N}]$/u.test(char)
const trim = (text: string): string => {
  const chars = [...text]
  while (chars[0] !== undefined && isSpace(chars[0])) chars.shift()
  while (chars.at(-1) !== undefined && isSpace(chars.at(-1) ?? '')) chars.pop()
  return chars.join('')
}

const SECOND: Readonly<Record<string, (text: string) => string | null>> = {
  email(text) {
    const kept = [...text].filter((char) => !isSpace(char)).join('').toLowerCase() // prettier-ignore
    const parts = kept.split('@')
    return parts.length === 2 && parts.every((part) => part !== '') ? kept : null
  },
  'gmail-email'(text) {
    const address = SECOND['email']?.(text) ?? null
    if (address === null) return null
    const [local = '', domain = ''] = address.split('@')
    if (domain !== 'gmail.com' && domain !== 'googlemail.com') return address
    let kept = ''
    for (const char of local) {
      if (char === '+') break
      if (char !== '.') kept += char
    }
    return kept === '' ? null : `${kept}@${domain}`
  },
  'phone-digits'(text) {
    let digits = ''
    for (const char of trim(text)) {
      if (char >= '0' && char <= '9') digits += char
      else if (/\p{L}/u.test(char)) return null
    }
    const isAbroad = /^[ (]*(?:\+|00)/.test(trim(text))
    if (isAbroad) {
      if (text.includes('(0)')) digits = [...text.split('(0)').join('')].filter((c) => c >= '0' && c <= '9').join('')
      while (digits.startsWith('0')) digits = digits.slice(1)
    }
    return digits.startsWith('0') || digits.length < 7 || digits.length > 15 ? null : digits
  },
  e164(text) {
    const digits = SECOND['phone-digits']?.(text) ?? null
    return digits === null ? null : `+${digits}`
  },
  name: (text) => trim(text.normalize('NFC')).toLowerCase(),
  'bare-name': (text) => [...text.normalize('NFC')].filter(isBare).join('').toLowerCase(),
}

const NAME_PARTS = ['Anna', "O'Brien", 'Müller', 'Zoë', 'ÉMILE', 'van der', 'Šmíd', '정', '山田', 'Øyvind', 'Γιώργος', 'ΓΙΩΡΓΟΣ', 'Иван', 'José', 'Jose\u0301', 'İnci', 'ISTANBUL', 'ẞ', 'Æsa', 'गौरव', '-', '.', '\u00a0', '’', '  ', '\u200b', 'Jr.', '3rd'] // prettier-ignore
const names = fc.oneof(
  fc.array(fc.constantFrom(...NAME_PARTS), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(' ')),
  fc.string({
    unit: fc.constantFrom(...Array.from("abcÄöüßéñçÅøłž ŐĞ-’'.,()0123456789 \t")),
    minLength: 1,
    maxLength: 24,
  }),
)
const phones = fc
  .tuple(
    fc.constantFrom('+', '00', '', '(+', ' +', '0', '+('),
    fc.constantFrom('1', '49', '44', '351', '7', '998'),
    fc.constantFrom('', ')', ' ', '-', ' (0)', '/'),
    fc.array(fc.constantFrom('0', '12', '345', '6', '789', ' ', '-', '.', ' / '), { minLength: 1, maxLength: 10 }),
    fc.constantFrom('', ' ', '\u00a0', '', '', ' ext 3'),
  )
  .map(([plus, country, gap, rest, end]) => `${plus}${country}${gap}${rest.join('')}${end}`)
const addresses = fc
  .tuple(
    fc.array(fc.constantFrom('anna', 'B.', '.', '+shop', 'Zoë', '_', 'ΣΟΦΟΣ', '9', ' ', '@'), { maxLength: 5 }),
    fc.constantFrom('@', '@', '@', '@', '', '@@'),
    fc.constantFrom('gmail.com', 'GMAIL.com', 'googlemail.com', 'Example.org', 'mail.gmail.com', 'gmail.com.au', 'x', ' gmail.com ', ''),
  )
  .map(([local, at, domain]) => `${local.join('')}${at}${domain}`) // prettier-ignore

describe('10,000 generated values have the hash that a second implementation gives', () => {
  it.each<[NormalForm, fc.Arbitrary<string>]>([
    ['name', names],
    ['bare-name', names],
    ['e164', phones],
    ['phone-digits', phones],
    ['email', addresses],
    ['gmail-email', addresses],
  ])('%s', async (form, values) => {
    const given = fc.sample(values, { numRuns: 10_000, seed: 20_260 })
    const wanted = given.map((value) => {
      if ([...value].every((char) => isSpace(char) && char !== '\u200b')) return null
      const normal = SECOND[form]?.(value) ?? null
      return normal === null ? unsendable(value) : normal === '' ? null : sha(normal)
    })
    const got = await cells(form, given, true)
    const wrong = given.flatMap((value, at) => (got[at] === wanted[at] ? [] : [{ value, got: got[at], wanted: wanted[at] }]))
    expect(wrong.slice(0, 5)).toEqual([])
    expect(new Set(got).size).toBeGreaterThan(1000)
  }) // prettier-ignore
})
