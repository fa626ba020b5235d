import { checkConnector, makeTestContext } from '@patchbay/connector-sdk/testing'
import { signInMethod, type Fields, type Values } from '@patchbay/connector-sdk'
import { describe, expect, it } from 'vitest'
import { secretOf } from '../../test-servers/context.ts'
import { startRecorder } from './fake-recorder.ts'
import { stringToSign } from './client.ts'
import { azureBlob } from './index.ts'
import { accountOf, type AzureSettings } from './settings.ts'

const settings = {
  signIn: 'client',
  account: 'corp',
  container: 'exports',
  cloud: 'public',
  tenantId: 'corp.example',
  clientId: '1-2',
} as const

describe('azure-blob', () => {
  it('is defined as every connector must be', async () => {
    expect((await checkConnector(azureBlob)).filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('drops its secrets when it is pointed elsewhere or at another account', () => {
    const endpoints = Object.entries(azureBlob.settings).filter(([, field]) => field.endpoint === true)
    expect(endpoints.map(([name]) => name)).toEqual([
      'account',
      'container',
      'tenantId',
      'clientId',
      'cloud',
      'endpoint',
    ])
  })

  it.each([
    [
      'public',
      'https://corp.blob.core.windows.net',
      'https://login.microsoftonline.com/corp.example/oauth2/v2.0/token',
    ],
    [
      'us-government',
      'https://corp.blob.core.usgovcloudapi.net',
      'https://login.microsoftonline.us/corp.example/oauth2/v2.0/token',
    ],
    [
      'china',
      'https://corp.blob.core.chinacloudapi.cn',
      'https://login.chinacloudapi.cn/corp.example/oauth2/v2.0/token',
    ],
  ] as const)('knows where the account of the cloud %s is, and who gives its token', (cloud, url, token) => {
    const values = { ...settings, cloud } as unknown as Values<Fields>
    const method = signInMethod(azureBlob.auth, values)
    if (method?.type !== 'client-credentials' || typeof method.tokenEndpoint !== 'function')
      throw new Error('Another way')
    expect(accountOf(values as unknown as AzureSettings).url).toBe(url)
    expect(method.tokenEndpoint(values)).toBe(token)
    expect(method.origins(values, undefined)).toEqual([url])
  })

  it('leaves the token of an app registration to the host', async () => {
    const recorder = await startRecorder()
    const made = makeTestContext(azureBlob, {
      settings: { ...settings, endpoint: recorder.url },
      secrets: { clientSecret: 'hidden' },
      accessToken: 'the-token',
    })
    await Array.fromAsync(azureBlob.check(made.context))
    await recorder.stop()
    expect(recorder.received.length).toBeGreaterThan(2)
    for (const { headers } of recorder.received)
      expect(headers).toMatchObject({ authorization: 'Bearer the-token', 'x-ms-version': '2021-12-02' })
    expect(JSON.stringify(recorder.received)).not.toContain('hidden')
  })

  it.each([
    ['AccountName=a1;AccountKey=a2V5', 'https://a1.blob.core.windows.net', 'key'],
    [
      'DefaultEndpointsProtocol=https;AccountName=a1;AccountKey=a2V5==;EndpointSuffix=core.chinacloudapi.cn',
      'https://a1.blob.core.chinacloudapi.cn',
      'key',
    ],
    ['BlobEndpoint=https://x.example/;SharedAccessSignature=sv=1&sig=a%3D', 'https://x.example', 'sas'],
  ])('reads the connection string %s', (text, url, kind) => {
    const account = accountOf({ ...settings, signIn: 'connection-string', connectionString: secretOf(text) })
    expect([account.url, account.proof.kind]).toEqual([url, kind])
  })

  it.each([
    '',
    'UseDevelopmentStorage=true',
    'AccountName=a',
    'BlobEndpoint=ftp://x;SharedAccessSignature=a',
    'BlobEndpoint=https://u@x/;SharedAccessSignature=a',
  ])('refuses the connection string %j without repeating it', (text) => {
    expect(() => accountOf({ ...settings, signIn: 'connection-string', connectionString: secretOf(text) })).toThrow(
      expect.objectContaining({
        field: 'connectionString',
        message: expect.not.stringContaining('https://u@x') as string,
      }) as Error,
    )
  })

  it('signs as Microsoft shows it', () => {
    // The example of "Authorize with Shared Key", learn.microsoft.com.
    const url = new URL(
      'https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20',
    )
    const headers = { 'x-ms-version': '2015-02-21', 'x-ms-date': 'Fri, 26 Jun 2015 23:39:12 GMT' }
    expect(stringToSign({ method: 'GET', url, headers, body: undefined }, 'myaccount')).toBe(
      'GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n' +
        '/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20',
    )
  })
})
