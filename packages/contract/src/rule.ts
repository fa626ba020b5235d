/** The rule tree of a segment as it goes over the wire; the same tree as the domain's. It is data: nobody writes SQL. */
import { z } from 'zod'

export type Operand =
  | { readonly field: string }
  | {
      readonly aggregate: 'count' | 'sum' | 'average' | 'smallest' | 'largest'
      readonly table: string
      readonly by: string
      readonly of?: string
      readonly where?: Rule
    }
export type Literal = string | number | boolean
export type Rule =
  | { readonly all: readonly Rule[] }
  | { readonly any: readonly Rule[] }
  | { readonly not: Rule }
  | { readonly on: Operand; readonly equals: Literal; readonly ignoreCase?: boolean }
  | { readonly on: Operand; readonly oneOf: readonly Literal[] }
  | { readonly on: Operand; readonly contains: string; readonly ignoreCase?: boolean }
  | { readonly on: Operand; readonly startsWith: string; readonly ignoreCase?: boolean }
  | { readonly on: Operand; readonly between: readonly [Literal, Literal] }
  | { readonly on: Operand; readonly moreThan: Literal }
  | { readonly on: Operand; readonly lessThan: Literal }
  | { readonly on: Operand; readonly isEmpty: boolean }
  | { readonly on: Operand; readonly before: string }
  | { readonly on: Operand; readonly after: string }
  | { readonly on: Operand; readonly inLastDays: number }
  | { readonly on: Operand; readonly isTrue: boolean }
  | { readonly memberOf: string }

const textSchema = z.string()
const literalSchema = z.union([textSchema, z.number(), z.boolean()])
const operandSchema: z.ZodType<Operand> = z
  .lazy(() =>
    z.union([
      z.strictObject({ field: textSchema }),
      z.strictObject({
        aggregate: z.enum(['count', 'sum', 'average', 'smallest', 'largest']),
        table: textSchema,
        by: textSchema,
        of: textSchema.exactOptional(),
        where: ruleSchema.exactOptional(),
      }),
    ]),
  )
  .meta({ id: 'Operand' })

export const ruleSchema: z.ZodType<Rule> = z
  .lazy(() => {
    const on = operandSchema
    const ignoreCase = z.boolean().exactOptional()
    return z.union([
      z.strictObject({ all: z.array(ruleSchema) }),
      z.strictObject({ any: z.array(ruleSchema) }),
      z.strictObject({ not: ruleSchema }),
      z.strictObject({ on, equals: literalSchema, ignoreCase }),
      z.strictObject({ on, oneOf: z.array(literalSchema) }),
      z.strictObject({ on, contains: textSchema, ignoreCase }),
      z.strictObject({ on, startsWith: textSchema, ignoreCase }),
      z.strictObject({ on, between: z.tuple([literalSchema, literalSchema]) }),
      z.strictObject({ on, moreThan: literalSchema }),
      z.strictObject({ on, lessThan: literalSchema }),
      z.strictObject({ on, isEmpty: z.boolean() }),
      z.strictObject({ on, before: textSchema }),
      z.strictObject({ on, after: textSchema }),
      z.strictObject({ on, inLastDays: z.int() }),
      z.strictObject({ on, isTrue: z.boolean() }),
      z.strictObject({ memberOf: textSchema }),
    ])
  })
  .meta({ id: 'Rule' })

/**
 * A rule as it is sent. Only described here: the domain's `parseRule` reads it, because its refusals name the place in the
 * tree and the words that may stand there, where a union of shapes could only say that none fits.
 */
export const ruleInput = z.custom<Rule>(() => true)
