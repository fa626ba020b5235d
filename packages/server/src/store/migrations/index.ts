import type { Migration } from 'kysely/migration'
import { up as first } from './0001-first.ts'

/** In order, by name. A release only ever adds to the end. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-first': { up: first },
}
