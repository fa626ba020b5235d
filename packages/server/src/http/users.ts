/** People: signing in and out, the owner, users, invitations. Passwords, tokens and cookies are in no log and no error. */
import { PERMISSIONS_OF, type contract } from '@patchbay/contract'
import { actorOf, type Identity } from '../access/identity.ts'
import { checkNewPassword, hashPassword, isPassword } from '../access/password.ts'
import { makeSignInLimit, type SignInLimit } from '../access/sign-in-limit.ts'
import { Problem } from '../domain/problem.ts'
import { appendAudit } from '../store/audit.ts'
import { isGoodLink, listInvitations, makeLink, removeInvitation, takeLink, type Link } from '../store/link.ts'
import type { Db, Tx } from '../store/schema.ts'
import {
  changeRole,
  createUser,
  endSessions,
  findOwner,
  handOver,
  listUsers,
  noteSignIn,
  readPasswordHash,
  readUser,
  removeUser,
  setPassword,
  type User,
} from '../store/user.ts'
import { passOn } from '../store/user-belongings.ts'
import type { Call, Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'
import { HttpProblem } from './problem-of.ts'

const INVITATION_MS = 7 * 86_400_000
const PASSWORD_LINK_MS = 86_400_000

type People = Pick<typeof contract, 'session' | 'me' | 'owner' | 'users' | 'invitations'>

export function makeUserHandlers(ports: HttpPorts): { readonly [R in keyof People]: Handlers<People[R]> } {
  const limit = makeSignInLimit(() => ports.clock.now().getTime())

  const signInAs = async (call: Call, email: string, password: string): Promise<ReturnType<typeof meOf>> => {
    const signedIn = await ports.signIn.open(email, password)
    const user = signedIn === undefined ? undefined : await readUser(ports.db, signedIn.userId).catch(() => undefined)
    const actor = user === undefined ? 'somebody' : `user:${user.id}`
    const action = user === undefined ? 'sign-in.failed' : 'sign-in.opened'
    await ports.db
      .transaction()
      .execute((tx) => appendAudit(tx, { at: call.now, actor, action, subject: user?.id ?? '', detail: {} }))
    if (signedIn === undefined || user === undefined) {
      throw new Problem('not-allowed', 'Address and password do not belong together', {
        path: 'password',
        cure: 'Check both. An Administrator can make a link for a new password',
      })
    }
    limit.succeeded(call.request.address, email)
    await noteSignIn(ports.db, user.id, call.now)
    call.setCookies(signedIn.cookies)
    return meOf({ kind: 'user', ...user })
  }
  const confirm = async (call: Call, user: { readonly id: string; readonly email: string }, password: string) => {
    takeTry(limit, call, user.email)
    const hash = await readPasswordHash(ports.db, user.id)
    if (hash !== undefined && (await isPassword(password, hash))) return
    throw new Problem('not-allowed', 'This is not your password', {
      path: 'password',
      cure: 'Enter the one you sign in with',
    })
  }
  const linkTo = (page: string, token: string, { headers, isOperator }: Call['request']): string => {
    // The operator's socket has no address that another could open.
    const host = isOperator ? ports.networkAddress : (headers.get('host') ?? ports.networkAddress)
    return `${ports.publicUrl ?? `http://${host}`}/${page}#${token}`
  }

  return {
    session: {
      async open({ body }, call) {
        takeTry(limit, call, body.email)
        return signInAs(call, body.email, body.password)
      },
      async close(_input, call) {
        const identity = await ports.signIn.identify(call.request.headers)
        call.setCookies(await ports.signIn.close(call.request.headers))
        if (identity === undefined) return
        const entry = {
          at: call.now,
          actor: actorOf(identity),
          action: 'sign-in.closed',
          subject: identity.id,
          detail: {},
        }
        await ports.db.transaction().execute((tx) => appendAudit(tx, entry))
      },
    },
    me: {
      show: (_input, { identity }) => Promise.resolve(meOf(identity)),
      async changePassword({ body }, call) {
        const user = userOfCall(call)
        await confirm(call, user, body.current)
        checkNewPassword(body.next, [user.name, user.email])
        const hash = await hashPassword(body.next, ports.randomBytes)
        await call.change((tx) => setPassword(tx, user.id, hash, call.by))
        await signInAs(call, user.email, body.next)
      },
      async signOutEverywhere(_input, call) {
        const user = userOfCall(call)
        await call.change(async (tx) => {
          await endSessions(tx, user.id)
          const entry = {
            at: call.now,
            actor: call.by.actor,
            action: 'sign-in.all-closed',
            subject: user.id,
            detail: {},
          }
          await appendAudit(tx, entry)
        })
        call.setCookies(await ports.signIn.close(call.request.headers))
      },
    },
    owner: {
      async claim({ body }, call) {
        takeTry(limit, call, 'owner')
        await refuseBadLink(ports.db, body.token, 'owner', call.now)
        checkNewPassword(body.password, [body.name, body.email])
        const passwordHash = await hashPassword(body.password, ports.randomBytes)
        await call.change(async (tx) => {
          await takeOr(tx, body.token, 'owner', call.now)
          if ((await findOwner(tx)) !== undefined) {
            throw new Problem('conflict', 'There is an owner already', {
              path: 'token',
              cure: 'Ask them for an invitation',
            })
          }
          const { name, email } = body
          await createUser(tx, { name, email, role: 'Administrator', isOwner: true, passwordHash }, call.by)
        })
        return signInAs(call, body.email, body.password)
      },
      async handOver({ body }, call) {
        const user = userOfCall(call)
        if (!user.isOwner) {
          throw new Problem('not-allowed', 'Only the owner can hand this over', { cure: 'Ask the owner to do it' })
        }
        await confirm(call, user, body.password)
        return userOf(await call.change((tx) => handOver(tx, user.id, body.user, call.by)))
      },
    },
    users: {
      async list() {
        return { items: (await listUsers(ports.db)).map(userOf) }
      },
      async changeRole({ params, body }, { by, change }) {
        return userOf(await change((tx) => changeRole(tx, params.user, body.role, by)))
      },
      async remove({ params }, { by, change }) {
        return change(async (tx) => {
          const user = await removeUser(tx, params.user, by)
          const owner = await findOwner(tx)
          const passed = await passOn(tx, user.id, owner?.id ?? null, by)
          return { passedTo: owner?.name ?? null, exports: [...passed.exports], apiKeys: [...passed.apiKeys] } as never
        })
      },
      async makePasswordLink({ params }, call) {
        const expiresAt = new Date(call.now.getTime() + PASSWORD_LINK_MS)
        const { token } = await call.change(async (tx) => {
          const user = await readUser(tx, params.user)
          refuseOwnersPassword(call.identity, user)
          return makeLink(tx, { kind: 'password', userId: user.id, expiresAt }, call.by)
        })
        return { link: linkTo('password', token, call.request), expiresAt: expiresAt.toISOString() }
      },
    },
    invitations: {
      async list(_input, { now }) {
        return { items: (await listInvitations(ports.db, now)).map(invitationOf) }
      },
      async add({ body }, call) {
        const { email, role } = body
        const expiresAt = new Date(call.now.getTime() + INVITATION_MS)
        const { link, token } = await call.change(async (tx) => {
          if ((await listUsers(tx)).some((user) => user.email === email)) {
            throw new Problem('conflict', 'Somebody with this address is a user already', {
              path: 'email',
              cure: 'Change their role, or make a link for a new password',
            })
          }
          return makeLink(tx, { kind: 'invitation', email, role, expiresAt }, call.by)
        })
        return { invitation: invitationOf(link), link: linkTo('invitation', token, call.request) }
      },
      async remove({ params }, { by, change }) {
        await change((tx) => removeInvitation(tx, params.invitation, by))
      },
      async accept({ body }, call) {
        takeTry(limit, call, 'invitation')
        await refuseBadLink(ports.db, body.token, 'invitation', call.now)
        const passwordHash = await hashPassword(body.password, ports.randomBytes)
        const email = await call.change(async (tx) => {
          const link = await takeOr(tx, body.token, 'invitation', call.now)
          const { email: address, role } = link
          if (address === null || role === null) throw new Error('An invitation without an address or a role')
          checkNewPassword(body.password, [body.name, address])
          await createUser(tx, { name: body.name, email: address, role, isOwner: false, passwordHash }, call.by)
          return address
        })
        return signInAs(call, email, body.password)
      },
      async setPassword({ body }, call) {
        takeTry(limit, call, 'password')
        await refuseBadLink(ports.db, body.token, 'password', call.now)
        const hash = await hashPassword(body.password, ports.randomBytes)
        const email = await call.change(async (tx) => {
          const { userId } = await takeOr(tx, body.token, 'password', call.now)
          const user = await readUser(tx, userId ?? '')
          checkNewPassword(body.password, [user.name, user.email])
          await setPassword(tx, user.id, hash, { ...call.by, actor: `user:${user.id}` })
          return user.email
        })
        return signInAs(call, email, body.password)
      },
    },
  }
}

function takeTry(limit: SignInLimit, call: Call, account: string): void {
  const seconds = limit.take(call.request.address, account)
  if (seconds === 0) return
  throw new HttpProblem('too-many', 'There were too many tries', {
    cure: `Wait for ${seconds} s and try again`,
    retryAfterSeconds: seconds,
  })
}

/** Uses the link up. In the caller's transaction: what fails afterwards gives it back. */
async function takeOr(tx: Tx, token: string, kind: Link['kind'], now: Date): Promise<Link> {
  const link = await takeLink(tx, token, kind, now)
  if (link !== undefined) return link
  throw badLink(kind)
}

/** A password is hashed for somebody with a link, and not for anybody who asks. */
async function refuseBadLink(db: Db, token: string, kind: Link['kind'], now: Date): Promise<void> {
  if (!(await isGoodLink(db, token, kind, now))) throw badLink(kind)
}

function badLink(kind: Link['kind']): Problem {
  return new Problem('not-allowed', 'This link is good for nothing any more, or never was', {
    path: 'token',
    cure: kind === 'owner' ? 'Start the server again: it prints a new one' : 'Ask an Administrator for a new one',
  })
}

function userOfCall({ identity }: Call): Extract<Identity, { kind: 'user' }> {
  if (identity.kind === 'user') return identity
  throw new Problem('not-allowed', 'Only somebody who is signed in has a password and sessions', {
    cure: 'Sign in with e-mail and password',
  })
}

/** Else any Administrator could become the owner by a link. */
function refuseOwnersPassword(identity: Identity, user: User): void {
  if (!user.isOwner || identity.kind === 'operator') return
  if (identity.kind === 'user' && identity.id === user.id) return
  throw new Problem('not-allowed', "Nobody but the owner makes a link for the owner's password", {
    cure: 'The operator can, on the server: patchbay user password',
  })
}

function meOf(identity: Identity) {
  const { role } = identity
  if (identity.kind === 'anyone' || role === null) throw new Error('Whoever is nobody cannot be told who they are')
  return {
    kind: identity.kind,
    id: identity.kind === 'operator' ? null : identity.id,
    name: identity.name,
    email: identity.kind === 'user' ? identity.email : null,
    role,
    isOwner: identity.kind === 'user' && identity.isOwner,
    permissions: [...PERMISSIONS_OF[role]],
  }
}

function userOf({ id, name, email, role, isOwner, createdAt, lastSignInAt }: User) {
  return {
    id: id as never,
    name,
    email,
    role,
    isOwner,
    createdAt: createdAt.toISOString(),
    lastSignInAt: lastSignInAt?.toISOString() ?? null,
  }
}

function invitationOf({ id, email, role, createdAt, createdBy, expiresAt }: Link) {
  return {
    id: id as never,
    email: email ?? '',
    role: role ?? 'Viewer',
    createdAt: createdAt.toISOString(),
    createdBy,
    expiresAt: expiresAt.toISOString(),
  }
}
