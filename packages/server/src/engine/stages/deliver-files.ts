import { Unavailable, type DeliveredFile, type FileDelivery, type OutgoingFile } from '@patchbay/connector-sdk'
import { fileStems, isFileOf } from '../../domain/file-names.ts'
import type { PlanSource } from '../../domain/plan.ts'
import { attempt } from '../attempts.ts'
import { dueSources, journalText, NOTHING_STANDING, type Delivered, type Delivering } from '../delivering.ts'
import { endingOfError, endingOfRefusal, type Ending } from '../ending.ts'
import {
  LeaseLost,
  ShuttingDown,
  type JournalEntry,
  type JournalKey,
  type OpenDestination,
  type SpoolFile,
} from '../ports.ts'

type FilesDestination = Extract<OpenDestination, { delivers: 'files' }>

interface SentPart {
  readonly source: string
  readonly file: DeliveredFile
}

/**
 * Parts are written to the spool one after the other, and sent while the next is written. Nothing stands under a final name
 * until all parts are there and their rows add up; then one commit publishes them.
 */
export async function deliverFiles(run: Delivering, destination: FilesDestination): Promise<Delivered> {
  const parts: SentPart[] = []
  try {
    const commitEntries = dueSources(run).map(({ source }) => run.journal.get(journalText(commitKey(source))))
    const refused = commitEntries.some((entry) => entry !== undefined) ? null : await putParts(run, destination, parts)
    if (refused !== null) return await abandon(destination.delivery, refused)
    const sent = parts.length > 0 ? parts : journaledParts(run)
    checkRows(run, sent)
    return await commit(run, destination, sent)
  } catch (error) {
    if (error instanceof LeaseLost || error instanceof ShuttingDown) throw error
    const ending = endingOfError(error, run.plan.connectorId)
    if (ending.type === 'failed' && ending.retryable && !run.isLastExecution) {
      return { ending, standing: NOTHING_STANDING }
    }
    return await abandon(destination.delivery, ending)
  }
}

async function putParts(run: Delivering, destination: FilesDestination, parts: SentPart[]): Promise<Ending | null> {
  const inFlight = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | null = null
  try {
    for (const { source, diff, due } of dueSources(run)) {
      if (due === 0 && run.plan.mode !== 'replace') continue
      const of = run.lake.countParts(source, diff, destination.limits.partsPerTable)
      for (let number = 1; number <= of && failure === null; number++) {
        const key: JournalKey = { source: source.name, kind: 'part', first: number, last: number }
        const known = run.journal.get(journalText(key))
        if (known?.state === 'answered' && known.file !== null) {
          parts.push({ source: source.name, file: known.file })
          continue
        }
        run.signal.throwIfAborted()
        const file = await run.lake.writePart(source, diff, { number, of, layout: destination.layout }, run.plan.format)
        run.ports.failpoint('part-written')
        const permission = await run.ports.runs.intend(run.lease, { ...key, file: describeFile(file) })
        run.ports.failpoint('intent')
        if (!permission.go) return endingOfRefusal(permission)
        const task: Promise<void> = putPart(run, destination.delivery, key, file)
          .then(() => void parts.push({ source: source.name, file: describeFile(file) }))
          .catch((error: unknown) => void (failure ??= { error }))
          .finally(() => inFlight.delete(task))
        inFlight.add(task)
        while (inFlight.size >= destination.limits.partsInFlight) await Promise.race(inFlight)
      }
    }
  } finally {
    await Promise.all(inFlight)
  }
  if (failure !== null) throw (failure as { readonly error: unknown }).error
  return null
}

async function putPart(run: Delivering, delivery: FileDelivery, key: JournalKey, file: SpoolFile): Promise<void> {
  await attempt(async () => {
    const seen = await delivery.put(withFailpoints(file, run.ports.failpoint))
    if (seen.sizeBytes !== file.sizeBytes) {
      throw new Unavailable('maybe', `Of ${file.sizeBytes} bytes ${seen.sizeBytes} arrived`)
    }
  }, run)
  run.ports.failpoint('answer-read')
  await run.ports.runs.answer(run.lease, { ...key, accepted: 0, rejected: 0, uncertain: 0, exceptionsPath: null })
  run.ports.failpoint('answer-stored')
}

/** Parts of an earlier execution that had got as far as the commit. */
function journaledParts(run: Delivering): SentPart[] {
  return run.state.journal.flatMap((entry) =>
    entry.kind === 'part' && entry.state === 'answered' && entry.file !== null
      ? [{ source: entry.source, file: entry.file }]
      : [],
  )
}

function checkRows(run: Delivering, parts: readonly SentPart[]): void {
  for (const { source, due } of dueSources(run)) {
    const rows = parts.reduce((sum, part) => sum + (part.source === source.name ? part.file.rows : 0), 0)
    if (rows !== due)
      throw new Error(`The sums do not add up: ${due} changes were due and ${rows} were written to files`)
  }
}

async function commit(
  run: Delivering,
  { delivery, layout }: FilesDestination,
  parts: readonly SentPart[],
): Promise<Delivered> {
  const due = dueSources(run).filter((one) => one.due > 0 || run.plan.mode === 'replace')
  if (due.length === 0) return { ending: null, standing: NOTHING_STANDING }
  const inOrder = parts.toSorted((a, b) => (a.file.name < b.file.name ? -1 : 1))
  const files = inOrder.map((part) => part.file)
  const names = new Set(files.map((file) => file.name))
  const isReplaced = run.plan.mode === 'replace'
  const older = run.state.delivered.filter((file) => !names.has(file.name))
  const listed = isReplaced
    ? inOrder
    : [...older.map((file) => ({ source: sourceOf(run, file, layout), file })), ...inOrder]
  const model = await run.lake.writeModel(
    run.plan,
    listed.filter((part) => part.source !== ''),
  )
  const superseded = isReplaced ? older.filter((file) => file.name !== model.name) : []
  const published = [...files, describeFile(model)]
  // A crash between the answers and the settling leaves commits that are known to have taken hold.
  const known = due.map((one) => ({ ...one, entry: run.journal.get(journalText(commitKey(one.source))) }))
  const open = known.filter(({ entry }) => entry?.state !== 'answered')
  for (const { source } of open) {
    const permission = await run.ports.runs.intend(run.lease, { ...commitKey(source), file: describeFile(model) })
    if (!permission.go) {
      await withdrawIntents(run, open)
      return abandon(delivery, endingOfRefusal(permission))
    }
  }
  if (open.length > 0) {
    run.ports.failpoint('intent')
    try {
      await attempt(
        () => delivery.commit({ files, model: readAs(model, () => run.ports.failpoint('renamed')), superseded }),
        run,
      )
    } catch (error) {
      return await afterBrokenCommit(run, delivery, error, published)
    }
    run.ports.failpoint('answer-read')
  }
  for (const { source, due: rows } of open) {
    const answer = { accepted: rows, rejected: 0, uncertain: 0, exceptionsPath: null }
    await run.ports.runs.answer(run.lease, { ...commitKey(source), ...answer })
  }
  run.ports.failpoint('answer-stored')
  return {
    ending: null,
    standing: { added: published, removed: superseded.map((file) => file.name) },
  }
}

/** Nothing was published yet; what an earlier execution was about to publish stays as it is. */
async function withdrawIntents(
  run: Delivering,
  open: readonly { readonly source: PlanSource; readonly entry: JournalEntry | undefined }[],
): Promise<void> {
  for (const { source, entry } of open) {
    if (entry === undefined) await run.ports.runs.withdraw(run.lease, commitKey(source))
  }
}

/**
 * Some files may stand under their final names: the commit stays intended in the journal, and its rows are told as uncertain.
 * The files are kept as this export's own, so that a later run may take their place and does not find them foreign.
 */
async function afterBrokenCommit(
  run: Delivering,
  delivery: FileDelivery,
  error: unknown,
  published: readonly DeliveredFile[],
): Promise<Delivered> {
  if (error instanceof LeaseLost || error instanceof ShuttingDown) throw error
  const ending = endingOfError(error, run.plan.connectorId)
  if (ending.type === 'failed' && ending.retryable && !run.isLastExecution) {
    return { ending, standing: NOTHING_STANDING }
  }
  const told = await abandon(delivery, {
    ...ending,
    reason: `${ending.reason}. Some files of this run may stand at the destination`,
  })
  return { ...told, standing: { added: published, removed: [] } }
}

/** The source that an earlier file belongs to, by its name; empty for the description beside the folders. */
function sourceOf(run: Delivering, file: DeliveredFile, layout: string | undefined): string {
  const stems = fileStems(run.plan.sources.map(({ name }) => name))
  const found = run.plan.sources.find(({ name }) => isFileOf(stems.get(name) ?? name, file.name, layout))
  return found?.name ?? ''
}

/** Takes away what `put` left. Where that fails too, the reason says so: someone must remove the files by hand. */
async function abandon(delivery: FileDelivery, ending: Ending): Promise<Delivered> {
  const told: Ending = await delivery.abandon().then(
    () => ending,
    () => ({
      ...ending,
      reason: `${ending.reason}. Temporary files (.patchbay-…) could not be removed from the destination`,
    }),
  )
  return { ending: told, standing: NOTHING_STANDING }
}

function commitKey(source: PlanSource): JournalKey {
  return { source: source.name, kind: 'commit', first: 0, last: 0 }
}

function describeFile(file: OutgoingFile): DeliveredFile {
  return { name: file.name, rows: file.rows, sizeBytes: file.sizeBytes, sha256: file.sha256 }
}

/** The file as it is, with the proof's stops in the middle and at the end of its bytes. */
export function withFailpoints(file: SpoolFile, failpoint: Delivering['ports']['failpoint']): SpoolFile {
  return {
    ...file,
    read: (pieceBytes) => readWithFailpoints(file, pieceBytes, failpoint),
  }
}

async function* readWithFailpoints(
  file: SpoolFile,
  pieceBytes: number,
  failpoint: Delivering['ports']['failpoint'],
): AsyncIterable<Uint8Array> {
  let bytes = 0
  let isHalfSaid = false
  for await (const piece of file.read(pieceBytes)) {
    yield piece
    bytes += piece.byteLength
    if (!isHalfSaid && bytes * 2 >= file.sizeBytes) {
      isHalfSaid = true
      failpoint('request-half')
    }
  }
  failpoint('request-sent')
}

/** The same file, read from its bytes and not taken over by its path, and told when that begins. */
function readAs(file: OutgoingFile, onRead: () => void): OutgoingFile {
  return {
    ...describeFile(file),
    read(pieceBytes) {
      onRead()
      return file.read(pieceBytes)
    },
  }
}
