import { Problem } from '../domain/problem.ts'

/** Names the noun and its name column's unique index: `create unique index segment_name on segment (lower(name))`. */
export async function withUniqueName<T>(
  noun: string,
  index: string,
  name: string,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (!isUniqueViolation(error, index)) throw error
    throw new Problem('conflict', `There is a ${noun} named "${name}" already`, {
      path: 'name',
      cure: 'Choose another name; upper and lower case make no difference',
      cause: error,
    })
  }
}

export function isUniqueViolation(error: unknown, index: string): boolean {
  if (!(error instanceof Error)) return false
  const { code, constraint } = error as { code?: unknown; constraint?: unknown }
  return code === '23505' && constraint === index
}

export function notFound(noun: string, reference: string): Problem {
  return new Problem('not-found', `There is no ${noun} "${reference}"`, {
    cure: `Look for it with "patchbay ${noun} list"`,
  })
}

export function stale(noun: string, name: string): Problem {
  return new Problem('conflict', `The ${noun} "${name}" was changed meanwhile`, {
    path: 'revision',
    cure: 'Read it again, and make your change to what it is now',
  })
}

/** A removal or a change that others stand in the way of. */
export function inUse(noun: string, name: string, users: readonly string[]): Problem {
  const shown = users.slice(0, 10).join(', ')
  const more = users.length > 10 ? ` and ${users.length - 10} more` : ''
  return new Problem('conflict', `The ${noun} "${name}" is used by ${shown}${more}`, {
    cure: 'Change or remove those first',
  })
}
