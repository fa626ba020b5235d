/**
 * Fields of the set-up pane and of the export pane. Plain data, so that the server can send them to a
 * browser as JSON and the CLI can ask for them: no page and no command knows a connector.
 */
interface FieldBase {
  readonly label: string
  readonly help?: string
  readonly optional?: true
  /** Shown, and asked for, only while another field of the same form has this value. */
  readonly showWhen?: { readonly field: string; readonly is: string | boolean }
  /**
   * The field says *where* or *as whom* we connect (host, port, user, account, region).
   * Changing it drops every stored secret of the connection, on edit, clone and import alike.
   */
  readonly endpoint?: true
}
export interface TextField extends FieldBase {
  readonly kind: 'text'
  readonly example?: string
  /** A regular expression (whole value) in linear time: no nested quantifiers. */
  readonly pattern?: string
  readonly maxLength?: number
  readonly default?: string
  /** Several lines, such as a certificate: asked for as a file or a text area. */
  readonly multiline?: true
}
export interface SecretField extends FieldBase {
  readonly kind: 'secret'
  /** Several lines, such as a private key: asked for as a file or a text area. */
  readonly multiline?: true
}
export interface NumberField extends FieldBase {
  readonly kind: 'number'
  readonly min?: number
  readonly max?: number
  readonly default?: number
}
export interface SwitchField extends FieldBase {
  readonly kind: 'switch'
  readonly default?: boolean
}
export interface ChoiceField extends FieldBase {
  readonly kind: 'choice'
  readonly choices: readonly Choice[]
  readonly default?: string
}
/** A choice whose options come from the remote service; answered by the destination's `lookups[name]`. */
export interface LookupField extends FieldBase {
  readonly kind: 'lookup'
  readonly dependsOn?: readonly string[]
}
/**
 * What the far end shows of itself and a person trusts once, such as an SSH host key's fingerprint.
 * Never typed: `check()` proposes it, a person confirms it, and from then on a different one stops everything.
 */
export interface PinField extends FieldBase {
  readonly kind: 'pin'
}

export type Field = TextField | SecretField | NumberField | SwitchField | ChoiceField | LookupField | PinField
export type Fields = Readonly<Record<string, Field>>
export interface Choice {
  readonly value: string
  readonly label: string
  readonly help?: string
}

/** A secret never prints: only `reveal()` gives the text, and it is called at the request, not before. */
export interface Secret {
  reveal(): string
}

type ValueOf<F extends Field> = F extends SecretField
  ? Secret
  : F extends NumberField
    ? number
    : F extends SwitchField
      ? boolean
      : F extends ChoiceField
        ? F['choices'][number]['value']
        : string
/** A field may be missing when it is optional, when it is shown only sometimes, or when it is a pin not yet trusted. */
type OptionalKeys<S extends Fields> = {
  [K in keyof S]: S[K] extends { readonly optional: true } | { readonly showWhen: object } | { readonly kind: 'pin' }
    ? K
    : never
}[keyof S]
export type Values<S extends Fields> = {
  readonly [K in Exclude<keyof S, OptionalKeys<S>>]: ValueOf<S[K]>
} & {
  readonly [K in OptionalKeys<S>]?: ValueOf<S[K]>
}
