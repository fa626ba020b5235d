/** Over a real S3 server, with its own reading of signatures. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Unavailable } from '@patchbay/connector-sdk'
import { checkConnector, makeTestContext, type TestContext, type Trial } from '@patchbay/connector-sdk/testing'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { startCuttingProxy } from '../../test-servers/cutting-proxy.ts'
import { fileOf } from '../../test-servers/files.ts'
import { startS3, type S3Server } from '../../test-servers/s3rver.ts'
import { makeClient, type S3Context } from './client.ts'
import { amazonS3 } from './index.ts'
import { manifestOf, open, settingsOf, verify } from './s3-test-support.ts'

const MB = 1024 * 1024

let server: S3Server
beforeEach(async () => {
  server = await startS3()
})
afterEach(() => server.stop())

function contextOf(more: Parameters<typeof settingsOf>[1] = {}, secretAccessKey = server.secretAccessKey): TestContext {
  return makeTestContext(amazonS3, {
    settings: settingsOf(server.url, { region: 'us-east-1', accessKeyId: server.accessKeyId, ...more }),
    secrets: { secretAccessKey },
  })
}

function makeTrial(): Trial {
  const place = (name: string): string => server.pathOf(`base/out/${name}`)
  return {
    settings: settingsOf(server.url, { region: 'us-east-1', accessKeyId: server.accessKeyId }),
    secrets: { secretAccessKey: server.secretAccessKey },
    destinations: {
      folder: {
        values: { folder: 'out' },
        standing: () => server.keys().map((key) => key.replace(/^base\/out\//, '')),
        read: (name) => readFileSync(place(name), 'utf8'),
        plant: async (name, text) => {
          const client = makeClient(contextOf().context as unknown as S3Context)
          await client.do({ method: 'PUT', key: `base/out/${name}`, body: text, doing: 'plant', right: '' })
        },
      },
    },
    stop: () => undefined,
  }
}

describe('amazon-s3 over s3rver', () => {
  it('does what every connector must', async () => {
    const results = await checkConnector(amazonS3, { makeFake: () => Promise.resolve(makeTrial()) })
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('verifies, and names the field of a wrong key', async () => {
    expect((await verify(contextOf())).map(({ step, ok }) => [step, ok])).toEqual([
      ...[
        ['resolved', true],
        ['reached', true],
        ['signed-in', true],
        ['may-write', true],
      ],
    ])
    expect((await verify(contextOf({}, 'wrong'))).at(-1)).toMatchObject({ ok: false, field: 'secretAccessKey' })
    expect((await verify(contextOf({ bucket: 'nobodys' }))).at(-1)).toMatchObject({ ok: false, field: 'bucket' })
  })

  it('delivers 64 MB, byte for byte', async () => {
    const content = Buffer.alloc(64 * MB)
    for (let at = 0; at < content.length; at += 4096) content.writeUInt32LE(at, at)
    const file = fileOf('large.csv', content)
    const delivery = await open(contextOf(), 'run_large')
    expect(await delivery.put(file)).toEqual({ sizeBytes: 64 * MB })
    expect(server.keys()).not.toContain('base/out/large.csv')
    await delivery.commit(manifestOf([file]))
    const stands = readFileSync(server.pathOf('base/out/large.csv'))
    expect(createHash('sha256').update(stands).digest('hex')).toBe(file.sha256)
  })

  it('goes on after the line was cut at 50 %', async () => {
    const proxy = await startCuttingProxy(server)
    onTestFinished(() => proxy.stop())
    const file = fileOf('cut.csv', Buffer.alloc(32 * MB, 'x'))
    const made = makeTestContext(amazonS3, {
      settings: settingsOf(`http://127.0.0.1:${proxy.port}`, { region: 'us-east-1', accessKeyId: server.accessKeyId }),
      secrets: { secretAccessKey: server.secretAccessKey },
    })
    const delivery = await open(made, 'run_cut')
    proxy.cutAfter(16 * MB)
    await expect(delivery.put(file)).rejects.toThrow(Unavailable)
    expect(server.keys().filter((key) => key.endsWith('cut.csv'))).toEqual([])
    await delivery.put(file)
    await delivery.commit(manifestOf([file]))
    expect(readFileSync(server.pathOf('base/out/cut.csv')).length).toBe(32 * MB)
  })
})
