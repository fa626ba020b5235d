import type { AcceptedJob, RowAnswer } from '../rows.ts'

/** The answers of a delivery that is expected to answer at once; throws where it gave a job. */
export function answersOf(given: Iterable<RowAnswer> | AcceptedJob): readonly RowAnswer[] {
  if ('job' in given) throw new Error('The rows were not answered but taken as a job')
  return [...given]
}
