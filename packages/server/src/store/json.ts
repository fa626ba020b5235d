import { Problem } from '../domain/problem.ts'

/** An escaped NUL or half of a surrogate pair: valid in JSON text, refused by PostgreSQL's jsonb. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/

/** JSON text for a jsonb column. Always text: the two drivers turn arrays and objects into different things. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value)
  if (UNSTORABLE.test(text)) {
    throw new Problem('invalid', 'A text holds a character that cannot be stored (NUL, or half of a surrogate pair)', {
      cure: 'Remove the character',
    })
  }
  return text
}
