import { expect, test } from 'vitest'
import { makeRateLimiter } from './rate-limit.ts'

test('a minute of requests at once, then as many as come in', () => {
  let at = 0
  const limiter = makeRateLimiter(60, () => at)
  for (let count = 0; count < 60; count += 1) expect(limiter.take('ana').isAllowed).toBe(true)
  expect(limiter.take('ana')).toEqual({ isAllowed: false, limit: 60, remaining: 0, resetSeconds: 1 })
  expect(limiter.take('leon')).toMatchObject({ isAllowed: true, remaining: 59 })
  at += 2000
  expect(limiter.take('ana')).toMatchObject({ isAllowed: true, remaining: 1 })
  at += 3_600_000
  expect(limiter.take('ana')).toMatchObject({ remaining: 59, resetSeconds: 1 })
})

test('a clock that goes back gives nobody more, and takes nothing away', () => {
  let at = 1000
  const limiter = makeRateLimiter(2, () => at)
  limiter.take('ana')
  at = 0
  expect(limiter.take('ana').isAllowed).toBe(true)
  expect(limiter.take('ana').isAllowed).toBe(false)
})
