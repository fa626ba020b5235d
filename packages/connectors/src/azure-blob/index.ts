/** Blobs of Azure Storage. */
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
import { codeOf, makeClient, refusalOf, type AzureContext } from './client.ts'
import { originsOf, settings, tokenEndpointOf } from './settings.ts'
import { BlobStore } from './store.ts'

export const azureBlob = defineConnector({
  id: 'azure-blob',
  name: 'Azure Blob Storage',
  summary: 'Writes tables and segments as files to a container of an Azure storage account.',
  category: 'files',
  direction: 'export',
  settings,
  auth: {
    type: 'choice',
    field: 'signIn',
    of: {
      client: {
        type: 'client-credentials',
        tokenEndpoint: tokenEndpointOf,
        scopes: ['https://storage.azure.com/.default'],
        client: { id: 'clientId', secret: 'clientSecret' },
        clientAuth: 'client_secret_post',
        origins: originsOf,
      },
      // The signature is in the address of each request.
      sas: { type: 'none' },
      key: { type: 'signed', origins: originsOf },
      'connection-string': { type: 'signed', origins: originsOf },
    },
  },
  check: checkContainer,
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
          help: 'Below the base folder of the connection. Left empty: the base folder itself',
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

function openStore(ctx: AzureContext): BlobStore {
  const { baseFolder } = ctx.settings
  if (baseFolder !== undefined && baseFolder !== '') pathParts(baseFolder.replace(/\/$/, ''), 'baseFolder')
  return new BlobStore(ctx)
}

async function* checkContainer(ctx: AzureContext): AsyncGenerator<CheckStep> {
  let step: CheckStep['step'] = 'reached'
  try {
    const store = openStore(ctx)
    // An answer, whatever it says, is one of a service that has been found. That nothing stands there is a good one.
    const answer = await makeClient(ctx).ask({ method: 'HEAD', name: '.patchbay-probe', ...LOOKING })
    yield { step: 'resolved', ok: true }
    yield { step: 'reached', ok: true }
    step = 'signed-in'
    const isGood = answer.status === 200 || (answer.status === 404 && codeOf(answer) !== 'ContainerNotFound')
    const refusal = isGood ? undefined : refusalOf(answer, LOOKING, ctx.settings)
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

const LOOKING = { doing: 'look at the container', right: 'Read' }

function failedStep(error: ConnectorError, reached: CheckStep['step']): CheckStep {
  const step = ('step' in error ? (error.step as CheckStep['step'] | undefined) : undefined) ?? reached
  const named = 'field' in error && typeof error.field === 'string' ? error.field : undefined
  // The folder of an export is not on the set-up pane; while checking, it is the base folder that is tried.
  const field = named === 'folder' ? 'baseFolder' : named
  return { step, ok: false, message: error.message, ...(field !== undefined && { field }) }
}
