import type { CheckStep, FileDelivery, OutgoingFile, DeliveredFile } from '@patchbay/connector-sdk'
import { makeTestContext, type TestContext, type Trial } from '@patchbay/connector-sdk/testing'
import { deliveredOf, manifestOf } from '../../test-servers/files.ts'
import { ACCESS, BUCKET, type FakeS3 } from './fake-s3.ts'
import { amazonS3 } from './index.ts'

export type Plain = Readonly<Record<string, string | number | boolean>>

const secrets = { secretAccessKey: ACCESS.secretAccessKey }

export function settingsOf(url: string, more: Plain = {}): Plain {
  return {
    ...{ service: 'compatible', endpoint: url, region: 'eu-central-1', bucket: BUCKET },
    ...{ accessKeyId: ACCESS.accessKeyId, baseFolder: 'base' },
    ...more,
  }
}

export function contextOf(fake: { readonly url: string }, more: Plain = {}, moreSecrets = {}): TestContext {
  return makeTestContext(amazonS3, { settings: settingsOf(fake.url, more), secrets: { ...secrets, ...moreSecrets } })
}

export function verify(made: TestContext): Promise<CheckStep[]> {
  return Array.fromAsync(amazonS3.check(made.context))
}

export async function open(
  { context }: TestContext,
  runId = 'run_1',
  delivered: readonly DeliveredFile[] = [],
): Promise<FileDelivery> {
  const destination = amazonS3.destinations['folder']
  if (destination?.delivers !== 'files') throw new Error('It delivers no files')
  return await destination.open(context, { folder: 'out' }, { runId, delivered })
}

/** A whole run. */
export async function publish(made: TestContext, files: readonly OutgoingFile[], runId = 'run_1'): Promise<void> {
  const delivery = await open(made, runId)
  for (const file of files) await delivery.put(file)
  await delivery.commit(manifestOf(files))
}

export { deliveredOf, manifestOf }

/** What stands in the fake, by the names below the export's folder, notes and unfinished uploads too. */
export function tryOn(fake: FakeS3): Trial {
  return {
    settings: settingsOf(fake.url),
    secrets,
    destinations: {
      folder: {
        values: { folder: 'out' },
        standing: () => [
          ...[...fake.objects.keys()].map((key) => key.replace(/^base\/out\//, '')),
          ...[...fake.uploads.values()].map(({ key }) => `unfinished ${key}`),
        ],
        read: (name) => fake.objects.get(`base/out/${name}`)?.body.toString() ?? '',
        plant: (name, text) =>
          void fake.objects.set(`base/out/${name}`, { body: Buffer.from(text), etag: '"theirs"', headers: {} }),
      },
    },
    stop: () => fake.stop(),
  }
}
