import { dueSources, type Delivering } from '../delivering.ts'
import type { JournalEntry, RowException } from '../ports.ts'

/**
 * The run ends, and what the journal still calls intended may have been sent: an earlier execution broke off there, or the
 * far end was silent to the last. Its rows are uncertain, whatever the destination is and whether or not it could be opened
 * again. Gives every batch and commit of the run, all answered now.
 */
export async function closeUnanswered(run: Delivering): Promise<readonly JournalEntry[]> {
  const { journal } = await run.ports.runs.load(run.lease)
  const closed: JournalEntry[] = []
  for (const entry of journal) {
    if (entry.kind === 'part') continue
    closed.push(entry.state === 'answered' ? entry : await closeOne(run, entry))
  }
  return closed
}

async function closeOne(run: Delivering, entry: JournalEntry): Promise<JournalEntry> {
  const found = dueSources(run).find(({ source }) => source.name === entry.source)
  if (found === undefined) throw new Error('The journal has a source that the plan has not')
  const isBatch = entry.kind === 'batch'
  const uncertain = isBatch ? entry.last - entry.first + 1 : found.due
  const exceptionsPath = isBatch
    ? await run.lake.writeExceptions(found.source, entry, unansweredRows(run, entry))
    : entry.exceptionsPath
  const answer = { ...entry, accepted: 0, rejected: 0, uncertain, exceptionsPath }
  await run.ports.runs.answer(run.lease, answer)
  return { ...answer, state: 'answered' }
}

function unansweredRows(run: Delivering, { first, last }: JournalEntry): RowException[] {
  const status = unansweredStatus(run)
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    seq: first + index,
    status,
    reason: 'unanswered',
    message: 'Sent, and no answer came',
  }))
}

/** Of a row that was sent and not answered: whether the next run sends it again. */
export function unansweredStatus({ plan }: Delivering): 'uncertain' | 'uncertain-due' {
  return plan.repeat.kind === 'harmless' ? 'uncertain-due' : 'uncertain'
}
