import { SettingsInvalid } from '@patchbay/connector-sdk'

/** How to reach the account, and with what. */
export interface Account {
  /** Without a slash at its end. */
  readonly url: string
  readonly name: string
  readonly proof:
    | { readonly kind: 'key'; readonly key: string }
    /** Query parameters, without `?`. */
    | { readonly kind: 'sas'; readonly sas: string }
    /** The host puts a token on. */
    | { readonly kind: 'token' }
}

/** As the portal gives it out: `Name=value` between semicolons, by a key or by a shared access signature. */
export function readConnectionString(text: string, usualSuffix: string): Account {
  const refuse = (why: string): never => {
    throw new SettingsInvalid('connectionString', `The connection string cannot be used: ${why}`)
  }
  const parts = new Map(
    text
      .split(';')
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map((part) => [part.slice(0, part.indexOf('=')).toLowerCase(), part.slice(part.indexOf('=') + 1)]),
  )
  const [name, key, sas] = [parts.get('accountname'), parts.get('accountkey'), parts.get('sharedaccesssignature')]
  const given = parts.get('blobendpoint')
  const protocol = parts.get('defaultendpointsprotocol') ?? 'https'
  if (name === undefined && given === undefined) return refuse('it has neither AccountName nor BlobEndpoint')
  const url = (given ?? `${protocol}://${name}.blob.${parts.get('endpointsuffix') ?? usualSuffix}`).replace(/\/$/, '')
  if (!URL.canParse(url) || !/^https?:\/\/[^?#@]+$/.test(url)) return refuse('its BlobEndpoint is no web address')
  if (key !== undefined && name !== undefined) return { url, name, proof: { kind: 'key', key } }
  if (sas === undefined) return refuse('it has neither AccountName with AccountKey nor SharedAccessSignature')
  return { url, name: name ?? '', proof: { kind: 'sas', sas: sas.replace(/^\?/, '') } }
}
