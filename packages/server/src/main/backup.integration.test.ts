/** A backup of either control store is put back into an embedded one, with everything in it that counts. */
import { createWriteStream, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { makeClient } from '@patchbay/contract'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPatchbay } from '../main.ts'
import { readSettings } from '../settings.ts'
import { STORES } from '../test-support/stores.ts'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'
import { restoreBackup } from './restore.ts'

const OLGA = { name: 'Olga', email: 'olga@example.org', password: 'a quiet river in may' }
const SECRET = `whsec_${Buffer.from('thirty-two bytes of a canary ...').toString('base64')}`

describe.each(STORES)('$name', (kind) => {
  describe.skipIf(kind.skip)('a backup', () => {
    let stop: () => Promise<void>
    let patchbay: TestPatchbay
    let folder: string
    let file: string
    beforeAll(async () => {
      const started = await kind.start()
      stop = () => started.stop()
      patchbay = await openTestPatchbay({}, started.url === undefined ? {} : { DATABASE_URL: started.url })
      folder = mkdtempSync(join(tmpdir(), 'patchbay-backup-'))
      file = join(folder, 'copy.pbk')
      const { target } = await makeWorld(patchbay)
      await patchbay.client.connections.add({
        body: {
          name: 'Hook',
          connectorId: 'webhook',
          settings: { url: 'https://hook.invalid/in' },
          secrets: { signingSecret: SECRET },
        },
      })
      await sql`INSERT INTO erased SELECT id, 'of nobody here', now(), 'command line' FROM table_`.execute(
        patchbay.store.db,
      )
      const token = (await patchbay.makeOwnerLink()) ?? ''
      await patchbay.client.owner.claim({ body: { token, ...OLGA } })
      const [{ id } = { id: '' }] = (await patchbay.client.users.list()).items
      await patchbay.client.connections.edit({
        params: { connection: 'Hook' },
        body: { sharing: { with: 'named', users: [id] } },
      })
      await patchbay.ended(await patchbay.client.exports.run({ params: { export: target.id } }))
      const bytes = await patchbay.client.system.backup()
      await pipeline(Readable.fromWeb(bytes as never), createWriteStream(file))
    })
    afterAll(async () => {
      await patchbay.remove()
      await stop()
      rmSync(folder, { recursive: true, force: true })
    })

    test('leaves nothing beside itself', () => {
      expect(readdirSync(patchbay.settings.dataFolder).filter((name) => name.startsWith('backup-'))).toEqual([])
    })

    test('is put back whole, and waits to be confirmed', async () => {
      const { keyFile } = patchbay.settings
      const environment = {
        PATCHBAY_DATA: join(folder, 'data'),
        PATCHBAY_KEY_FILE: keyFile,
        PATCHBAY_FILE_ROOTS: patchbay.fileRoot,
        PATCHBAY_LOG: 'silent',
      }
      const settings = readSettings(environment, folder)
      const restored = await restoreBackup(settings, file)
      expect(restored.files).toBeGreaterThan(1)
      await expect(restoreBackup(settings, file)).rejects.toMatchObject({ code: 'conflict' })
      expect(readdirSync(join(folder, 'data')).filter((name) => name.startsWith('restore-'))).toEqual([])

      const other = await openPatchbay(settings)
      try {
        const client = makeClient(async (request) => other.app.fetch(request, { door: 'operator' }))
        const there = { export: 'Customers out' }
        await expect(client.exports.preview({ params: there })).rejects.toMatchObject({ code: 'not-ready' })
        await client.system.confirmRestore()
        for (const list of ['tables', 'segments', 'connections', 'exports', 'users'] as const)
          expect(await client[list].list()).toEqual(await patchbay.client[list].list())
        await client.session.open({ body: { email: OLGA.email, password: OLGA.password } })
        // Who was erased stays erased.
        const erased = sql`SELECT * FROM erased`
        expect((await erased.execute(other.store.db)).rows).toEqual((await erased.execute(patchbay.store.db)).rows)
        expect(await client.audit.verify()).toMatchObject({ ok: true })
        // The sealed secret opens, with the same key file and nothing else.
        const checked = await client.connections.check({ params: { connection: 'Hook' } })
        expect(JSON.stringify(checked)).not.toMatch(/stored secrets|canary/)
        // The ledger knows what was delivered: there is nothing to send.
        await other.startWorker({ withSchedules: false })
        const preview = await client.exports.preview({ params: there })
        await expect
          .poll(async () => client.runs.show({ params: { run: preview.id } }), { timeout: 20_000 })
          .toMatchObject({ status: 'successful', counts: { read: 5, unchanged: 5, added: 0 } })
      } finally {
        await other.close()
      }
    })

    test('is of no use without the key, or with another one', async () => {
      const without = readSettings({ PATCHBAY_DATA: join(folder, 'no-key') }, folder)
      await expect(restoreBackup(without, file)).rejects.toMatchObject({ path: 'PATCHBAY_KEY_FILE' })
      const strangers = await openTestPatchbay()
      try {
        const environment = { PATCHBAY_DATA: join(folder, 'stranger'), PATCHBAY_KEY_FILE: strangers.settings.keyFile }
        await expect(restoreBackup(readSettings(environment, folder), file)).rejects.toMatchObject({ code: 'invalid' })
      } finally {
        await strangers.remove()
      }
    })
  })
})
