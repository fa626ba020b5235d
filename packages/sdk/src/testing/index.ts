export { answersOf } from './answers-of.ts'
export { assertConnector, checkConnector, type CheckOptions } from './check-connector.ts'
export {
  answerOf,
  makeTestContext,
  type SentRequest,
  type TestContext,
  type TestContextOptions,
} from './test-context.ts'
export type { CheckResult, DestinationTrial, Trial } from './trial.ts'
