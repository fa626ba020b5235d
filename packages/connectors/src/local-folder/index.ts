import {
  ConnectorError,
  defineConnector,
  folderDelivery,
  probeFolder,
  layoutFields,
  layoutOf,
} from '@patchbay/connector-sdk'
import type { CheckStep, Context, Fields } from '@patchbay/connector-sdk'

const settings = {
  path: {
    kind: 'text',
    label: 'Folder on the server',
    help: 'Of the machine on which Patchbay runs, below a folder that its operator has opened for exports',
    example: '/srv/exports',
    maxLength: 1000,
    endpoint: true,
  },
} as const satisfies Fields

export const localFolder = defineConnector({
  id: 'local-folder',
  name: 'Local folder',
  summary: 'Writes tables and segments as files to a folder of the machine on which Patchbay runs.',
  category: 'files',
  direction: 'export',
  settings,
  auth: { type: 'none' },
  check: checkFolder,
  destinations: {
    folder: {
      delivers: 'files',
      name: 'Folder',
      modes: ['replace', 'append', 'upsert', 'mirror'],
      limits: { partsPerTable: 64, partsInFlight: 2 },
      fields: {
        folder: {
          kind: 'text',
          label: 'Folder',
          help: 'Below the folder of the connection; made where it is missing. Left empty: that folder itself',
          example: 'customers/daily',
          pattern: '[^/\\\\][^\\\\]*',
          maxLength: 1000,
          optional: true,
        },
        ...layoutFields,
      },
      removal:
        'Replace: rows that leave are not in the new files, which take the place of the last ones. Mirror: they are ' +
        'listed in the change file, as "removed" in its first column. Append and upsert: nothing is said of them. Files ' +
        'that Patchbay did not write, or that were changed since, are never touched.',
      layout: layoutOf,
      open: async (ctx, { folder }, run) => folderDelivery(await ctx.folder(ctx.settings.path), folder ?? '', run),
    },
  },
})

async function* checkFolder(ctx: Context<typeof settings>): AsyncGenerator<CheckStep> {
  let step: CheckStep['step'] = 'resolved'
  try {
    const folder = await ctx.folder(ctx.settings.path)
    try {
      yield { step, ok: true }
      step = 'may-write'
      await probeFolder(folder)
      yield { step, ok: true }
    } finally {
      await folder.close()
    }
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error
    yield { step, ok: false, field: 'path', message: error.message }
  }
}
