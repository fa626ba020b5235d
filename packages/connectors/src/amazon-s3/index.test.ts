import { createHash } from 'node:crypto'
import { ConnectionRefused, DestinationInvalid, Unavailable } from '@patchbay/connector-sdk'
import { checkConnector } from '@patchbay/connector-sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileOf } from '../../test-servers/files.ts'
import { ROLE_ARN, startFakeS3, type FakeRequest, type FakeS3, type Fault } from './fake-s3.ts'
import { amazonS3 } from './index.ts'
import { contextOf, deliveredOf, manifestOf, open, publish, tryOn, verify } from './s3-test-support.ts'

const MB = 1024 * 1024
const isPart = ({ method, query }: FakeRequest): boolean => method === 'PUT' && query.has('partNumber')
const isCompletion = ({ method, query }: FakeRequest): boolean => method === 'POST' && query.has('uploadId')

let fake: FakeS3
beforeEach(async () => {
  fake = await startFakeS3()
})
afterEach(() => fake.stop())

/** No two parts alike. */
function largeFile(name: string, bytes: number): ReturnType<typeof fileOf> {
  const content = Buffer.alloc(bytes)
  for (let at = 0; at + 4 <= bytes; at += 4096) content.writeUInt32LE(at, at)
  return fileOf(name, content)
}

describe('amazon-s3', () => {
  it('does what every connector must', async () => {
    const trial = await startFakeS3()
    const results = await checkConnector(amazonS3, { makeFake: () => Promise.resolve(tryOn(trial)) })
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('verifies step by step, and leaves nothing behind', async () => {
    expect(await verify(contextOf(fake))).toEqual(
      ['resolved', 'reached', 'signed-in', 'may-write'].map((step) => ({ step, ok: true })),
    )
    expect([...fake.objects.keys(), ...fake.uploads.keys()]).toEqual([])
  })

  it.each([
    ['an unknown key', { accessKeyId: 'AKIANOBODY' }, {}, 'signed-in', 'accessKeyId'],
    ['another secret', {}, { secretAccessKey: 'wrong' }, 'signed-in', 'secretAccessKey'],
    ['another region', { region: 'us-east-1' }, {}, 'signed-in', 'region'],
    ['no such bucket', { bucket: 'nobodys' }, {}, 'signed-in', 'bucket'],
    ['a prefix that leads out', { baseFolder: '../up' }, {}, 'reached', 'baseFolder'],
  ])('says which field to mend: %s', async (_what, settings, secrets, step, field) => {
    const steps = await verify(contextOf(fake, settings, secrets))
    expect(steps.at(-1)).toMatchObject({ step, ok: false, field })
  })

  it('names the region in which the bucket is', async () => {
    const steps = await verify(contextOf(fake, { region: 'us-east-1' }))
    expect(steps.at(-1)).toMatchObject({ message: 'The bucket exports is in eu-central-1, and not in us-east-1' })
  })

  it.each([
    ['list', ({ method, key }: FakeRequest) => method === 'GET' && key === '', 's3:ListBucket'],
    ['write', ({ method }: FakeRequest) => method === 'PUT', 's3:PutObject'],
    [
      'abort',
      ({ method, query }: FakeRequest) => method === 'DELETE' && query.has('uploadId'),
      's3:AbortMultipartUpload',
    ],
    ['remove', ({ method, query }: FakeRequest) => method === 'DELETE' && !query.has('uploadId'), 's3:DeleteObject'],
  ])('names the right that is missing: %s', async (_what, isRefused, right) => {
    fake.fault = (request) => (isRefused(request) ? { status: 403, code: 'AccessDenied' } : undefined)
    const steps = await verify(contextOf(fake))
    expect(steps.at(-1)).toMatchObject({ step: 'may-write', ok: false })
    expect(JSON.stringify(steps.at(-1))).toContain(right)
  })

  it('takes on a role, and lets nobody in whom its policy does not name', async () => {
    const role = { signIn: 'role', roleArn: ROLE_ARN, externalId: 'ours' }
    expect((await verify(contextOf(fake, role))).at(-1)).toEqual({ step: 'may-write', ok: true })
    expect([...fake.roleKeys.keys()]).toEqual(['ASIA0', 'ASIA1'])
    expect((await verify(contextOf(fake, { ...role, externalId: 'theirs' }))).at(-1)).toMatchObject({
      ...{ step: 'signed-in', ok: false, field: 'roleArn' },
    })
  })

  it('takes the role on again before its keys end', async () => {
    const made = contextOf(fake, { signIn: 'role', roleArn: ROLE_ARN, externalId: 'ours' })
    let now = Date.now()
    fake.now = () => now
    const delivery = await open({ ...made, context: { ...made.context, now: () => new Date(now) } })
    await delivery.put(fileOf('a.csv', 'a'))
    await delivery.put(fileOf('b.csv', 'b'))
    expect(fake.roleKeys.size).toBe(1)
    now += 55 * 60_000
    await delivery.put(fileOf('c.csv', 'c'))
    expect(fake.roleKeys.size).toBe(2)
  })

  it('looks for no credentials outside the connection, and asks nobody but the bucket', async () => {
    const trap = {
      AWS_ACCESS_KEY_ID: 'AKIAENV',
      AWS_SECRET_ACCESS_KEY: 'env',
      AWS_SESSION_TOKEN: 'env',
      AWS_PROFILE: 'x',
    }
    Object.assign(process.env, trap)
    try {
      const made = contextOf(fake)
      await publish(made, [fileOf('a.csv', 'a')])
      expect(made.connected).toEqual([])
      expect(made.sent).toHaveLength(fake.received.length)
      for (const { headers } of fake.received) {
        expect(headers['authorization']).toContain('Credential=AKIAFAKE/')
        expect(headers['x-amz-security-token']).toBeUndefined()
      }
    } finally {
      for (const name of Object.keys(trap)) delete process.env[name]
    }
  })

  it('sends a large file in parts, several at once, with a checksum each', async () => {
    const file = largeFile('large.csv', 20 * MB + 5)
    await publish(contextOf(fake), [file])
    const parts = fake.received.filter(isPart)
    expect(parts.map(({ body }) => body.length).toSorted((a, b) => a - b)).toEqual([4 * MB + 5, 8 * MB, 8 * MB])
    expect(parts.every(({ headers }) => headers['x-amz-checksum-sha256'] !== undefined)).toBe(true)
    const stands = fake.objects.get('base/out/large.csv')
    expect(
      createHash('sha256')
        .update(stands?.body ?? '')
        .digest('hex'),
    ).toBe(file.sha256)
    expect(stands?.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'x-amz-meta-patchbay-run': 'run_1',
    })
    expect([...fake.objects.keys()].toSorted()).toEqual(['base/out/large.csv', 'base/out/model.json'])
  })

  it('works without checksums, for services that refuse them', async () => {
    await publish(contextOf(fake, { checksum: 'none' }), [largeFile('large.csv', 9 * MB)])
    expect(fake.received.some(({ headers }) => Object.keys(headers).some((name) => name.includes('checksum')))).toBe(
      false,
    )
    expect(fake.objects.get('base/out/large.csv')?.body.length).toBe(9 * MB)
  })

  it('asks for the encryption that the connection names, on every object', async () => {
    await publish(contextOf(fake, { encryption: 'aws:kms', kmsKey: 'arn:aws:kms:x' }), [fileOf('a.csv', 'a')])
    const made = fake.received.filter(
      ({ method, query }) => query.has('uploads') || (method === 'PUT' && query.size === 0),
    )
    expect(made.length).toBeGreaterThan(3)
    for (const { headers } of made) {
      expect(headers['x-amz-server-side-encryption']).toBe('aws:kms')
      expect(headers['x-amz-server-side-encryption-aws-kms-key-id']).toBe('arn:aws:kms:x')
    }
  })

  it('says so when the key for that cannot be used', async () => {
    fake.fault = ({ query }) => (query.has('uploads') ? { status: 400, code: 'KMS.DisabledException' } : undefined)
    const steps = await verify(contextOf(fake, { encryption: 'aws:kms' }))
    expect(steps.at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'kmsKey' })
  })

  // prettier-ignore
  it.each([
    'a b+c.csv', "it's (1)!*.csv", '100%25.csv', '%2e%2e.csv', 'a&b<c>.csv', '"quoted".csv', 'ünï-Ω-名-😀.csv', '#?=;,@$~[]{}|^`.csv', 'a//b'.replace('//', '/'),
  ])('writes %j under that very name', async (name) => {
    await publish(contextOf(fake), [fileOf(name, 'odd')])
    expect(fake.objects.get(`base/out/${name}`)?.body.toString()).toBe('odd')
  })

  it('takes an empty file', async () => {
    await publish(contextOf(fake), [fileOf('empty.csv', '')])
    expect(fake.objects.get('base/out/empty.csv')?.body.length).toBe(0)
  })
})

describe('amazon-s3 when things go wrong', () => {
  it('aborts what a crashed run left, when the run goes on', async () => {
    fake.fault = (request) =>
      isPart(request) && request.query.get('partNumber') === '2' ? { status: 500, cut: true } : undefined
    const crashed = await open(contextOf(fake))
    await expect(crashed.put(largeFile('a.csv', 17 * MB))).rejects.toThrow(Unavailable)
    expect(fake.uploads.size).toBe(1)
    const [left] = fake.uploads.keys()
    fake.fault = () => undefined
    const next = await open(contextOf(fake))
    const file = largeFile('a.csv', 17 * MB)
    await next.put(file)
    expect(fake.uploads.size).toBe(1)
    expect(fake.uploads.has(left ?? '')).toBe(false)
    await next.commit(manifestOf([file]))
    expect(fake.uploads.size).toBe(0)
  })

  it('takes everything away when the run is abandoned by another process', async () => {
    const file = largeFile('a.csv', 9 * MB)
    await (await open(contextOf(fake))).put(file)
    await (await open(contextOf(fake), 'run_other')).abandon()
    expect(fake.uploads.size).toBe(1)
    await (await open(contextOf(fake))).abandon()
    expect([fake.uploads.size, fake.objects.size]).toEqual([0, 0])
  })

  it('is not told a success by a 200 that holds an error', async () => {
    fake.fault = (request) => (isCompletion(request) ? { status: 200, code: 'InternalError' } : undefined)
    const file = fileOf('a.csv', 'a')
    const delivery = await open(contextOf(fake))
    await delivery.put(file)
    await expect(delivery.commit(manifestOf([file]))).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
    fake.fault = () => undefined
    await delivery.commit(manifestOf([file]))
    expect(fake.objects.get('base/out/a.csv')?.body.toString()).toBe('a')
  })

  it.each<Partial<Fault>>([{ cut: true }, { status: 500 }])(
    'finds what an unanswered completion did (%o)',
    async (fault) => {
      fake.fault = (request) => (isCompletion(request) ? { status: 500, ...fault, afterwards: true } : undefined)
      const file = fileOf('a.csv', 'a')
      const delivery = await open(contextOf(fake))
      await delivery.put(file)
      await expect(delivery.commit(manifestOf([file]))).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
      fake.fault = () => undefined
      await (await open(contextOf(fake))).commit(manifestOf([file]))
      expect([...fake.objects.keys()].filter((key) => key.includes('/out/')).toSorted()).toEqual([
        ...['base/out/a.csv', 'base/out/model.json'],
      ])
    },
  )

  it('does not overwrite what comes to stand there at the last moment', async () => {
    const file = fileOf('a.csv', 'ours')
    const delivery = await open(contextOf(fake))
    await delivery.put(file)
    const theirs = { body: Buffer.from('theirs'), etag: '"theirs"', headers: {} }
    fake.fault = (request) => {
      if (isCompletion(request)) fake.objects.set('base/out/a.csv', theirs)
      return undefined
    }
    await expect(delivery.commit(manifestOf([file]))).rejects.toThrow(DestinationInvalid)
    expect(fake.objects.get('base/out/a.csv')).toBe(theirs)
  })

  it('does without conditions where the service knows none', async () => {
    fake.fault = ({ headers }) =>
      headers['if-none-match'] === undefined ? undefined : { status: 501, code: 'NotImplemented' }
    await publish(contextOf(fake), [fileOf('a.csv', 'a'), fileOf('b.csv', 'b')])
    expect(fake.received.filter(({ headers }) => headers['if-none-match'] !== undefined).length).toBeLessThanOrEqual(2)
    expect(fake.objects.has('base/out/b.csv')).toBe(true)
  })

  it('says that the storage is full, and leaves nothing of the run', async () => {
    fake.quotaBytes = 10 * MB
    const delivery = await open(contextOf(fake))
    await expect(delivery.put(largeFile('a.csv', 30 * MB))).rejects.toThrow(/full or its quota is reached/)
    await delivery.abandon()
    expect([fake.uploads.size, fake.objects.size]).toEqual([0, 0])
  })

  it('writes a note anew that was cut short when the process died', async () => {
    const file = fileOf('a.csv', 'a')
    await (await open(contextOf(fake))).put(file)
    const [note = ''] = fake.objects.keys()
    const whole = fake.objects.get(note)?.body ?? Buffer.alloc(0)
    fake.objects.set(note, { body: whole.subarray(0, whole.length / 2), etag: '"x"', headers: {} })
    const next = await open(contextOf(fake))
    await expect(next.commit(manifestOf([file]))).rejects.toMatchObject({ code: 'unavailable' })
    await next.put(file)
    await next.commit(manifestOf([file]))
    expect([...fake.objects.keys()].toSorted()).toEqual(['base/out/a.csv', 'base/out/model.json'])
    await (await open(contextOf(fake))).abandon()
  })

  it('stops where a note was changed by somebody', async () => {
    const file = fileOf('a.csv', 'a')
    await (await open(contextOf(fake))).put(file)
    const [note = ''] = fake.objects.keys()
    fake.objects.set(note, { body: Buffer.from('{"key":"other"}'), etag: '"x"', headers: {} })
    await expect((await open(contextOf(fake))).commit(manifestOf([file]))).rejects.toThrow(/changed by somebody/)
  })

  it.each([
    [{ status: 503, code: 'SlowDown' }, Unavailable],
    [{ status: 400, code: 'ExpiredToken' }, ConnectionRefused],
    [{ status: 403, code: 'AccessDenied' }, ConnectionRefused],
    [{ status: 400, code: 'InvalidStorageClass' }, DestinationInvalid],
  ])('says who acts next on %o', async (fault, kind) => {
    fake.fault = (request) => (isPart(request) ? fault : undefined)
    await expect((await open(contextOf(fake))).put(fileOf('a.csv', 'a'))).rejects.toThrow(kind)
  })

  it('replaces only what is as it wrote it', async () => {
    const old = fileOf('a.csv', 'old')
    await publish(contextOf(fake), [old])
    // Of the same size, so only its mark tells that it is not ours.
    const theirs = {
      body: Buffer.from('hey'),
      etag: '"t"',
      headers: { 'x-amz-meta-patchbay-run': 'x', 'x-amz-meta-patchbay-sha256': 'y' },
    }
    fake.objects.set('base/out/a.csv', theirs)
    const next = await open(contextOf(fake), 'run_2', [deliveredOf(old)])
    await expect(next.put(fileOf('a.csv', 'new'))).rejects.toThrow(/overwrites no files of others/)
  })
})
