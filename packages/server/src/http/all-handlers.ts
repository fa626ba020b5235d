import type { PatchbayContract } from '@patchbay/contract'
import { makeAuditHandlers } from './audit.ts'
import { makeConnectionHandlers } from './connections.ts'
import { makeConnectorHandlers } from './connectors.ts'
import { makeEventHandlers } from './events.ts'
import { makeExportHandlers } from './exports.ts'
import type { AllHandlers } from './handler.ts'
import { makeKeyHandlers } from './keys.ts'
import { makeNotificationHandlers } from './notifications.ts'
import { makePersonHandlers } from './persons.ts'
import type { HttpPorts } from './ports.ts'
import { makeRunHandlers } from './runs.ts'
import { makeSegmentHandlers } from './segments.ts'
import { makeServiceSignInHandlers } from './service-sign-ins.ts'
import { makeSystemHandlers } from './system.ts'
import { makeTableHandlers } from './tables.ts'
import { makeUserHandlers } from './users.ts'
import { makeUploadHandlers } from './uploads.ts'

export function makeHandlers(ports: HttpPorts): AllHandlers<PatchbayContract> {
  return {
    ...makeUserHandlers(ports),
    tables: makeTableHandlers(ports),
    uploads: makeUploadHandlers(ports),
    segments: makeSegmentHandlers(ports),
    connectors: makeConnectorHandlers(ports),
    connections: makeConnectionHandlers(ports),
    serviceSignIns: makeServiceSignInHandlers(ports),
    exports: makeExportHandlers(ports),
    runs: makeRunHandlers(ports),
    events: makeEventHandlers(ports),
    notifications: makeNotificationHandlers(ports),
    persons: makePersonHandlers(ports),
    keys: makeKeyHandlers(ports),
    audit: makeAuditHandlers(ports),
    system: makeSystemHandlers(ports),
  }
}
