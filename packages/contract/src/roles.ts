/**
 * Who may do what, in the one table that decides it. Default is deny: a role has the permissions that its row names and
 * no other, and the row of each role is complete by type. Which *objects* a role reaches (a connection shared with
 * Contributors, an export on it) is decided beside it, in the server's `access`.
 */
export const ROLES = ['Administrator', 'Contributor', 'Viewer'] as const
export type Role = (typeof ROLES)[number]

export const PERMISSIONS = [
  /** What must be possible for whoever has no identity yet: sign in, become the owner, accept an invitation. Needs none. */
  'anyone',
  /** Whoever is known: who they are, their own password and sessions. */
  'self',
  /** See tables, their fields and versions, and how many rows; not the rows. */
  'table.read',
  'table.write',
  'segment.read',
  'segment.write',
  /** See values of customers: rows of tables, members of segments, rejected rows, samples of a preview. */
  'row.read',
  /** Discover: every connector there is. */
  'discover.read',
  /** The fields of one connector, needed to set up an export. */
  'connector.read',
  /** Use the connections that are within reach: of each, its display name and its connector. */
  'connection.use',
  /** Everything of a connection but its secrets, which nobody can read. */
  'connection.read',
  'connection.write',
  'export.read',
  /** Make, edit, schedule and remove exports. */
  'export.write',
  /** Make an export do something: preview, run, cancel, approve, retry. */
  'export.run',
  'run.read',
  /** What one is told of: of everything, or of one's own exports. Also one's own settings for it. */
  'notification.read',
  /** Ask where a person's data is, and erase them. */
  'person.read',
  'person.erase',
  'user.read',
  /** Invite users, change their roles, remove them. */
  'user.write',
  'key.read',
  'key.write',
  'audit.read',
  'system.read',
  'system.backup',
  /** Rotate the key that seals secrets. */
  'system.key',
  'metrics.read',
] as const
export type Permission = (typeof PERMISSIONS)[number]

const VIEWER: readonly Permission[] = [
  'anyone',
  'self',
  'table.read',
  'segment.read',
  'export.read',
  'run.read',
  'notification.read',
  'metrics.read',
]

export const PERMISSIONS_OF: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  Administrator: new Set(PERMISSIONS),
  Contributor: new Set<Permission>([
    ...VIEWER,
    'segment.write',
    'row.read',
    'connector.read',
    'connection.use',
    'export.write',
    'export.run',
  ]),
  Viewer: new Set(VIEWER),
}
