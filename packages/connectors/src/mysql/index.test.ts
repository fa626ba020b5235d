import { checkConnector } from '@patchbay/connector-sdk/testing'
import { describe, expect, it } from 'vitest'
import { newColumnType } from './columns.ts'
import { translate } from './errors.ts'
import { mysql } from './index.ts'
import { PEOPLE } from './table-test-support.ts'

const answer = (errno: number, message: string, sqlState = 'HY000'): Error =>
  Object.assign(new Error(message), { errno, sqlState })

describe('mysql', () => {
  it('is defined as every connector must be', async () => {
    expect((await checkConnector(mysql)).filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('drops its secrets when it is pointed elsewhere, at another account, or told to trust others', () => {
    const endpoints = Object.entries(mysql.settings).filter(([, field]) => field.endpoint === true)
    expect(endpoints.map(([name]) => name)).toEqual(['host', 'port', 'database', 'user', 'tls', 'ca'])
  })

  it('tells keys apart byte for byte on either server', () => {
    const [id] = PEOPLE.columns
    if (id === undefined) throw new Error('No column')
    expect(newColumnType(id, ['id'], PEOPLE, true)).toMatch(/^varchar\(512\) .*utf8mb4_nopad_bin$/)
    expect(newColumnType(id, ['id'], PEOPLE, false)).toMatch(/^varchar\(512\) .*utf8mb4_0900_bin$/)
    const three = { ...PEOPLE, columns: ['a', 'b', 'c'].map((name) => ({ ...id, name })), key: ['a', 'b', 'c'] }
    expect(newColumnType({ ...id, name: 'a' }, three.key, three, true)).toMatch(/^varchar\(233\)/)
  })

  it.each([
    [answer(1213, 'Deadlock', '40001'), 'commit', { code: 'unavailable', sent: 'no' }],
    [answer(1180, 'Got error during COMMIT'), 'commit', { code: 'unavailable', sent: 'maybe' }],
    [
      answer(1045, "Access denied for user 'x'@'y'", '28000'),
      'connect',
      { code: 'connection-refused', field: 'password' },
    ],
    [answer(1290, 'running with --read-only'), 'work', { code: 'settings-invalid', field: 'host' }],
    [answer(3948, 'Loading local data is disabled'), 'work', { code: 'settings-invalid', field: 'host' }],
    [answer(1142, "INSERT command denied to user 'x'", '42000'), 'work', { code: 'destination-invalid' }],
    [answer(1021, 'Disk full'), 'work', { code: 'unavailable', sent: 'no' }],
  ] as const)('says who acts next on %o while it does %s', (error, step, told) => {
    expect(translate(error, { step })).toMatchObject(told)
  })

  it('tells a column and a line of what the server says, and no value', () => {
    const columns = new Map([['c2', 'E-mail']])
    const message = "Incorrect string value: 'anna@example.com' for column `db`.`t`.`c2` at row 17"
    const told = translate(answer(1366, message), { step: 'work', columns })
    expect(told.message).toBe('A value does not fit the column (1366): column "E-mail", line 17 of the file')
    expect(told.cause).toBeUndefined()
  })
})
