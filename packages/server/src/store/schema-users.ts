/** The rows of people and their ways in; see the migration `users`. */
import type { Generated } from 'kysely'

export interface UserRow {
  id: string
  name: string
  email: string
  email_verified: Generated<boolean>
  image: string | null
  role: string
  is_owner: Generated<boolean>
  created_at: Date
  updated_at: Date
  last_sign_in_at: Date | null
  /** Somebody who was removed is kept by name, since what they did stays in the log. */
  removed_at: Date | null
}
export interface SignInRow {
  id: string
  account_id: string
  provider_id: string
  user_id: string
  password: string | null
  created_at: Date
  updated_at: Date
}
export interface SessionRow {
  id: string
  user_id: string
  token: string
  expires_at: Date
  created_at: Date
  updated_at: Date
}
export interface LinkRow {
  id: string
  /** Of the token in the address, which is kept nowhere. */
  hash: string
  kind: 'owner' | 'invitation' | 'password'
  email: string | null
  role: string | null
  user_id: string | null
  created_at: Date
  created_by: string
  expires_at: Date
  used_at: Date | null
}
