import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LedgerRef } from '../domain/plan.ts'
import type { Rule } from '../domain/segment.ts'
import { createExportOfPeople, createPeople, draftOf } from '../test-support/fixtures.ts'
import { STORES } from '../test-support/stores.ts'
import { byTester, type TestStore } from '../test-support/test-store.ts'
import { appendAudit, verifyAudit } from './audit.ts'
import { editConnection, readConnection } from './connection.ts'
import { listDependents, removeConnection } from './connection-removal.ts'
import {
  attachExport,
  createExport,
  detachExport,
  duplicateExport,
  editExport,
  readExport,
  removeExport,
} from './export.ts'
import { claimIdempotency, storeAnswer } from './idempotency.ts'
import { keepSet } from './keep-set.ts'
import { listDeliveredFiles, readLedgers, writeDeliveredFiles, writeLedgers } from './ledger.ts'
import { migrate } from './migrate.ts'
import type { Tx } from './schema.ts'
import { readSecret, writeSecret } from './secret.ts'
import { createSegment, editSegment, removeSegment } from './segment.ts'
import { addVersion, createTable, readTable, removeTable, reserveVersion } from './table.ts'

const by = byTester()

for (const kind of STORES) {
  describe.skipIf(kind.skip)(`store on ${kind.name}`, () => {
    let store: TestStore
    let stop: () => Promise<void>
    const change = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => store.db.transaction().execute(work)

    beforeAll(async () => {
      const server = await kind.start()
      stop = () => server.stop()
      store = await server.open()
      await change((tx) => createPeople(tx))
    })
    afterAll(async () => {
      await store.remove()
      await stop()
    })

    test('names are unique regardless of case, and the clash names the place', async () => {
      const rule: Rule = { on: { field: 'spend' }, moreThan: 5 }
      await change((tx) => createSegment(tx, { name: 'Big', rule }, by))
      const again = change((tx) => createSegment(tx, { name: 'bIG', rule }, by))
      await expect(again).rejects.toMatchObject({ code: 'conflict', path: 'name' })
      const tables = change((tx) => createPeople(tx))
      await expect(tables).rejects.toMatchObject({ code: 'conflict' })
    })

    test('a stale edit is refused and changes nothing', async () => {
      const made = await change((tx) =>
        createSegment(tx, { name: 'Stale', rule: { on: { field: 'id' }, isEmpty: true } }, by),
      )
      const next: Rule = { on: { field: 'id' }, isEmpty: false }
      await change((tx) => editSegment(tx, made.id, made.revision, { name: 'Stale', rule: next }, by))
      const late = change((tx) => editSegment(tx, made.id, made.revision, { name: 'Stale', rule: made.rule }, by))
      await expect(late).rejects.toMatchObject({ code: 'conflict', path: 'revision' })
    })

    test('what is used cannot be removed or renamed, and the users are named', async () => {
      const rule: Rule = { on: { aggregate: 'sum', table: 'Orders', by: 'person', of: 'total' }, moreThan: 5 }
      const inner = await change((tx) => createSegment(tx, { name: 'Inner', rule }, by))
      await change((tx) => createSegment(tx, { name: 'Outer', rule: { all: [{ not: { memberOf: 'Inner' } }] } }, by))
      await expect(change((tx) => removeSegment(tx, inner.id, by))).rejects.toThrow('segment "Outer"')
      const renamed = { name: 'Renamed', rule }
      await expect(change((tx) => editSegment(tx, inner.id, 1, renamed, by))).rejects.toThrow('segment "Outer"')
      const orders = await readTable(store.db, 'orders')
      await expect(change((tx) => removeTable(tx, orders.id, by))).rejects.toThrow('segment "Inner"')
      const people = await readTable(store.db, 'People')
      await expect(change((tx) => removeTable(tx, people.id, by))).rejects.toMatchObject({ code: 'conflict' })
    })

    test('versions: numbers are given once, the newest import wins, the profile table is one', async () => {
      const people = await readTable(store.db, 'People')
      const [first, second] = [await reserveVersion(store.db, people.id), await reserveVersion(store.db, people.id)]
      expect([first, second]).toEqual([2, 3])
      const made = { fields: people.fields, files: [], rows: 5, badLines: 0 }
      expect((await change((tx) => addVersion(tx, people.id, second, made, by))).currentVersion).toBe(3)
      await expect(change((tx) => addVersion(tx, people.id, first, made, by))).rejects.toMatchObject({
        code: 'conflict',
      })
      const other = { id: 'tbl_x' as typeof people.id, name: 'Other', isProfile: true, key: 'id', ...made }
      await expect(change((tx) => createTable(tx, other, by))).rejects.toMatchObject({ path: 'isProfile' })
    })

    test('removing a connection takes its secrets and detaches its exports, which keep everything', async () => {
      const target = await change((tx) => createExportOfPeople(tx))
      const connectionId = target.connectionId ?? ('' as never)
      await change((tx) => writeSecret(tx, { connectionId, field: 'key', sealed: 's1.x' }, by))
      expect((await readConnection(store.db, connectionId)).secretsSet).toEqual(['key'])
      expect(await listDependents(store.db, connectionId)).toMatchObject([
        { id: target.id, name: target.name, runs: [] },
      ])
      await change((tx) => removeConnection(tx, connectionId, { remove: new Set() }, by))
      expect(await readSecret(store.db, connectionId, 'key')).toBeUndefined()
      const detached = await readExport(store.db, target.id)
      expect(detached).toMatchObject({ connectionId: null, source: target.source, revision: target.revision + 1 })
      const other = await change((tx) => createExportOfPeople(tx))
      const attached = await change((tx) => attachExport(tx, target.id, other.connectionId ?? ('' as never), by))
      expect(attached.connectionId).toBe(other.connectionId)
    })

    test('I1 an edit of where drops the secrets', async () => {
      const target = await change((tx) => createExportOfPeople(tx))
      const connection = await readConnection(store.db, target.connectionId ?? '')
      await change((tx) => writeSecret(tx, { connectionId: connection.id, field: 'key', sealed: 's1.x' }, by))
      const edited = {
        name: connection.name,
        settings: { url: 'https://b.example' },
        policy: connection.policy,
        dropSecrets: true,
      }
      const after = await change((tx) => editConnection(tx, connection.id, connection.revision, edited, by))
      expect(after.secretsSet).toEqual([])
    })

    test('exports: edit, duplicate, detach, remove', async () => {
      const target = await change((tx) => createExportOfPeople(tx))
      const edited = await change((tx) => editExport(tx, target.id, 1, { ...draftOf('Edited'), mode: 'mirror' }, by))
      expect(edited).toMatchObject({ name: 'Edited', mode: 'mirror', revision: 2 })
      const stale = change((tx) => editExport(tx, target.id, 1, draftOf('Late'), by))
      await expect(stale).rejects.toMatchObject({ code: 'conflict', path: 'revision' })
      const copy = await change((tx) => duplicateExport(tx, target.id, 'Copy', by))
      expect(copy.id).not.toBe(target.id)
      await change((tx) => detachExport(tx, target.id, by))
      await change((tx) => removeExport(tx, target.id, by))
      await expect(readExport(store.db, target.id)).rejects.toMatchObject({ code: 'not-found' })
    })

    test('ledgers and files belong to one place at the far end', async () => {
      const target = await change((tx) => createExportOfPeople(tx))
      const at = (destinationDigest: string) => ({ exportId: target.id, destinationDigest })
      const ref: LedgerRef = { kind: 'rows', path: 'ledgers/x/1.parquet', rows: 1, fingerprintProbe: 'p' }
      const file = { name: 'a.csv', rows: 1, sizeBytes: 5_000_000_000, sha256: 'f' }
      await change(async (tx) => {
        await writeLedgers(tx, at('a'), { id: 'run_1', ledgers: { People: ref }, now: by.now })
        await writeLedgers(tx, at('a'), { id: 'run_2', ledgers: { People: { ...ref, rows: 2 } }, now: by.now })
        await writeDeliveredFiles(tx, at('a'), { id: 'run_1', added: [file], removed: [] })
      })
      expect((await readLedgers(store.db, at('a'))).get('People')).toEqual({ ...ref, rows: 2 })
      expect((await readLedgers(store.db, at('b'))).size).toBe(0)
      expect(await listDeliveredFiles(store.db, at('a'))).toEqual([file])
      await change((tx) => writeDeliveredFiles(tx, at('a'), { id: 'run_2', added: [], removed: ['a.csv'] }))
      expect(await listDeliveredFiles(store.db, at('a'))).toEqual([])
    })

    test('retention keeps the last versions, versions being imported, and what ledgers refer to', async () => {
      const orders = await readTable(store.db, 'Orders')
      const target = await change((tx) => createExportOfPeople(tx))
      for (let count = 0; count < 6; count++) {
        const version = await reserveVersion(store.db, orders.id)
        await change((tx) =>
          addVersion(tx, orders.id, version, { fields: orders.fields, files: [], rows: 1, badLines: 0 }, by),
        )
      }
      await reserveVersion(store.db, orders.id)
      const table = {
        id: orders.id,
        name: 'Orders',
        version: 2,
        key: 'number',
        fields: orders.fields,
        files: [],
        rows: 1,
      }
      const source = {
        name: 'Orders',
        table,
        columns: [],
        where: null,
        related: [],
        consentField: null,
        merge: { by: 'smallest-key' } as const,
      }
      const whole: LedgerRef = { kind: 'whole', source, now: '2026-01-01T00:00:00.000Z', rows: 1 }
      await change((tx) =>
        writeLedgers(
          tx,
          { exportId: target.id, destinationDigest: 'a' },
          { id: 'r', ledgers: { Orders: whole }, now: by.now },
        ),
      )
      const kept = await keepSet(store.db, new Date('2030-01-01T00:00:00Z'))
      expect([...(kept.tableVersions.get(orders.id) ?? [])].toSorted((a, b) => a - b)).toEqual([2, 5, 6, 7, 8])
      expect(kept.ledgers.has('ledgers/x/1.parquet')).toBe(true)
    })

    test('an idempotency key does its work once', async () => {
      const request = { scope: 'runs', key: 'k', digest: 'd', now: by.now }
      let done = 0
      const call = () =>
        change(async (tx) => {
          const earlier = await claimIdempotency(tx, request)
          if (earlier !== undefined) return earlier
          done += 1
          await storeAnswer(tx, 'runs', 'k', { run: 1 })
          return { run: 1 }
        })
      expect(await Promise.all(Array.from({ length: 20 }, call))).toEqual(
        Array.from({ length: 20 }, () => ({ run: 1 })),
      )
      expect(done).toBe(1)
      const other = change((tx) => claimIdempotency(tx, { ...request, digest: 'e' }))
      await expect(other).rejects.toMatchObject({ code: 'conflict' })
    })

    test('a text that the database cannot hold is a problem, not a crash', async () => {
      const rule = (equals: string): Rule => ({ on: { field: 'id' }, equals })
      for (const text of ['a\0b', '\ud800']) {
        const made = change((tx) => createSegment(tx, { name: 'Odd', rule: rule(text) }, by))
        await expect(made).rejects.toMatchObject({ code: 'invalid' })
      }
      const plain = await change((tx) => createSegment(tx, { name: 'Odd', rule: rule('\\u0000 😀') }, by))
      expect(plain.rule).toEqual(rule('\\u0000 😀'))
    })

    test('migrating again does nothing; a store of a newer version is refused', async () => {
      expect(await migrate(store.db)).toEqual([])
      await sql`INSERT INTO kysely_migration (name, timestamp) VALUES ('9999-future', '2030')`.execute(store.db)
      await expect(migrate(store.db)).rejects.toMatchObject({
        code: 'not-ready',
        message: expect.stringContaining('newer'),
      })
      await sql`DELETE FROM kysely_migration WHERE name = '9999-future'`.execute(store.db)
    })

    test('I8 every tampering with the audit log is found, and where', async () => {
      await change(async (tx) => {
        for (let count = 0; count < 40; count++) {
          await appendAudit(tx, {
            at: by.now,
            actor: 'a',
            action: 'x.y',
            subject: `s${count}`,
            detail: { count, z: [1.5, null] },
          })
        }
      })
      const verdict = await verifyAudit(store.db, null)
      if (!verdict.ok) throw new Error('broken before')
      const { head } = verdict
      const end = head.seq
      const swap = `UPDATE audit a SET actor = b.actor, action = b.action, subject = b.subject, detail = b.detail, hash = b.hash,
        prev_hash = b.prev_hash, at = b.at FROM audit b WHERE (a.seq, b.seq) IN ((${end - 3}, ${end - 2}), (${end - 2}, ${end - 3}))`
      const tamperings: readonly [string, number, string][] = [
        [`UPDATE audit SET actor = 'b' WHERE seq = ${end - 5}`, end - 5, 'edited'],
        [`UPDATE audit SET detail = '{"count": 8}' WHERE seq = ${end - 5}`, end - 5, 'edited'],
        [`UPDATE audit SET at = at + interval '1 second' WHERE seq = ${end}`, end, 'edited'],
        [`DELETE FROM audit WHERE seq = ${end - 7}`, end - 7, 'missing'],
        [`DELETE FROM audit WHERE seq = 1`, 1, 'missing'],
        [`DELETE FROM audit WHERE seq > ${end - 4}`, end - 3, 'cut off'],
        [`DELETE FROM audit`, 1, 'cut off'],
        [swap, end - 3, 'edited'],
        [
          `DELETE FROM audit WHERE seq = ${end - 6}; UPDATE audit SET seq = seq - 1 WHERE seq > ${end - 6}`,
          end - 6,
          'edited',
        ],
        [
          `UPDATE audit SET seq = seq + 1000000 WHERE seq > ${end - 2};
           UPDATE audit SET seq = seq - 999999 WHERE seq > 1000000;
           INSERT INTO audit SELECT ${end - 1}, at, actor, action, subject, detail, prev_hash, hash FROM audit WHERE seq = ${end - 2}`,
          end - 1,
          'edited',
        ],
      ]
      for (const [statement, seq, what] of tamperings) {
        const undone = change(async (tx) => {
          await sql`ALTER TABLE audit DISABLE TRIGGER audit_no_change`.execute(tx)
          for (const one of statement.split(';')) await sql.raw(one).execute(tx)
          expect(await verifyAudit(tx, head), statement).toEqual({ ok: false, seq, what })
          throw new Error('undo')
        })
        await expect(undone).rejects.toThrow('undo')
      }
      expect(await verifyAudit(store.db, { seq: end, hash: 'f'.repeat(64) })).toMatchObject({
        ok: false,
        what: 'rewritten',
      })
      const blocked = sql`UPDATE audit SET actor = 'b'`.execute(store.db)
      await expect(blocked).rejects.toThrow('append-only')
      expect(await verifyAudit(store.db, head)).toMatchObject({ ok: true })
    })

    test('50 writers at once leave one chain', async () => {
      const before = await verifyAudit(store.db, null)
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          change((tx) => appendAudit(tx, { at: by.now, actor: 'a', action: 'x.y', subject: `p${index}`, detail: {} })),
        ),
      )
      const after = await verifyAudit(store.db, null)
      expect(after).toMatchObject({ ok: true, entries: (before.ok ? before.entries : 0) + 50 })
    })

    test('B21 a store that lost its end is noticed, until somebody confirms', async () => {
      await store.anchorAudit()
      expect(await store.isRestored()).toBe(false)
      await change(async (tx) => {
        await sql`ALTER TABLE audit DISABLE TRIGGER audit_no_change`.execute(tx)
        await sql`DELETE FROM audit WHERE seq > (SELECT max(seq) - 3 FROM audit)`.execute(tx)
        await sql`ALTER TABLE audit ENABLE TRIGGER audit_no_change`.execute(tx)
      })
      expect(await store.isRestored()).toBe(true)
      await store.anchorAudit()
      expect(await store.isRestored()).toBe(true)
      await store.confirmRestore()
      expect(await store.isRestored()).toBe(false)
    })

    test('a transaction that fails leaves nothing, its audit entry included', async () => {
      const before = await verifyAudit(store.db, null)
      const failed = change(async (tx) => {
        const target = await createExportOfPeople(tx, { name: 'Never' })
        await createExport(tx, { ...draftOf('never'), connectionId: target.connectionId ?? ('' as never) }, by)
      })
      await expect(failed).rejects.toMatchObject({ code: 'conflict' })
      await expect(readExport(store.db, 'Never')).rejects.toMatchObject({ code: 'not-found' })
      expect(await verifyAudit(store.db, null)).toEqual(before)
    })
  })
}
