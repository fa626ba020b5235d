import type { Fields, Values } from '@patchbay/connector-sdk'

/**
 * All that says where and as whom is an `endpoint`: the secret key itself never travels, but a request that it has signed
 * does, and whoever could point it elsewhere would be sent the rows.
 */
export const settings = {
  service: {
    kind: 'choice',
    label: 'Service',
    choices: [
      { value: 'aws', label: 'Amazon S3' },
      {
        value: 'compatible',
        label: 'Another service that speaks S3',
        help: 'MinIO, Ceph, Cloudflare R2, Backblaze B2, Wasabi, …',
      },
    ],
    default: 'aws',
    endpoint: true,
  },
  endpoint: {
    kind: 'text',
    label: 'Endpoint',
    help: 'As the service names it, without the bucket. Over http:// everybody on the way can read the rows',
    example: 'https://s3.example.com',
    pattern: 'https?://[^/?#@\\s]+/?',
    maxLength: 300,
    showWhen: { field: 'service', is: 'compatible' },
    endpoint: true,
  },
  region: {
    kind: 'text',
    label: 'AWS Region',
    help: 'Of the bucket; the list of buckets shows it. Other services: as they name it, mostly us-east-1',
    example: 'eu-central-1',
    pattern: '[a-z0-9-]+',
    maxLength: 40,
    endpoint: true,
  },
  bucket: {
    kind: 'text',
    label: 'Bucket name',
    help: 'It must exist',
    example: 'my-company-exports',
    pattern: '[a-z0-9][a-z0-9.-]+[a-z0-9]',
    maxLength: 63,
    endpoint: true,
  },
  baseFolder: {
    kind: 'text',
    label: 'Prefix',
    help: 'Exports write below it only. Left empty: the whole bucket',
    example: 'patchbay',
    pattern: '[^/\\\\][^\\\\]*',
    maxLength: 500,
    optional: true,
  },
  signIn: {
    kind: 'choice',
    label: 'Sign in with',
    choices: [
      { value: 'keys', label: 'Access keys of a user' },
      { value: 'role', label: 'A role, taken on with access keys', help: 'AssumeRole of the Security Token Service' },
    ],
    default: 'keys',
  },
  accessKeyId: {
    kind: 'text',
    label: 'Access key ID',
    help: 'IAM, Users, the user of Patchbay, Security credentials, Create access key',
    example: 'AKIAIOSFODNN7EXAMPLE',
    pattern: '[\\w-]+',
    maxLength: 128,
    endpoint: true,
  },
  secretAccessKey: {
    kind: 'secret',
    label: 'Secret access key',
    help: 'Shown once, beside the access key ID, when the key is created',
  },
  sessionToken: {
    kind: 'secret',
    label: 'Session token',
    help: 'Only with temporary access keys, whose ID begins with ASIA: they end after some hours, and exports with them',
    optional: true,
  },
  roleArn: {
    kind: 'text',
    label: 'Role ARN',
    help: 'IAM, Roles, the role, Summary. Its trust policy must name the user of the access keys',
    example: 'arn:aws:iam::123456789012:role/patchbay',
    pattern: 'arn:[\\w-]+:iam:[\\w-]*:\\d*:role/[\\w+=,.@/-]+',
    maxLength: 2048,
    showWhen: { field: 'signIn', is: 'role' },
    endpoint: true,
  },
  externalId: {
    kind: 'text',
    label: 'External ID',
    help: 'Where the trust policy of the role asks for one (sts:ExternalId)',
    pattern: '[\\w+=,.@:/-]+',
    maxLength: 1224,
    optional: true,
    showWhen: { field: 'signIn', is: 'role' },
  },
  encryption: {
    kind: 'choice',
    label: 'Server-side encryption',
    choices: [
      {
        value: 'bucket',
        label: 'As the bucket is set',
        help: 'Amazon S3 then encrypts with its own keys at the least',
      },
      { value: 'AES256', label: 'Amazon S3 managed keys (SSE-S3)' },
      { value: 'aws:kms', label: 'AWS Key Management Service keys (SSE-KMS)' },
      { value: 'aws:kms:dsse', label: 'Dual-layer with AWS Key Management Service keys (DSSE-KMS)' },
    ],
    default: 'bucket',
  },
  kmsKey: {
    kind: 'text',
    label: 'AWS KMS key ARN',
    help: 'For the two choices with AWS KMS. Left empty: the account’s own key for S3 (aws/s3)',
    example: 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-…',
    pattern: '[\\w+=,.@:/-]+',
    maxLength: 2048,
    optional: true,
  },
  checksum: {
    kind: 'choice',
    label: 'Additional checksum',
    choices: [
      { value: 'sha256', label: 'SHA-256, kept with the object' },
      {
        value: 'none',
        label: 'None',
        help: 'For services that refuse it. What is sent is still signed with its digest',
      },
    ],
    default: 'sha256',
  },
} as const satisfies Fields

export type S3Settings = Values<typeof settings>

/** Where requests go. Only Amazon's own buckets have a host name of their own; with a dot in it, no certificate would fit. */
export function addressesOf({ service, endpoint, region, bucket }: S3Settings): {
  readonly bucketUrl: string
  readonly stsUrl: string
} {
  if (service === 'compatible') {
    const url = (endpoint ?? '').replace(/\/$/, '')
    return { bucketUrl: `${url}/${bucket}`, stsUrl: `${url}/` }
  }
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
  const bucketUrl = bucket.includes('.')
    ? `https://s3.${region}.${domain}/${bucket}`
    : `https://${bucket}.s3.${region}.${domain}`
  return { bucketUrl, stsUrl: `https://sts.${region}.${domain}/` }
}
