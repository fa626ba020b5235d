/**
 * The forms in which services want values, so that two sides that hash apart get the same hash. A target field names one;
 * the data engine brings every value into it, in the statement that selects the rows. Connectors never do.
 */
export type NormalForm = keyof typeof NORMAL_FORMS

/** What each asks, in the words with which a value that does not fit is rejected: "`field` is not …". */
export const NORMAL_FORMS = {
  /** Without white space, in lower case. */
  email: 'an e-mail address',
  /** The same; at gmail.com and googlemail.com without dots, and without what follows a plus. */
  'gmail-email': 'an e-mail address',
  /** `+` and 7 to 15 digits. Of a number without `+` or `00` the digits are taken to begin with the country's; one that begins with a single 0 does not. */
  e164: 'a phone number with its country code',
  /** The same digits without the `+`. */
  'phone-digits': 'a phone number with its country code',
  /** Trimmed, in lower case. */
  name: 'a name',
  /** Lower case letters and digits of any script, composed (NFC): no white space, punctuation or symbols. */
  'bare-name': 'a name',
  /** The first character of `bare-name`. */
  initial: 'a name',
  /** As `bare-name`; a state of the USA by its two letters. */
  'bare-region': 'a state or province',
  /** Trimmed. */
  'postal-code': 'a postal code',
  /** Lower case, without spaces and hyphens; five digits of a code of the USA. */
  'bare-postal-code': 'a postal code',
  /** Two letters of ISO 3166-1, upper case. English names of countries are understood. */
  'country-upper': 'a country (ISO 3166-1, two letters)',
  /** The same in lower case. */
  'country-lower': 'a country (ISO 3166-1, two letters)',
  /** YYYYMMDD, from 1900 on. Of dates with slashes those that can be read in one way only. */
  'birth-date': 'a date of birth',
  /** Parts of the same: YYYY, MM, DD. */
  'birth-year': 'a date of birth',
  'birth-month': 'a date of birth',
  'birth-day': 'a date of birth',
  /** `f` or `m`. Whatever else is said is left out, since services that ask it know no other. */
  gender: 'a gender',
  /** An advertising id of a phone: a UUID in lower case with hyphens. One of zeros only is a person who said no. */
  'device-id': 'an advertising id (a UUID that is not all zeros)',
} as const
