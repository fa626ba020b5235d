/** The small shapes that every resource is made of. */
import { z } from 'zod'

const ID_OF = {
  table: 'tbl',
  segment: 'seg',
  connection: 'con',
  export: 'exp',
  run: 'run',
  key: 'key',
  upload: 'upl',
  notification: 'ntf',
  attempt: 'att',
  user: 'usr',
  link: 'lnk',
} as const

export type IdKind = keyof typeof ID_OF

/** An id as it goes over the wire; the server's own ids are branded with their kind, and so are these. */
export type Id<K extends IdKind> = string & { readonly __id: K }

/** Ids are used in paths, so nothing else may pass for one. */
export function idSchema<K extends IdKind>(kind: K): z.ZodType<Id<K>, string> {
  return z
    .string()
    .regex(
      new RegExp(`^${ID_OF[kind]}_[a-z2-7]{20}$`),
      `An id of this kind looks like ${ID_OF[kind]}_ and 20 characters`,
    )
    .transform((text) => text as Id<K>)
}

/** Direction marks make a name look like another one; control characters forge lines of a log. */
const NAME = /^(?! )[^\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+(?<! )$/u
export const nameSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(NAME, 'A name has no control characters and no space at its ends')

/** How a path names a thing: by its id or by its name. */
export const referenceSchema = z.string().min(1).max(100).regex(NAME, 'The id or the name')

export const tableNameSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(
    /^[\p{L}\p{N}_-](?:[\p{L}\p{N}_\-. ]*[\p{L}\p{N}_-])?$/u,
    'Letters, digits, _ and -, with spaces and dots inside',
  )

/** A field of a table: as the file's header has it. */
export const fieldNameSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\p{Cc}]+$/u, 'A field name has no control characters')

/** Names of connectors, their fields and destinations. */
export const keySchema = z
  .string()
  .max(64)
  .regex(/^[A-Za-z][A-Za-z0-9-]*$/, 'Letters, digits and -')

export const timeSchema = z.iso.datetime()
export const countSchema = z.int().min(0)
export const revisionSchema = z.int().min(1).meta({ description: 'Grows with each change; send it as If-Match' })

/** Settings of a connection or a destination, as their connector declares them. Checked against the declaration by the server. */
export const valuesSchema = z.record(keySchema, z.union([z.string().max(20_000), z.number(), z.boolean()]))

/** A cell as JSON can say it. */
export const cellSchema = z.union([z.string(), z.number(), z.boolean(), z.null()])

export const cursorSchema = z.string().max(500).meta({ description: 'What the last page gave as `next`' })

export const pageQuery = {
  cursor: cursorSchema.exactOptional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
}

/** Text to find anywhere, whatever its case. */
export const searchSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}]+$/u, 'What is looked for has no control characters')

/** What a list may be ordered by; `-name` is the other way round. */
export function sortSchema<const N extends string>(names: readonly N[], first: NoInfer<N> | `-${NoInfer<N>}`) {
  const both = names.flatMap((name): (N | `-${N}`)[] => [name, `-${name}`])
  return z
    .enum(both as [N | `-${N}`, ...(N | `-${N}`)[]])
    .default(first as never)
    .meta({ description: 'What the list is ordered by; with - before it, the other way round' })
}

export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({
    items: z.array(item),
    next: z.string().nullable().meta({ description: 'The cursor of the next page; null on the last' }),
  })
}
