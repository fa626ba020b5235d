import type { TargetField } from '@patchbay/connector-sdk'

/** Names of the Data Manager API. Google matches an address by all four of its parts or not at all. */
export const TARGET_FIELDS: readonly TargetField[] = [
  {
    name: 'emailAddress',
    label: 'Email',
    type: 'email',
    identifier: true,
    normal: 'gmail-email',
    hash: 'sha256',
    guesses: ['email', 'e-mail', 'mail'],
  },
  {
    name: 'phoneNumber',
    label: 'Phone',
    type: 'phone',
    identifier: true,
    normal: 'e164',
    hash: 'sha256',
    guesses: ['phone', 'mobile', 'telephone'],
  },
  {
    name: 'givenName',
    label: 'First name',
    type: 'text',
    normal: 'name',
    hash: 'sha256',
    guesses: ['firstname', 'forename'],
  },
  {
    name: 'familyName',
    label: 'Last name',
    type: 'text',
    normal: 'name',
    hash: 'sha256',
    guesses: ['lastname', 'surname'],
  },
  { name: 'regionCode', label: 'Country', type: 'text', normal: 'country-upper', guesses: ['country', 'countrycode'] },
  { name: 'postalCode', label: 'Zip', type: 'text', normal: 'postal-code', guesses: ['zip', 'zipcode', 'postcode'] },
  {
    name: 'adUserData',
    label: 'Consent: user data may be sent to Google for advertising',
    type: 'boolean',
    guesses: ['aduserdata'],
  },
  {
    name: 'adPersonalization',
    label: 'Consent: ads may be personalised',
    type: 'boolean',
    guesses: ['adpersonalization', 'adpersonalisation'],
  },
]
