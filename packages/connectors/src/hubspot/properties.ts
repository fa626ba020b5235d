/** The properties of a contact, as the account has them. */
import type { TargetField } from '@patchbay/connector-sdk'
import { isRecord, recordsOf, type HubSpot } from './api.ts'

export interface Property {
  readonly name: string
  readonly label: string
  readonly type: string
  readonly isUnique: boolean
}

export const EMAIL: TargetField = {
  name: 'email',
  label: 'Email',
  type: 'email',
  identifier: true,
  normal: 'email',
  guesses: ['email', 'emailaddress', 'mail'],
}

const GUESSES: Readonly<Record<string, readonly string[]>> = {
  firstname: ['firstname', 'givenname', 'forename'],
  lastname: ['lastname', 'surname', 'familyname'],
  phone: ['phone', 'telephone'],
  mobilephone: ['mobile', 'mobilephone', 'cellphone'],
  zip: ['zip', 'zipcode', 'postalcode', 'postcode'],
  address: ['street', 'address', 'streetaddress'],
  state: ['state', 'province', 'region'],
  jobtitle: ['jobtitle', 'title', 'position'],
}

/** Those that may be written. */
export async function readProperties(hubSpot: HubSpot): Promise<readonly Property[]> {
  const found = recordsOf(await hubSpot.get('/crm/v3/properties/contacts'), 'results')
  return found.flatMap(({ name, label, type, hasUniqueValue, calculated, modificationMetadata }) => {
    const isReadOnly = isRecord(modificationMetadata) && modificationMetadata['readOnlyValue'] === true
    if (typeof name !== 'string' || typeof type !== 'string' || isReadOnly || calculated === true) return []
    return [{ name, type, label: typeof label === 'string' ? label : name, isUnique: hasUniqueValue === true }]
  })
}

export function targetFieldsOf(properties: readonly Property[], idProperty: string): readonly TargetField[] {
  const others = properties.filter(({ name }) => name !== EMAIL.name)
  return [
    EMAIL,
    ...others.map(({ name, label, type }): TargetField => {
      const guesses = GUESSES[name] ?? [name.replaceAll(/[^a-z0-9]/g, '')]
      const field = { name, label, type: typeOf(type), guesses }
      return name === idProperty ? { ...field, identifier: true, required: true } : field
    }),
  ]
}

function typeOf(type: string): TargetField['type'] {
  switch (type) {
    case 'number':
      return 'number'
    case 'bool':
      return 'boolean'
    case 'date':
    case 'datetime':
      return 'date'
    case 'phone_number':
      return 'phone'
    default:
      return 'text'
  }
}
