/** What can be wrong with the declared sign-in before it is ever used. */
import {
  signInMethods,
  type ClientFields,
  type OAuth2Auth,
  type ClientCredentialsAuth,
  type SignInMethod,
} from './auth.ts'
import type { Connector } from './connector.ts'
import type { Fields } from './fields.ts'

interface AuthRule {
  readonly name: string
  readonly problems: (connector: Connector) => readonly string[]
}

type TokenMethod = OAuth2Auth<Fields> | ClientCredentialsAuth<Fields>

export const AUTH_RULES: readonly AuthRule[] = [
  { name: 'a choice of sign-ins has one for each of its values', problems: choiceProblems },
  {
    name: 'a sign-in goes to an origin of its own',
    problems: perMethod((method, { settings }) =>
      (method.type === 'header' || method.type === 'basic') && method.origin === undefined && !hasEndpoint(settings)
        ? ['give auth an origin, or mark the field of the web address as endpoint']
        : [],
    ),
  },
  { name: 'addresses of a sign-in are https, or follow from endpoint fields', problems: perMethod(addressProblems) },
  {
    name: 'the client of a sign-in is in fields of the connection',
    problems: perMethod((method, { settings }) =>
      isTokenMethod(method) && method.client !== 'operator' ? clientProblems(method.client, method, settings) : [],
    ),
  },
  {
    name: 'a sign-in without client secret has PKCE',
    problems: perMethod((method) =>
      method.type === 'oauth2' && method.clientAuth === 'none' && method.pkce !== 'S256'
        ? ['anybody who sees the code could use it']
        : [],
    ),
  },
  { name: 'parameters of a sign-in leave those of the host alone', problems: perMethod(parameterProblems) },
  {
    name: 'scopes can be told apart',
    problems: perMethod((method) => {
      if (!isTokenMethod(method) || typeof method.scopes === 'function') return []
      const wrong = method.scopes.filter((scope) => !/^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+$/.test(scope))
      return [
        ...wrong.map((scope) => `"${scope}" is no scope`),
        ...(new Set(method.scopes).size < method.scopes.length ? ['one is there twice'] : []),
      ]
    }),
  },
  {
    name: 'lives of tokens are positive',
    problems: perMethod((method) => {
      if (method.type !== 'oauth2' || method.tokens.kind === 'lasting') return []
      const { tokens } = method
      const days =
        tokens.kind === 'renewed'
          ? { lifeDays: tokens.lifeDays }
          : { lifeDays: tokens.lifeDays, idleDays: tokens.idleDays }
      return Object.entries(days)
        .filter(([, value]) => value !== undefined && !(value > 0))
        .map(([name]) => `${name} is not a positive number`)
    }),
  },
]

function perMethod(
  check: (method: SignInMethod<Fields>, connector: Connector) => readonly string[],
): AuthRule['problems'] {
  return (connector) =>
    signInMethods(connector.auth).flatMap(({ chosenBy, method }) =>
      check(method, connector).map((problem) => (chosenBy === undefined ? problem : `${chosenBy}: ${problem}`)),
    )
}

function choiceProblems({ auth, settings }: Connector): readonly string[] {
  if (auth.type !== 'choice') return []
  const field = Object.hasOwn(settings, auth.field) ? settings[auth.field] : undefined
  if (field?.kind !== 'choice') return [`there is no field ${auth.field} of kind choice`]
  if (field.optional === true || field.showWhen !== undefined)
    return [`${auth.field} must always be there: neither optional nor shown only sometimes`]
  const [values, ways] = [field.choices.map(({ value }) => value), Object.keys(auth.of)]
  const oauth = Object.values(auth.of).filter(({ type }) => type === 'oauth2')
  return [
    ...values.filter((value) => !ways.includes(value)).map((value) => `${value} has no way to sign in`),
    ...ways.filter((way) => !values.includes(way)).map((way) => `${way} is no choice of ${auth.field}`),
    ...(oauth.length > 1 ? ['only one of them can be oauth2: a connection has one account'] : []),
  ]
}

function addressProblems(method: SignInMethod<Fields>, { settings }: Connector): readonly string[] {
  if (!isTokenMethod(method)) return []
  const addresses = [
    method.tokenEndpoint,
    ...(method.type === 'oauth2'
      ? [method.authorizationEndpoint, ...(method.issuer === undefined ? [] : [method.issuer])]
      : []),
  ]
  return addresses.flatMap((address) => {
    if (typeof address === 'function')
      return hasEndpoint(settings)
        ? []
        : ['an address depends on the settings, and no field of them is marked as endpoint']
    const isGood = URL.canParse(address) && new URL(address).protocol === 'https:' && new URL(address).hash === ''
    return isGood ? [] : [`"${address}" is not an https address`]
  })
}

function clientProblems(client: ClientFields<Fields>, method: TokenMethod, fields: Fields): readonly string[] {
  const id = Object.hasOwn(fields, client.id) ? fields[client.id] : undefined
  const secret = client.secret !== undefined && Object.hasOwn(fields, client.secret) ? fields[client.secret] : undefined
  return [
    ...(id?.kind === 'text' ? [] : [`there is no text field ${client.id} for the client's id`]),
    ...(method.type === 'client-credentials' && id?.kind === 'text' && id.endpoint !== true
      ? [`${client.id} says as whom: mark it as endpoint`]
      : []),
    ...(client.secret !== undefined && secret?.kind !== 'secret' ? [`there is no secret field ${client.secret}`] : []),
    ...(method.clientAuth !== 'none' && client.secret === undefined ? ['name the field of the client secret'] : []),
    ...(method.clientAuth === 'none' && client.secret !== undefined ? ['clientAuth none sends no client secret'] : []),
  ]
}

/** Set by the host, which would otherwise be fooled by a connector of its own. */
const HOSTS_OWN = new Set([
  'client_id',
  'client_secret',
  'client_assertion',
  'code',
  'code_challenge',
  'code_challenge_method',
  'code_verifier',
  'grant_type',
  'nonce',
  'redirect_uri',
  'refresh_token',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
])

function parameterProblems(method: SignInMethod<Fields>): readonly string[] {
  if (!isTokenMethod(method)) return []
  const fixed = [
    ...(method.type === 'oauth2' ? Object.keys(method.authorizationParameters ?? {}) : []),
    ...(typeof method.tokenParameters === 'object' ? Object.keys(method.tokenParameters) : []),
  ]
  return fixed.filter((name) => HOSTS_OWN.has(name)).map((name) => `${name} is the host's to set`)
}

function isTokenMethod(method: SignInMethod<Fields>): method is TokenMethod {
  return method.type === 'oauth2' || method.type === 'client-credentials'
}

function hasEndpoint(settings: Fields): boolean {
  return Object.values(settings).some(
    (field) => (field.kind === 'text' || field.kind === 'choice') && field.endpoint === true,
  )
}
