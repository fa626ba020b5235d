/** Objects of Amazon S3, and of every service that speaks as it does. */
import {
  ConnectionRefused,
  ConnectorError,
  defineConnector,
  objectDelivery,
  pathParts,
  probeObjects,
  layoutFields,
  layoutOf,
} from '@patchbay/connector-sdk'
import type { CheckStep } from '@patchbay/connector-sdk'
import { makeClient, refusalOf, type S3Context } from './client.ts'
import { addressesOf, settings } from './settings.ts'
import { S3Store } from './store.ts'

export const amazonS3 = defineConnector({
  id: 'amazon-s3',
  name: 'Amazon S3',
  summary: 'Writes tables and segments as files to a bucket of Amazon S3 or of a service that speaks S3.',
  category: 'files',
  direction: 'export',
  settings,
  auth: {
    type: 'signed',
    origins: (values) => {
      const { bucketUrl, stsUrl } = addressesOf(values)
      return [new URL(bucketUrl).origin, ...(values.signIn === 'role' ? [new URL(stsUrl).origin] : [])]
    },
  },
  check: checkBucket,
  destinations: {
    folder: {
      delivers: 'files',
      name: 'Folder',
      modes: ['replace', 'append', 'upsert', 'mirror'],
      limits: { partsPerTable: 64, partsInFlight: 2, requestsInFlight: 8 },
      fields: {
        folder: {
          kind: 'text',
          label: 'Folder',
          help: 'Below the prefix of the connection. Left empty: the prefix itself',
          example: 'customers/daily',
          pattern: '[^/\\\\][^\\\\]*',
          maxLength: 500,
          optional: true,
        },
        ...layoutFields,
      },
      removal:
        'Replace: rows that leave are not in the new files, which take the place of the last ones. Mirror: they are ' +
        'listed in the change file, as "removed" in its first column. Append and upsert: nothing is said of them. Files ' +
        'that Patchbay did not write, or that were changed since, are never touched.',
      layout: layoutOf,
      open: (ctx, { folder }, run) => objectDelivery(openStore(ctx), folder ?? '', run),
    },
  },
})

function openStore(ctx: S3Context): S3Store {
  const { baseFolder } = ctx.settings
  if (baseFolder !== undefined && baseFolder !== '') pathParts(baseFolder.replace(/\/$/, ''), 'baseFolder')
  return new S3Store(ctx)
}

async function* checkBucket(ctx: S3Context): AsyncGenerator<CheckStep> {
  let step: CheckStep['step'] = 'reached'
  try {
    const store = openStore(ctx)
    const listing = { method: 'GET', query: { 'list-type': '2', 'max-keys': '1' }, ...LISTING } as const
    // An answer, whatever it says, is one of a service that has been found.
    const answer = await makeClient(ctx).ask(listing)
    yield { step: 'resolved', ok: true }
    yield { step: 'reached', ok: true }
    step = 'signed-in'
    const refusal = answer.status === 200 ? undefined : refusalOf(answer, LISTING, ctx.settings)
    // A right is missed only by somebody who is known.
    const isOfRights = refusal instanceof ConnectionRefused && refusal.step === 'may-write'
    if (refusal !== undefined && !isOfRights) throw refusal
    yield { step, ok: true }
    step = 'may-write'
    if (refusal !== undefined) throw refusal
    await probeObjects(store)
    yield { step, ok: true }
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error
    yield failedStep(error, step)
  }
}

const LISTING = { doing: 'list the bucket', right: 's3:ListBucket' }

function failedStep(error: ConnectorError, reached: CheckStep['step']): CheckStep {
  const step = ('step' in error ? (error.step as CheckStep['step'] | undefined) : undefined) ?? reached
  const named = 'field' in error && typeof error.field === 'string' ? error.field : undefined
  // The folder of an export is not on the set-up pane; while checking, it is the prefix that is tried.
  const field = named === 'folder' ? 'baseFolder' : named
  return { step, ok: false, message: error.message, ...(field !== undefined && { field }) }
}
