import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isIsoDate, timestampMicros } from './iso-time.ts'

describe('isIsoDate', () => {
  it.each([
    ['2024-02-29', true],
    ['0001-01-01', true],
    ['9999-12-31', true],
    ['2023-02-29', false],
    ['1900-02-29', false],
    ['2024-13-01', false],
    ['2024-00-10', false],
    ['2024-01-00', false],
    ['0000-01-01', false],
    ['10000-01-01', false],
    ['2024-1-1', false],
    ['2024-01-01 ', false],
    ['2024-01-01T00:00:00Z', false],
    ['', false],
  ])('%s: %s', (text, is) => {
    expect(isIsoDate(text)).toBe(is)
  })
})

describe('timestampMicros', () => {
  it('agrees with the calendar of JavaScript', () => {
    const date = fc.date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(date, (moment) => {
        expect(timestampMicros(moment.toISOString())).toBe(BigInt(moment.getTime()) * 1000n)
      }),
    )
  })

  it.each<[string, bigint | undefined]>([
    ['1970-01-01T00:00:00.000001Z', 1n],
    ['1970-01-01T00:00:00.1234567Z', 123_456n],
    ['1970-01-01 00:00', 0n],
    ['1970-01-01T01:00:00+01:00', 0n],
    ['1970-01-01T01:00:00+0100', 0n],
    ['1969-12-31T23:30:00-00:30', 0n],
    ['1970-01-01', undefined],
    ['1970-01-01T24:00:00Z', undefined],
    ['1970-01-01T00:60:00Z', undefined],
    ['1970-01-01T00:00:60Z', undefined],
    ['1970-01-01T00:00:00+16:00', undefined],
    ['1970-02-30T00:00:00Z', undefined],
    ['yesterday', undefined],
  ])('%s is %s', (text, micros) => {
    expect(timestampMicros(text)).toBe(micros)
  })
})
