import { expect, test } from 'vitest'
import { progressOf } from './run-progress.ts'
import { NO_COUNTS } from './run.ts'

const counts = { ...NO_COUNTS, added: 600, changed: 300, removed: 100, accepted: 240, rejected: 5, uncertain: 5 }

test('what is done, how fast, and what is left', () => {
  expect(progressOf(counts, { rows: 250, seconds: 5 })).toEqual({
    done: 250,
    due: 1000,
    perSecond: 50,
    secondsLeft: 15,
  })
})

test('nothing is said of the time that is left while nothing is answered', () => {
  expect(progressOf(counts, { rows: 0, seconds: 0 })).toMatchObject({ perSecond: 0, secondsLeft: null })
  expect(progressOf(counts, { rows: 9, seconds: 0.01 })).toMatchObject({ perSecond: 0, secondsLeft: null })
})

test('more answers than changes, as after a resume, is all of them', () => {
  expect(progressOf({ ...counts, accepted: 5000 }, { rows: 10, seconds: 1 })).toMatchObject({
    done: 1000,
    secondsLeft: 0,
  })
})
