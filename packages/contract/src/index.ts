export * from './audit.ts'
export * from './client.ts'
export {
  HEALTHS,
  CONNECTION_SORTS,
  policySchema,
  sharingSchema,
  connectionSchema,
  sharedConnectionSchema,
  checkStepSchema,
  type Sharing,
  type Connection,
  type SharedConnection,
  type CheckStep,
  type Checked,
} from './connection-shapes.ts'
export * from './connections.ts'
export * from './connectors.ts'
export * from './contract.ts'
export * from './dependents.ts'
export * from './endpoint.ts'
export * from './events.ts'
export * from './export-aids.ts'
export * from './export-many.ts'
export * from './exports.ts'
export * from './keys.ts'
export * from './notifications.ts'
export * from './open-api.ts'
export * from './users.ts'
export * from './persons.ts'
export * from './problem.ts'
export * from './roles.ts'
export * from './rule.ts'
export * from './runs.ts'
export * from './scalars.ts'
export * from './schedule.ts'
export * from './segments.ts'
export * from './service-sign-ins.ts'
export * from './system.ts'
export * from './tables.ts'
