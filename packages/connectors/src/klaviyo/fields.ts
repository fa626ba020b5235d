import type { TargetField } from '@patchbay/connector-sdk'

/** What Klaviyo knows of a profile by names of its own; every other name becomes a custom property. */
export const TARGET_FIELDS: readonly TargetField[] = [
  field('email', 'Email', {
    type: 'email',
    identifier: true,
    normal: 'email',
    guesses: ['email', 'e-mail', 'mail', 'emailaddress'],
  }),
  field('phone_number', 'Phone number', {
    type: 'phone',
    identifier: true,
    normal: 'e164',
    guesses: ['phone', 'mobile', 'telephone', 'phonenumber'],
  }),
  field('external_id', 'External ID', { guesses: ['customerid', 'customer_id', 'externalid'] }),
  field('first_name', 'First name', { guesses: ['firstname', 'givenname', 'forename'] }),
  field('last_name', 'Last name', { guesses: ['lastname', 'surname', 'familyname'] }),
  field('organization', 'Organization', { guesses: ['company', 'organisation', 'employer'] }),
  field('title', 'Title', { guesses: ['jobtitle'] }),
  field('image', 'Image', {}),
  field('locale', 'Locale', { guesses: ['language'] }),
  field('address1', 'Street Address Line 1', { guesses: ['street', 'address'] }),
  field('address2', 'Street Address Line 2', {}),
  field('city', 'City', { guesses: ['town'] }),
  field('region', 'State / Region', { guesses: ['state', 'province'] }),
  field('zip', 'Zip Code', { guesses: ['postalcode', 'postcode', 'zipcode'] }),
  field('country', 'Country', {}),
  field('timezone', 'Timezone', {}),
  field('latitude', 'Latitude', { type: 'number' }),
  field('longitude', 'Longitude', { type: 'number' }),
]

export const IDENTIFIERS: ReadonlySet<string> = new Set(['email', 'phone_number', 'external_id'])
export const ATTRIBUTES: ReadonlySet<string> = new Set([
  ...IDENTIFIERS,
  'first_name',
  'last_name',
  'organization',
  'title',
  'image',
  'locale',
])
export const LOCATION: ReadonlySet<string> = new Set([
  'address1',
  'address2',
  'city',
  'region',
  'zip',
  'country',
  'timezone',
  'latitude',
  'longitude',
])

function field(name: string, label: string, more: Partial<TargetField>): TargetField {
  return { name, label, type: 'text', ...more }
}
