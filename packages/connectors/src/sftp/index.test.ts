import { Unavailable } from '@patchbay/connector-sdk'
import { checkConnector } from '@patchbay/connector-sdk/testing'
import { describe, expect, it } from 'vitest'
import { makeContext, secretOf } from '../../test-servers/context.ts'
import { sftp } from './index.ts'

const settings = { host: 'sftp.example.com', port: 22, user: 'partner', signIn: 'password', password: secretOf('x') }

describe('sftp', () => {
  it('is defined as every connector must be', async () => {
    const results = await checkConnector(sftp)
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('drops its secrets when it is pointed elsewhere or at another account', () => {
    const endpoints = Object.entries(sftp.settings).filter(([, field]) => field.endpoint === true)
    expect(endpoints.map(([name]) => name)).toEqual(['host', 'port', 'user'])
  })

  it.each([
    ['resolved', 'host'],
    ['reached', undefined],
  ] as const)('says when the host is not %s', async (step, field) => {
    const context = {
      ...makeContext({ settings }),
      connect: () => Promise.reject(new Unavailable('no', 'No way', { step })),
    }
    const steps = await Array.fromAsync(sftp.check(context))
    expect(steps).toEqual([{ step, ok: false, message: 'No way', ...(field !== undefined && { field }) }])
  })

  it('opens no connection before there is something to write', async () => {
    const context = { ...makeContext({ settings }), connect: () => Promise.reject(new Error('called')) }
    const destination = sftp.destinations['folder']
    if (destination?.delivers !== 'files') throw new Error('It delivers no files')
    expect(() => destination.open(context, { folder: 'out' }, { runId: 'run_1', delivered: [] })).not.toThrow()
    expect(() => destination.open(context, { folder: '../up' }, { runId: 'run_1', delivered: [] })).toThrow(/\.\./)
    await Promise.resolve()
  })
})
