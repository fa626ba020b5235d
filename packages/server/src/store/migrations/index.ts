import type { Migration } from 'kysely/migration'
import { up as first } from './0001-first.ts'
import { up as lists } from './0002-lists.ts'
import { up as sharing } from './0003-sharing.ts'
import { up as journalJobs } from './0004-journal-jobs.ts'
import { up as connectionLists } from './0005-connection-lists.ts'
import { up as changes } from './0006-changes.ts'
import { up as signIn } from './0007-sign-in.ts'
import { up as erased } from './0008-erased.ts'
import { up as removedConnections } from './0009-removed-connections.ts'
import { up as keyRotation } from './0010-key-rotation.ts'
import { up as users } from './0011-users.ts'
import { up as healthNotifications } from './0012-health-notifications.ts'
import { up as keyVaults } from './0013-key-vaults.ts'

/** In order, by name. A release only ever adds to the end. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-first': { up: first },
  '0002-lists': { up: lists },
  '0003-sharing': { up: sharing },
  '0004-journal-jobs': { up: journalJobs },
  '0005-connection-lists': { up: connectionLists },
  '0006-changes': { up: changes },
  '0007-sign-in': { up: signIn },
  '0008-erased': { up: erased },
  '0009-removed-connections': { up: removedConnections },
  '0010-key-rotation': { up: keyRotation },
  '0011-users': { up: users },
  '0012-health-notifications': { up: healthNotifications },
  '0013-key-vaults': { up: keyVaults },
}
