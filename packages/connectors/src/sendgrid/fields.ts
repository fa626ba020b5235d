/** Fields of a contact: SendGrid's own, and custom ones, which have a name for people and an id for the API. */
import { DestinationInvalid, Unavailable, type TargetField, type Value } from '@patchbay/connector-sdk'
import { recordsOf, type Json, type SendGrid } from './api.ts'

const DEFINITIONS = '/v3/marketing/field_definitions'

export const FIXED_FIELDS: readonly TargetField[] = [
  own('email', 'Email', {
    type: 'email',
    required: true,
    identifier: true,
    normal: 'email',
    guesses: ['email', 'emailaddress', 'mail'],
  }),
  own('first_name', 'First name', { guesses: ['firstname', 'givenname', 'forename'] }),
  own('last_name', 'Last name', { guesses: ['lastname', 'surname', 'familyname'] }),
  own('address_line_1', 'Address line 1', { guesses: ['street', 'address', 'addressline1'] }),
  own('address_line_2', 'Address line 2', { guesses: ['addressline2'] }),
  own('city', 'City', { guesses: ['city', 'town'] }),
  own('state_province_region', 'State, province or region', { guesses: ['state', 'province', 'region'] }),
  own('postal_code', 'Postal code', { guesses: ['zip', 'zipcode', 'postalcode', 'postcode'] }),
  own('country', 'Country/Region', { guesses: ['country', 'countryregion'] }),
  own('phone_number_id', 'Phone number', {
    type: 'phone',
    normal: 'e164',
    guesses: ['phone', 'mobile', 'telephone'],
  }),
  own('external_id', 'External ID', { guesses: ['externalid', 'customerid'] }),
]

function own(name: string, label: string, more: Partial<TargetField>): TargetField {
  return { name, label, type: 'text', ...more }
}

/** What SendGrid takes at most: a longer value would be refused with all rows of its request. */
const LENGTHS_MAX: ReadonlyMap<string, number> = new Map([
  ['first_name', 50],
  ['last_name', 50],
  ['address_line_1', 100],
  ['address_line_2', 100],
  ['city', 60],
  ['state_province_region', 50],
  ['country', 50],
])
const LENGTH_MAX = 254

function isReserved(name: string): boolean {
  return FIXED_FIELDS.some((field) => field.name === name)
}

interface CustomField {
  readonly id: string
  readonly name: string
  readonly type: string
}

async function readCustomFields(sendGrid: SendGrid): Promise<readonly CustomField[]> {
  return recordsOf(await sendGrid.get(DEFINITIONS), 'custom_fields').map(customFieldOf)
}

function customFieldOf({ id, name, field_type: type }: Json): CustomField {
  if (typeof id !== 'string' || typeof name !== 'string' || typeof type !== 'string')
    throw new Unavailable('maybe', 'SendGrid answered without a field')
  return { id, name, type }
}

export async function readTargetFields(sendGrid: SendGrid): Promise<readonly TargetField[]> {
  const custom = (await readCustomFields(sendGrid)).map(({ name, type }): TargetField => ({
    name,
    label: name,
    type: type === 'Number' ? 'number' : type === 'Date' ? 'date' : 'text',
    guesses: [name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')],
  }))
  return [...FIXED_FIELDS, ...custom]
}

/** The custom fields of one run: matched by their names, and made where the export says so. */
export class ContactFields {
  readonly #sendGrid: SendGrid
  readonly #mayMake: boolean
  readonly #custom: Map<string, CustomField>
  /** Batches run at once, and must not make a field twice. */
  #making: Promise<unknown> = Promise.resolve()

  private constructor(sendGrid: SendGrid, mayMake: boolean, custom: readonly CustomField[]) {
    this.#sendGrid = sendGrid
    this.#mayMake = mayMake
    this.#custom = new Map(custom.map((field) => [field.name.toLowerCase(), field]))
  }

  static async open(sendGrid: SendGrid, mayMake: boolean): Promise<ContactFields> {
    return new ContactFields(sendGrid, mayMake, await readCustomFields(sendGrid))
  }

  /** Makes what is missing for these rows. */
  async prepare(rows: readonly Readonly<Record<string, Value>>[]): Promise<void> {
    const missing = new Map<string, 'Text' | 'Number'>()
    for (const fields of rows)
      for (const [name, value] of Object.entries(fields)) {
        if (this.#isKnown(name)) continue
        const isNumber = value === null ? missing.get(name) !== 'Text' : typeof value === 'number'
        missing.set(name, isNumber && missing.get(name) !== 'Text' ? 'Number' : 'Text')
      }
    if (missing.size === 0) return
    if (!this.#mayMake)
      throw new DestinationInvalid(
        'makeFields',
        `SendGrid has no field ${[...missing.keys()].join(', ')}: map to another, or let missing ones be made`,
      )
    const made = this.#making.then(async () => {
      for (const [name, type] of missing) if (!this.#isKnown(name)) await this.#make(name, type)
    })
    this.#making = made.catch(() => undefined)
    await made
  }

  /** A contact as SendGrid wants it, or why it would refuse it. */
  contactOf(fields: Readonly<Record<string, Value>>): { readonly contact: Json } | { readonly refused: string } {
    const contact: Record<string, unknown> = {}
    const custom: Record<string, Value> = {}
    for (const [name, value] of Object.entries(fields)) {
      if (isReserved(name)) {
        const text = value === null ? '' : String(value)
        const lengthMax = LENGTHS_MAX.get(name) ?? LENGTH_MAX
        if (text.length > lengthMax) return { refused: `${name} is longer than ${lengthMax} characters` }
        // An identifier that is empty is none.
        if (text !== '' || !IDENTIFIERS.has(name)) contact[name] = text
        continue
      }
      const field = this.#custom.get(name.toLowerCase())
      if (field === undefined) throw new Error('prepare comes first')
      const given = customValue(field, value)
      if (given !== undefined) custom[field.id] = given
    }
    return { contact: Object.keys(custom).length === 0 ? contact : { ...contact, custom_fields: custom } }
  }

  #isKnown(name: string): boolean {
    return isReserved(name) || this.#custom.has(name.toLowerCase())
  }

  async #make(name: string, type: 'Text' | 'Number'): Promise<void> {
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name))
      throw new DestinationInvalid(
        'makeFields',
        `SendGrid takes no field of the name ${name}: letters, digits and underscores, and no digit first`,
      )
    const made = customFieldOf(await this.#sendGrid.send('POST', DEFINITIONS, { name, field_type: type }))
    this.#custom.set(name.toLowerCase(), made)
  }
}

const IDENTIFIERS: ReadonlySet<string> = new Set(['email', 'phone_number_id', 'external_id'])

/** Only a text can be emptied: of the others, one that is left out stays as it was. */
function customValue({ type }: CustomField, value: Value): Value | undefined {
  if (value === null || value === '') return type === 'Text' ? '' : undefined
  if (type === 'Number') return value
  return String(value)
}
