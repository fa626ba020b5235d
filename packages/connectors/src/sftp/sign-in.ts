/** Signs in by exactly the way that the connection names. Runs only after the host key was found to be the pinned one. */
import { ConnectionRefused, SettingsInvalid } from '@patchbay/connector-sdk'
import type { AnyAuthMethod, AuthHandlerMiddleware, ParsedKey } from 'ssh2'

export type Proof = { readonly password: string } | { readonly key: ParsedKey }

export interface SignIn {
  readonly place: string
  readonly user: string
  /** Reveals the secret; called when it is about to be used. */
  readonly proof: () => Proof
  readonly refuse: (error: Error) => void
}

/**
 * Asks first which ways the server offers (the method `none` counts as no attempt), then makes one attempt: a second one
 * with the same wrong secret could lock the account.
 */
export function signInSteps({ place, user, proof, refuse }: SignIn): AuthHandlerMiddleware {
  let tried: AnyAuthMethod['type'] | undefined
  const refused = (message: string, field: string): void =>
    refuse(new ConnectionRefused(message, { field, step: 'signed-in' }))

  const choose = (offered: readonly string[]): AnyAuthMethod | undefined => {
    const secret = proof()
    if ('key' in secret)
      return offered.includes('publickey')
        ? { type: 'publickey', username: user, key: withoutSha1(secret.key, place) }
        : undefined
    const { password } = secret
    if (offered.includes('password')) return { type: 'password', username: user, password }
    if (!offered.includes('keyboard-interactive')) return undefined
    return { type: 'keyboard-interactive', username: user, prompt: answerOnce(password, () => refused(SECOND, 'user')) }
  }
  const SECOND = `${place} asks for a second factor, which a program cannot give: use an account without one`

  return (methods: readonly string[] | null, isPartial, next) => {
    const previous = tried
    if (previous === undefined) {
      tried = 'none'
      next({ type: 'none', username: user })
      return
    }
    if (previous !== 'none') {
      const isKey = previous === 'publickey'
      if (isPartial) refused(SECOND, 'user')
      else if (isKey) refused(`${place} does not accept this key for the account ${user}`, 'privateKey')
      else refused(`${place} does not accept this password for the account ${user}`, 'password')
      return
    }
    try {
      const offered = methods ?? []
      const method = choose(offered)
      tried = method?.type
      if (method === undefined)
        refused(`${place} takes this way to sign in: ${offered.join(', ')}. Choose it`, 'signIn')
      else next(method)
    } catch (error) {
      refuse(error instanceof Error ? error : new SettingsInvalid('signIn', String(error)))
    }
  }
}

type Prompt = Extract<AnyAuthMethod, { readonly type: 'keyboard-interactive' }>['prompt']

/** Many servers ask for the password by a prompt of their own. A second prompt is another factor. */
function answerOnce(password: string, refuse: () => void): Prompt {
  let isAnswered = false
  return (_name, _instructions, _language, prompts, finish) => {
    const isPassword = prompts.length === 1 && prompts[0]?.echo === false
    if (isAnswered || !isPassword) {
      refuse()
      return
    }
    isAnswered = true
    finish([password])
  }
}

/** `ssh2` falls back to SHA-1 with RSA keys where a server does not announce better ones; OpenSSH has refused that since 2021. */
function withoutSha1(key: ParsedKey, place: string): ParsedKey {
  if (key.type !== 'ssh-rsa') return key
  const careful = Object.create(key) as ParsedKey
  careful.sign = (data, algorithm) => {
    if (algorithm === 'sha256' || algorithm === 'sha512') return key.sign(data, algorithm)
    throw new ConnectionRefused(`${place} takes RSA keys only with outdated SHA-1 signatures: use an Ed25519 key`, {
      field: 'privateKey',
      step: 'signed-in',
    })
  }
  return careful
}
