/** What names of fields mean, in the languages of the tables that people bring. */

/** Whole names, as `wordsOf` makes them: lower case, without accents, words apart. */
const NAMES_OF: Readonly<Record<string, readonly string[]>> = {
  email: [
    ...['email', 'e mail', 'mail', 'email address', 'e mail address', 'mail address', 'emailaddress'],
    ...['emailadresse', 'e mail adresse', 'mailadresse', 'courriel', 'adresse email', 'adresse e mail'],
    ...['correo', 'correo electronico', 'email cliente', 'posta elettronica', 'indirizzo email', 'e posta'],
    ...['emailadres', 'e mailadres', 'e post', 'epost', 'sahkoposti', 'adres email', 'elektronicka posta', 'eposta'],
  ],
  phone: [
    ...['phone', 'phone number', 'telephone', 'tel', 'mobile', 'mobile phone', 'cell', 'cell phone', 'msisdn'],
    ...['telefon', 'telefonnummer', 'handy', 'handynummer', 'mobil', 'mobilnummer', 'rufnummer', 'mobiltelefon'],
    ...['telephone portable', 'portable', 'numero de telephone', 'telefono', 'movil', 'celular', 'telemovel'],
    ...['cellulare', 'telefoon', 'telefoonnummer', 'mobiel', 'puhelin', 'puhelinnumero', 'telefone', 'numer telefonu'],
  ],
  firstName: [
    ...['first name', 'firstname', 'given name', 'givenname', 'forename', 'fname', 'vorname', 'prenom', 'nombre'],
    ...['primeiro nome', 'nome proprio', 'voornaam', 'fornavn', 'fornamn', 'etunimi', 'imie', 'jmeno', 'keresztnev'],
  ],
  lastName: [
    ...['last name', 'lastname', 'surname', 'family name', 'familyname', 'lname', 'nachname', 'familienname'],
    ...['zuname', 'nom', 'nom de famille', 'apellido', 'apellidos', 'cognome', 'sobrenome', 'apelido', 'achternaam'],
    ...['etternavn', 'efternamn', 'efternavn', 'sukunimi', 'nazwisko', 'prijmeni', 'vezeteknev'],
  ],
  fullName: [
    ...['full name', 'fullname', 'name', 'customer name', 'kundenname', 'vollstandiger name', 'nom complet'],
    ...['nombre completo', 'nome completo', 'volledige naam', 'naam', 'navn', 'namn', 'nimi'],
  ],
  birthDate: [
    ...['birth date', 'birthdate', 'birthday', 'date of birth', 'dob', 'born', 'geburtsdatum', 'geburtstag'],
    ...['date de naissance', 'fecha de nacimiento', 'data di nascita', 'data de nascimento', 'geboortedatum'],
    ...['fodselsdato', 'fodelsedatum', 'syntymaaika', 'data urodzenia'],
  ],
  street: [
    ...['street', 'street address', 'address', 'address line 1', 'address 1', 'strasse', 'anschrift', 'adresse'],
    ...['rue', 'calle', 'direccion', 'via', 'indirizzo', 'rua', 'endereco', 'straat', 'adres', 'gate', 'gata', 'ulica'],
  ],
  city: [
    ...['city', 'town', 'place', 'stadt', 'ort', 'wohnort', 'ville', 'ciudad', 'citta', 'cidade', 'plaats', 'stad'],
    ...['by', 'kaupunki', 'miasto', 'mesto', 'varos'],
  ],
  postcode: [
    ...['postcode', 'postal code', 'postalcode', 'zip', 'zip code', 'zipcode', 'plz', 'postleitzahl', 'code postal'],
    ...['codigo postal', 'cap', 'codice postale', 'cep', 'postnummer', 'postinumero', 'kod pocztowy', 'psc'],
  ],
  country: [
    ...[
      'country',
      'country code',
      'nation',
      'land',
      'landeskennung',
      'pays',
      'pais',
      'paese',
      'nazione',
      'maa',
      'kraj',
    ],
    ...['zeme', 'orszag', 'country region'],
  ],
  region: [
    ...['state', 'region', 'province', 'bundesland', 'kanton', 'departement', 'provincia', 'estado', 'provincie'],
    ...['county', 'lan', 'fylke'],
  ],
  gender: [...['gender', 'sex', 'geschlecht', 'sexe', 'genre', 'sexo', 'genero', 'sesso', 'geslacht', 'kjonn', 'kon']],
  company: [
    ...['company', 'company name', 'organisation', 'organization', 'employer', 'firma', 'firmenname', 'unternehmen'],
    ...['entreprise', 'societe', 'empresa', 'azienda', 'bedrijf', 'foretag', 'yritys', 'firmy'],
  ],
  language: [
    ...['language', 'language code', 'locale', 'preferred language', 'sprache', 'langue', 'idioma', 'lingua', 'taal'],
    ...['sprog', 'sprak', 'kieli', 'jezyk'],
  ],
  customerId: [
    ...['customer id', 'customerid', 'external id', 'externalid', 'contact id', 'user id', 'userid', 'customer number'],
    ...['kundennummer', 'kunden id', 'kundenid', 'numero client', 'id client', 'id cliente', 'klantnummer', 'crm id'],
    ...['kundenr', 'asiakasnumero', 'customer key'],
  ],
}

const MEANING_OF = new Map(
  Object.entries(NAMES_OF).flatMap(([meaning, names]) => names.map((name): [string, string] => [name, meaning])),
)
const WORDS_MAX = Math.max(...[...MEANING_OF.keys()].map((name) => name.split(' ').length))
/** Short names that are words of their own in longer ones: only as a whole do they mean something. */
const WHOLE_ONLY = new Set([
  'name',
  'nom',
  'tel',
  'cell',
  'by',
  'kon',
  'lan',
  'via',
  'cap',
  'land',
  'place',
  'ort',
  'address',
  'adresse',
  'adres',
  'state',
  'navn',
  'namn',
  'naam',
  'nimi',
  'born',
  'gate',
  'rue',
  'stad',
])

/** `customerEMail_1` is customer, e, mail, 1: words in lower case without accents. */
export function wordsOf(text: string): readonly string[] {
  return text
    .replaceAll(/(\p{Ll}|\d)(\p{Lu})/gu, '$1 $2')
    .replaceAll(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
    .replaceAll('ß', 'ss')
    .replaceAll(/[øØ]/g, 'o')
    .replaceAll(/[łŁ]/g, 'l')
    .normalize('NFD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
}

/** What the whole name means, and what a part of it means (`work email`). */
export function meaningsOf(text: string): { readonly whole: readonly string[]; readonly parts: readonly string[] } {
  const words = wordsOf(text)
  const whole = MEANING_OF.get(words.join(' ')) ?? MEANING_OF.get(words.join(''))
  const parts = new Set<string>()
  for (let start = 0; start < words.length; start += 1)
    for (let end = start + 1; end <= Math.min(words.length, start + WORDS_MAX); end += 1) {
      const name = words.slice(start, end).join(' ')
      const meaning = WHOLE_ONLY.has(name) ? undefined : MEANING_OF.get(name)
      if (meaning !== undefined) parts.add(meaning)
    }
  return { whole: whole === undefined ? [] : [whole], parts: [...parts] }
}
