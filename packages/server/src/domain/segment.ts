import type { SegmentId } from './ids.ts'

/** A field of the profile table, or an aggregate over the rows of a related table that carry the profile's key. */
export type Operand =
  | { readonly field: string }
  | {
      readonly aggregate: 'count' | 'sum' | 'average' | 'smallest' | 'largest'
      /** Name of the related table. */
      readonly table: string
      /** The related table's field that holds the profile table's key. */
      readonly by: string
      /** What is added up; absent for `count`. */
      readonly of?: string
      /** Only related rows to which this rule applies; its fields are the related table's, and it holds no aggregate and no segment. */
      readonly where?: Rule
    }

export type Literal = string | number | boolean

/**
 * A rule tree. Dates are `YYYY-MM-DD`, timestamps ISO 8601. Text is compared exactly, except where `ignoreCase` is set.
 * A comparison with an empty (null) value is false, as is its opposite: only `isEmpty` finds empty values, and `not` turns the result around.
 */
export type Rule =
  | { readonly all: readonly Rule[] }
  | { readonly any: readonly Rule[] }
  | { readonly not: Rule }
  | { readonly on: Operand; readonly equals: Literal; readonly ignoreCase?: boolean }
  | { readonly on: Operand; readonly oneOf: readonly Literal[] }
  | { readonly on: Operand; readonly contains: string; readonly ignoreCase?: boolean }
  | { readonly on: Operand; readonly startsWith: string; readonly ignoreCase?: boolean }
  /** Both ends are included; for dates and timestamps too. */
  | { readonly on: Operand; readonly between: readonly [Literal, Literal] }
  | { readonly on: Operand; readonly moreThan: Literal }
  | { readonly on: Operand; readonly lessThan: Literal }
  /** Null, or text of no characters. An aggregate without rows is empty, except `count`, which is 0. */
  | { readonly on: Operand; readonly isEmpty: boolean }
  | { readonly on: Operand; readonly before: string }
  | { readonly on: Operand; readonly after: string }
  /** From N days before the plan's `now` (to the second) up to `now`; dates by whole days in UTC. */
  | { readonly on: Operand; readonly inLastDays: number }
  | { readonly on: Operand; readonly isTrue: boolean }
  | { readonly memberOf: string }

export interface Segment {
  readonly id: SegmentId
  /** Unique regardless of case. */
  readonly name: string
  readonly rule: Rule
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly revision: number
}
