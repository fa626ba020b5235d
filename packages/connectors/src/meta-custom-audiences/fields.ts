import type { TargetField } from '@patchbay/connector-sdk'

/** Meta's keys of a customer list, in the forms in which it hashes them itself. */
export const TARGET_FIELDS: readonly TargetField[] = [
  key('EMAIL', 'Email', { type: 'email', identifier: true, normal: 'email', guesses: ['email', 'e-mail', 'mail'] }),
  key('PHONE', 'Phone', {
    type: 'phone',
    identifier: true,
    normal: 'phone-digits',
    guesses: ['phone', 'mobile', 'telephone'],
  }),
  key('FN', 'First name', { normal: 'bare-name', guesses: ['firstname', 'givenname', 'forename'] }),
  key('LN', 'Last name', { normal: 'bare-name', guesses: ['lastname', 'surname', 'familyname'] }),
  key('FI', 'First initial', { normal: 'initial' }),
  key('CT', 'City', { normal: 'bare-name', guesses: ['city', 'town'] }),
  key('ST', 'State', { normal: 'bare-region', guesses: ['state', 'province', 'region'] }),
  key('ZIP', 'Postal code', { normal: 'bare-postal-code', guesses: ['zip', 'zipcode', 'postalcode', 'postcode'] }),
  key('COUNTRY', 'Country/Region', { normal: 'country-lower', guesses: ['country', 'countrycode'] }),
  key('DOBY', 'Year of birth', { normal: 'birth-year', guesses: ['dateofbirth', 'birthdate', 'birthday', 'dob'] }),
  key('DOBM', 'Month of birth', { normal: 'birth-month' }),
  key('DOBD', 'Day of birth', { normal: 'birth-day' }),
  key('GEN', 'Gender', { normal: 'gender', guesses: ['gender', 'sex'] }),
  {
    name: 'MADID',
    label: 'Mobile advertiser ID',
    type: 'text',
    identifier: true,
    normal: 'device-id',
    guesses: ['idfa', 'aaid', 'gaid'],
  },
  { name: 'EXTERN_ID', label: 'External ID', type: 'text', identifier: true },
]

function key(
  name: string,
  label: string,
  more: Partial<TargetField> & Required<Pick<TargetField, 'normal'>>,
): TargetField {
  return { name, label, type: 'text', hash: 'sha256', ...more }
}
