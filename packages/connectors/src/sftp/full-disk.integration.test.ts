/** Not labelled as a test of OpenSSH: that server can be had everywhere, and a disk of one's own cannot. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Unavailable } from '@patchbay/connector-sdk'
import { describe, expect, it, onTestFinished } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import { fileOf } from '../../test-servers/files.ts'
import { startOpenssh } from '../../test-servers/openssh.ts'
import { openDelivery, withKey } from './sftp-test-support.ts'

describe.skipIf(!canMount())('SFTP to a full disk [needs root and mount]', () => {
  it('says how much room is missing, and clears its half file', async () => {
    const server = await startOpenssh()
    const baseFolder = makeFolder()
    mount(baseFolder)
    onTestFinished(() => unmount(baseFolder))
    server.give(baseFolder)
    const delivery = await openDelivery({ ...withKey(server), baseFolder })
    const put = delivery.put(fileOf('a.bin', new Uint8Array(8 * 1024 * 1024)))
    await expect(put).rejects.toThrow(Unavailable)
    await expect(put).rejects.toThrow(/disk is full \(\d+ bytes are free, 8388608 are needed\)/)
    expect(readdirSync(baseFolder)).toEqual([])
    await delivery.abandon()
    await server.stop()
  })
})

function makeFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'patchbay-small-disk-'))
  chmodSync(path, 0o755)
  return path
}

function mount(path: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path], { stdio: 'ignore' })
}

function unmount(path: string): void {
  execFileSync('umount', [path])
  rmSync(path, { recursive: true })
}

function canMount(): boolean {
  if (!requirement('openssh').available || process.getuid?.() !== 0) return false
  const path = makeFolder()
  try {
    mount(path)
    unmount(path)
    return true
  } catch {
    rmSync(path, { recursive: true })
    return false
  }
}
