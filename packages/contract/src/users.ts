import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { PERMISSIONS, ROLES } from './roles.ts'
import { idSchema, timeSchema } from './scalars.ts'

export const PASSWORD_LENGTH_MIN = 12
export const PASSWORD_LENGTH_MAX = 200

const emailSchema = z.email().max(254).toLowerCase()
const userNameSchema = z.string().trim().min(1).max(120)
/** How long it is and whether everybody uses it is judged by the server, with words. */
const passwordSchema = z.string().max(1000)
const tokenSchema = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'The part of the link after #')

export const meSchema = z
  .strictObject({
    kind: z.enum(['user', 'api-key', 'operator']),
    id: z.string().nullable(),
    name: z.string(),
    email: z.string().nullable(),
    role: z.enum(ROLES),
    isOwner: z.boolean(),
    permissions: z.array(z.enum(PERMISSIONS)),
  })
  .meta({ id: 'Me', description: 'Who asks, and what they may do' })
export type Me = z.infer<typeof meSchema>

export const userSchema = z
  .strictObject({
    id: idSchema('user'),
    name: z.string(),
    email: z.string(),
    role: z.enum(ROLES),
    isOwner: z.boolean(),
    createdAt: timeSchema,
    lastSignInAt: timeSchema.nullable(),
  })
  .meta({ id: 'User' })
export type User = z.infer<typeof userSchema>

export const invitationSchema = z
  .strictObject({
    id: idSchema('link'),
    email: z.string(),
    role: z.enum(ROLES),
    createdAt: timeSchema,
    createdBy: z.string(),
    expiresAt: timeSchema,
  })
  .meta({ id: 'Invitation', description: 'An invitation that nobody has accepted yet, without its link' })
export type Invitation = z.infer<typeof invitationSchema>

const linkSchema = z
  .string()
  .meta({ description: 'The address to open, good once. It is shown in this answer and never again' })

/** Signing in and out. The session is a cookie that no script can read. */
export const session = {
  open: endpoint({
    method: 'POST',
    path: '/session',
    summary: 'Signs in with e-mail and password',
    permission: 'anyone',
    body: z.strictObject({ email: emailSchema, password: passwordSchema }),
    response: meSchema,
    errors: ['too-many'],
  }),
  close: endpoint({
    method: 'DELETE',
    path: '/session',
    summary: 'Signs out: this session ends',
    permission: 'anyone',
  }),
}

export const me = {
  show: endpoint({
    method: 'GET',
    path: '/me',
    summary: 'Says who asks, and what they may do',
    permission: 'self',
    response: meSchema,
  }),
  changePassword: endpoint({
    method: 'POST',
    path: '/me/password',
    summary: 'Changes the own password; all other sessions end',
    permission: 'self',
    body: z.strictObject({ current: passwordSchema, next: passwordSchema }),
    errors: ['conflict', 'too-many'],
  }),
  signOutEverywhere: endpoint({
    method: 'DELETE',
    path: '/me/sessions',
    summary: 'Ends all sessions of whoever asks, this one too',
    permission: 'self',
  }),
}

export const owner = {
  claim: endpoint({
    method: 'POST',
    path: '/owner',
    summary: 'Makes the owner, with the one-time link that the first start printed, and signs them in',
    permission: 'anyone',
    body: z.strictObject({ token: tokenSchema, name: userNameSchema, email: emailSchema, password: passwordSchema }),
    response: meSchema,
    status: 201,
    errors: ['conflict', 'too-many'],
  }),
  handOver: endpoint({
    method: 'PUT',
    path: '/owner',
    summary: 'Makes another user the owner; only the owner can, with their password',
    permission: 'self',
    body: z.strictObject({ user: idSchema('user'), password: passwordSchema }),
    response: userSchema,
    errors: ['not-found', 'too-many'],
  }),
}

export const users = {
  list: endpoint({
    method: 'GET',
    path: '/users',
    summary: 'Lists the users',
    permission: 'user.read',
    response: z.strictObject({ items: z.array(userSchema) }),
  }),
  changeRole: endpoint({
    method: 'PATCH',
    path: '/users/{user}',
    summary: "Changes a user's role; it holds from the next request, and within one batch of a run",
    permission: 'user.write',
    params: z.strictObject({ user: idSchema('user') }),
    body: z.strictObject({ role: z.enum(ROLES) }),
    response: userSchema,
    errors: ['not-found'],
  }),
  remove: endpoint({
    method: 'DELETE',
    path: '/users/{user}',
    summary: 'Removes a user. What was theirs passes to the owner, and is named in the answer',
    permission: 'user.write',
    params: z.strictObject({ user: idSchema('user') }),
    response: z.strictObject({
      passedTo: z.string().nullable(),
      exports: z.array(z.strictObject({ id: idSchema('export'), name: z.string() })),
      apiKeys: z.array(z.strictObject({ id: idSchema('key'), name: z.string() })),
    }),
    errors: ['not-found'],
  }),
  makePasswordLink: endpoint({
    method: 'POST',
    path: '/users/{user}/password-link',
    summary: 'Makes a one-time link with which a user sets a new password',
    permission: 'user.write',
    params: z.strictObject({ user: idSchema('user') }),
    response: z.strictObject({ link: linkSchema, expiresAt: timeSchema }),
    status: 201,
    errors: ['not-found'],
  }),
}

export const invitations = {
  list: endpoint({
    method: 'GET',
    path: '/invitations',
    summary: 'Lists the invitations that are open',
    permission: 'user.read',
    response: z.strictObject({ items: z.array(invitationSchema) }),
  }),
  add: endpoint({
    method: 'POST',
    path: '/invitations',
    summary: 'Invites somebody: makes a one-time link to hand to them',
    permission: 'user.write',
    body: z.strictObject({ email: emailSchema, role: z.enum(ROLES) }),
    response: z.strictObject({ invitation: invitationSchema, link: linkSchema }),
    status: 201,
    errors: ['conflict'],
  }),
  remove: endpoint({
    method: 'DELETE',
    path: '/invitations/{invitation}',
    summary: 'Takes an invitation back: its link is good for nothing any more',
    permission: 'user.write',
    params: z.strictObject({ invitation: idSchema('link') }),
    errors: ['not-found'],
  }),
  accept: endpoint({
    method: 'POST',
    path: '/invitations/accept',
    summary: 'Accepts an invitation by its link, and signs in',
    permission: 'anyone',
    body: z.strictObject({ token: tokenSchema, name: userNameSchema, password: passwordSchema }),
    response: meSchema,
    status: 201,
    errors: ['conflict', 'too-many'],
  }),
  setPassword: endpoint({
    method: 'POST',
    path: '/password',
    summary: 'Sets a new password by a one-time link, ends all sessions, and signs in',
    permission: 'anyone',
    body: z.strictObject({ token: tokenSchema, password: passwordSchema }),
    response: meSchema,
    errors: ['too-many'],
  }),
}
