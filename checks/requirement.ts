/**
 * Real servers that a test needs. Where one is missing the test is skipped, by name:
 *
 *     describe.skipIf(!requirement('openssh').available)('delivers over SFTP [needs openssh-server]', …)
 *
 * With REQUIRE_REAL_SERVERS=1 (as `.ci/run` sets it) a missing one is an error instead.
 * scripts/install-test-needs.sh installs them all.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, globSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export type RequirementName = 'openssh' | 'postgresql' | 'mariadb' | 'bubblewrap' | 'chromium'

export interface Requirement {
  readonly available: boolean
  /** What was found, or what is missing, in words. */
  readonly reason: string
  /** The program, where there is one. */
  readonly path: string | undefined
}

interface Need {
  /** Debian's package; the words `[needs …]` in the names of the tests are these. */
  readonly debian: string
  readonly programs: readonly string[]
  /** Places outside PATH where Debian keeps it; `*` is a version. */
  readonly places: readonly string[]
  /** Says why the program is of no use on this machine although it is installed. */
  readonly refusal?: (path: string) => string | undefined
}

export const NEEDS: Readonly<Record<RequirementName, Need>> = {
  openssh: { debian: 'openssh-server', programs: ['sshd'], places: ['/usr/sbin/sshd'] },
  postgresql: { debian: 'postgresql', programs: ['postgres'], places: ['/usr/lib/postgresql/*/bin/postgres'] },
  mariadb: { debian: 'mariadb-server', programs: ['mariadbd'], places: ['/usr/sbin/mariadbd'] },
  bubblewrap: { debian: 'bubblewrap', programs: ['bwrap'], places: [], refusal: refusedByKernel },
  chromium: { debian: 'chromium', programs: ['chromium', 'chromium-browser', 'google-chrome'], places: [] },
}

export function requirement(name: RequirementName, environment: NodeJS.ProcessEnv = process.env): Requirement {
  const { debian, programs, places, refusal } = NEEDS[name]
  const path = findProgram(programs, places, environment['PATH'] ?? '')
  if (path === undefined) {
    const reason = `${name} is missing: install Debian's package ${debian}, or run scripts/install-test-needs.sh`
    if (environment['REQUIRE_REAL_SERVERS'] === '1') throw new Error(reason)
    return { available: false, reason, path }
  }
  // A container may forbid what the program does; that is no fault of the machine's set-up, so it is never an error.
  const refused = refusal?.(path)
  return { available: refused === undefined, reason: refused ?? `found ${path}`, path }
}

/** Of several versions, the highest. */
function findProgram(programs: readonly string[], places: readonly string[], path: string): string | undefined {
  const inPlaces = places
    .flatMap((place) => globSync(place))
    .toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }))
  const inPath = path.split(delimiter).flatMap((folder) => programs.map((program) => join(folder, program)))
  return [...inPlaces, ...inPath].find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function refusedByKernel(path: string): string | undefined {
  const { status, stderr } = spawnSync(path, ['--unshare-all', '--ro-bind', '/', '/', '--', 'true'], {
    encoding: 'utf8',
  })
  return status === 0 ? undefined : `bubblewrap may not make a sandbox here: ${stderr.trim()}`
}
