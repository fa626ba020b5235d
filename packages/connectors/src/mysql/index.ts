/** Tables of MySQL and MariaDB, filled by LOAD DATA LOCAL. Each run is one transaction: readers see all of it or nothing. */
import { defineConnector } from '@patchbay/connector-sdk'
import { checkConnection } from './check-connection.ts'
import { openTable } from './delivery.ts'
import { checkTableName } from './names.ts'
import { settings, tableFields } from './settings.ts'

export const mysql = defineConnector({
  id: 'mysql',
  name: 'MySQL and MariaDB',
  summary: 'Writes segments and tables into tables of a MySQL or MariaDB database, each run in one transaction',
  category: 'database',
  direction: 'export',
  settings,
  auth: { type: 'none' },
  check: checkConnection,
  destinations: {
    table: {
      name: 'Table',
      delivers: 'table',
      modes: ['upsert', 'mirror', 'append', 'replace'],
      fields: tableFields,
      removal:
        'Mirror deletes rows that leave, found by their key: only those that this export added. Upsert and append delete ' +
        'nothing. Replace deletes every row of the table first, and is refused for a table that Patchbay did not make.',
      open: (ctx, destination, mode) => openTable(ctx, checkTableName(destination.table), mode),
    },
  },
})
