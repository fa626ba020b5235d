import { spawnSync } from 'node:child_process'

/** A small disk of its own, where this process may make one. */
export interface SmallDisk {
  readonly folder: string
  resize(megabytes: number): void
  unmount(): void
}

function run(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** Undefined where mounting is not permitted. */
export function mountSmallDisk(folder: string, megabytes: number): SmallDisk | undefined {
  if (!run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])) return undefined
  return {
    folder,
    resize(size) {
      if (!run('mount', ['-o', `remount,size=${size}m`, folder])) throw new Error('The disk cannot be made larger')
    },
    unmount() {
      if (!run('umount', ['-l', folder])) throw new Error('The disk cannot be taken away')
    },
  }
}
