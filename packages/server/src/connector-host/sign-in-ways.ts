import { signInMethods, type Connector, type SignInMethod } from '@patchbay/connector-sdk'

export interface SignInWay {
  readonly type: SignInMethod<Connector['settings']>['type']
  /** The choice of the set-up pane that takes this way; null where there is only one. */
  readonly chosenBy: { readonly field: string; readonly is: string } | null
  /** Whose application signs in; null where none is needed. */
  readonly client: 'connection' | 'operator' | null
}

/** The ways to sign in as plain data, for Discover and the set-up pane. */
export function signInWays({ auth }: Connector): SignInWay[] {
  return signInMethods(auth).map(({ chosenBy, method }) => ({
    type: method.type,
    chosenBy: auth.type === 'choice' && chosenBy !== undefined ? { field: auth.field, is: chosenBy } : null,
    client: 'client' in method ? (method.client === 'operator' ? 'operator' : 'connection') : null,
  }))
}

/** Whether these settings choose a sign-in to which a person consents. */
export function signsInAsSomebody(
  connector: Connector,
  settings: Readonly<Record<string, string | number | boolean>>,
): boolean {
  return signInWays(connector).some(
    ({ type, chosenBy }) => type === 'oauth2' && (chosenBy === null || settings[chosenBy.field] === chosenBy.is),
  )
}
