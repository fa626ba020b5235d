import { inspect } from 'node:util'
import { ConnectionRefused, RateLimited, SettingsInvalid, Unavailable } from '@patchbay/connector-sdk'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cleanError, ConnectorFault } from './clean-error.ts'
import { makeRedactor, redact } from './redact.ts'
import { makeSecret } from './secret.ts'

/** Every encoding in which an error text has been seen to carry a secret. */
const ENCODINGS: Readonly<Record<string, (secret: string) => string>> = {
  raw: (secret) => secret,
  json: (secret) => JSON.stringify({ password: secret }),
  'json with slashes': (secret) => JSON.stringify(secret).replaceAll('/', '\\/'),
  url: (secret) => `https://a.example/?key=${encodeURIComponent(secret)}&x=1`,
  form: (secret) => new URLSearchParams({ key: secret }).toString(),
  'lower-case url': (secret) => encodeURIComponent(secret).replace(/%../g, (escape) => escape.toLowerCase()),
  hex: (secret) => `0x${Buffer.from(secret).toString('hex')}00`,
  'upper-case hex': (secret) => Buffer.from(secret).toString('hex').toUpperCase(),
  base64: (secret) => Buffer.from(secret).toString('base64'),
  base64url: (secret) => Buffer.from(secret).toString('base64url'),
  'basic, one character before': (secret) => Buffer.from(`a${secret}`).toString('base64'),
  'basic, two before': (secret) => Buffer.from(`a:${secret}:b`).toString('base64'),
  'basic, three before': (secret) => Buffer.from(`ab:${secret}`).toString('base64'),
  html: (secret) =>
    secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
}

const SECRETS = [
  'hunter2!-pw',
  'S3cr3t/with+signs=',
  'pa"ss\\word & <more>',
  'zwölf Boxkämpfer',
  'sk_live_51HxQ2eKfZ0abcdefgh',
  'a b?c#d%e',
]

describe('redact', () => {
  describe.each(Object.keys(ENCODINGS))('%s', (name) => {
    it.each(SECRETS)('hides %j', (secret) => {
      const encode = ENCODINGS[name] ?? String
      const text = redact(`login failed for ${encode(secret)} at once`, ['other-secret', secret])
      expect(text).toContain('[secret]')
      expect(text).not.toContain(encode(secret).slice(3, -3))
      expect(text).toMatch(/^login failed for/)
    })
  })

  it('hides any secret in any encoding, wherever it stands', () => {
    const secret = fc
      .string({ minLength: 8, maxLength: 60, unit: 'grapheme' })
      .filter((text) => text.trim().length >= 8)
    fc.assert(
      fc.property(
        secret,
        fc.string({ maxLength: 50 }),
        fc.constantFrom('raw', 'json', 'url', 'hex', 'base64'),
        (text, around, name) => {
          const encoded = (ENCODINGS[name] ?? String)(text.toWellFormed())
          const { hideSecrets } = makeRedactor([text.toWellFormed()])
          // base64 of up to two bytes at an edge can stay: they hold nothing that can be guessed back.
          expect(hideSecrets(`${around} ${encoded} ${around}`)).toContain('[secret]')
        },
      ),
      { numRuns: 500 },
    )
  })

  it('hides a long secret, whole and in part', () => {
    const key = JSON.stringify({ private_key: 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC'.repeat(40), id: 'x' })
    for (const text of [
      key,
      JSON.stringify({ key }),
      encodeURIComponent(key),
      Buffer.from(`a:${key}`).toString('base64'),
    ])
      expect(redact(text, [key]).length).toBeLessThan(100)
    expect(redact(`near ${key.slice(0, 450)}`, [key])).not.toContain('private')
  })

  it('hides each line of a key of several lines', () => {
    const key =
      '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQDJmYq8zV6Xn3kX\n-----END KEY-----\n'
    expect(redact('bad line BKcwggSjAgEAAoIBAQDJmYq8zV6Xn3kX here', [key])).toBe('bad line [secret] here')
  })

  it.each([
    ['mail to anna.beispiel+x@sub.example.org failed', 'mail to [e-mail] failed'],
    ['q=anna%40example.org', 'q=[e-mail]'],
    ['"anna@example.org","b@c.de"', '"[e-mail]","[e-mail]"'],
    ['call +49 (0)30 1234-5678 now', 'call [number] now'],
    ['row 4111 1111 1111 1111', 'row [number]'],
    ['born 1980-04-19', 'born [number]'],
    ['id 123456789', 'id [number]'],
    ['status 404 after 12 of 100 rows', 'status 404 after 12 of 100 rows'],
    ['169.254.169.254 port 443', '169.254.169.254 port 443'],
  ])('takes personal data out of %j', (text, expected) => {
    expect(redact(text, [])).toBe(expected)
  })

  it('forges no log line, changes no direction, and is short', () => {
    expect(redact('a\r\nlevel=error\x1b[31m\u2028\u202e\0', [])).toBe(
      'a\\u{d} level=error\\u{1b}[31m\\u{2028}\\u{202e}\\u{0}',
    )
    expect(redact('x'.repeat(10_000_000), []).length).toBe(300)
    expect(redact(`${'x'.repeat(298)}😀`, []).isWellFormed()).toBe(true)
  })

  it('does not cut a secret in two and show the first half', () => {
    const secret = 'correct-horse-battery-staple'
    const text = redact(`${'.'.repeat(290)}${secret}`, [secret])
    expect(text).not.toContain('correct')
  })

  it("keeps the service's own words for the rejects, without secrets", () => {
    expect(makeRedactor(['hunter2!']).hideSecrets('anna@example.org is not hunter2!')).toBe(
      'anna@example.org is not [secret]',
    )
  })

  it('takes no time for a hostile text', () => {
    const start = performance.now()
    for (const piece of ['a@', '1 ', '@', '1-', 'a'.repeat(65), '%40', '+1']) redact(piece.repeat(200_000), SECRETS)
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

describe('a secret', () => {
  it('does not print', () => {
    const secret = makeSecret('hunter2!')
    const prints = [
      `${secret as unknown as string}`,
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ a: [secret] }, { depth: 9, showHidden: true }),
      (secret as unknown as string) + '',
      Object.values(secret).join(),
      JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
      inspect(structuredClone({ ...secret })),
    ]
    for (const text of prints) expect(text).not.toContain('hunter2')
    expect(secret.reveal()).toBe('hunter2!')
  })
})

describe('cleanError', () => {
  const secret = 'hunter2!-canary'
  const redactor = makeRedactor([secret])
  const everything = (error: Error): string =>
    `${inspect(error, { depth: 9, showHidden: true })}${error.stack}${JSON.stringify(error)}`

  it('keeps the kind and what it knows, and loses the rest', () => {
    const driver = Object.assign(new Error(`detail ${secret}`), {
      query: secret,
      request: { headers: { authorization: secret } },
    })
    const errors = [
      new ConnectionRefused(`no ${secret}`, { field: 'key', step: 'signed-in', cause: driver }),
      new SettingsInvalid('host', `no ${secret}`, { cause: driver }),
      new RateLimited(7, `no ${secret}`),
      new Unavailable('maybe', `no ${secret}`, { afterSeconds: 3, step: 'reached', cause: driver }),
      new TypeError(`no ${secret}`, { cause: new Error('x', { cause: driver }) }),
    ]
    for (const error of errors) {
      const clean = cleanError(Object.assign(error, { body: secret }), redactor)
      expect(everything(clean)).not.toContain('hunter2')
      expect(clean.message).toContain('[secret]')
      const { code, field, step, sent, afterSeconds } = error as unknown as Record<string, unknown>
      if (!(error instanceof TypeError))
        expect(clean).toMatchObject(JSON.parse(JSON.stringify({ code, field, step, sent, afterSeconds })) as object)
      else expect(clean).toBeInstanceOf(ConnectorFault)
    }
  })

  it.each([secret, { password: secret }, undefined, null, 7])('makes an error of a thrown %j', (thrown) => {
    const clean = cleanError(thrown, redactor)
    expect(clean).toBeInstanceOf(ConnectorFault)
    expect(everything(clean)).not.toContain('hunter2')
  })

  it('survives a circle of causes', () => {
    const error = new Error('a')
    error.cause = error
    expect(cleanError(error, redactor)).toBeInstanceOf(ConnectorFault)
  })
})
