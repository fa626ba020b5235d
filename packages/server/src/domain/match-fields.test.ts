import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wordsOf } from './field-meanings.ts'
import { matchFields, type TargetField } from './match-fields.ts'
import type { FieldType, TableField } from './table.ts'

const field = (name: string, type: FieldType = 'text', tags: TableField['tags'] = [], label = name): TableField => ({
  ...{ name, label, type, tags },
})
const EMAIL: TargetField = { name: 'EMAIL', label: 'Email address', type: 'email', required: true, identifier: true }
const FIRST: TargetField = { name: 'FNAME', label: 'First name', type: 'text' }
const LAST: TargetField = { name: 'LNAME', label: 'Last name', type: 'text' }
const PHONE: TargetField = { name: 'phone', label: 'Phone', type: 'phone' }
const BIRTH: TargetField = { name: 'DOB', label: 'Date of birth', type: 'date' }

const shown = (targets: readonly TargetField[], fields: readonly TableField[]) =>
  matchFields(targets, fields).items.map(({ match }) =>
    match === null ? null : [match.from, match.confidence, match.because],
  )

test.each([
  ['English', ['E-Mail', 'FirstName', 'surname', 'mobile_phone', 'birthday']],
  ['German', ['E-Mail-Adresse', 'Vorname', 'Nachname', 'Handynummer', 'Geburtsdatum']],
  ['French', ['courriel', 'prénom', 'nom de famille', 'téléphone portable', 'Date de naissance']],
  ['Spanish', ['correo_electrónico', 'nombre', 'apellidos', 'teléfono', 'fecha_de_nacimiento']],
  ['Italian', ['posta elettronica', 'nome proprio', 'cognome', 'cellulare', 'data di nascita']],
  ['Portuguese', ['E-mail', 'primeiroNome', 'sobrenome', 'telemóvel', 'data de nascimento']],
  ['Dutch', ['emailadres', 'voornaam', 'achternaam', 'telefoonnummer', 'geboortedatum']],
  ['Norwegian', ['e-post', 'fornavn', 'etternavn', 'mobil', 'fødselsdato']],
  ['Polish', ['adres e-mail', 'imię', 'nazwisko', 'numer telefonu', 'data urodzenia']],
])('rule 3: fields with %s names find their place', (_, names) => {
  const fields = names.map((name, index) => field(name, index === 4 ? 'date' : 'text'))
  const { items, unmatched } = matchFields([EMAIL, FIRST, LAST, PHONE, BIRTH], fields)
  expect(items.map(({ match }) => match?.from)).toEqual(names)
  expect(unmatched).toEqual([])
  for (const { match } of items) expect(['certain', 'likely', 'possible']).toContain(match?.confidence)
})

test('rule 3: how sure a guess is, and why, is said', () => {
  expect(shown([EMAIL], [field('email')])).toEqual([['email', 'certain', 'name']])
  expect(shown([EMAIL], [field('c7', 'text', [], 'Email Address')])).toEqual([['c7', 'certain', 'label']])
  expect(shown([{ ...EMAIL, guesses: ['kontakt'] }], [field('Kontakt')])).toEqual([['Kontakt', 'likely', 'guess']])
  expect(shown([EMAIL], [field('courriel')])).toEqual([['courriel', 'likely', 'meaning']])
  expect(shown([EMAIL], [field('work_email_2')])).toEqual([['work_email_2', 'possible', 'part']])
  const id: TargetField = { name: 'xref', label: 'Reference', type: 'text', identifier: true }
  expect(shown([id], [field('note'), field('nr', 'text', ['identifier'])])).toEqual([['nr', 'possible', 'tag']])
  expect(shown([EMAIL], [field('note')])).toEqual([null])
})

test('a field of the table is guessed once, and the surest guess wins', () => {
  const { items, unmatched } = matchFields([EMAIL, PHONE], [field('work_email'), field('email'), field('phone')])
  expect(items.map(({ match }) => match?.from)).toEqual(['email', 'phone'])
  expect(items[0]?.others.map(({ from }) => from)).toEqual(['work_email'])
  expect(unmatched).toEqual(['work_email'])
  expect(shown([FIRST, { ...FIRST, name: 'first' }], [field('vorname')])).toEqual([
    ['vorname', 'likely', 'meaning'],
    null,
  ])
})

test('a field whose type cannot become that of the service is not guessed', () => {
  expect(shown([EMAIL], [field('email', 'boolean')])).toEqual([null])
  expect(shown([BIRTH], [field('birthday', 'text')])).toEqual([null])
  expect(shown([BIRTH], [field('birthday', 'timestamp')])).toEqual([['birthday', 'likely', 'meaning']])
  expect(shown([{ name: 'spend', label: 'Spend', type: 'number' }], [field('spend', 'decimal')])).toHaveLength(1)
})

test('a transform is proposed where the destination declares no form of its own, and else the engine makes it', () => {
  const transforms = (target: TargetField, name: string) =>
    matchFields([target], [field(name)]).items[0]?.match?.transforms
  expect(transforms(EMAIL, 'email')).toEqual(['trim', 'lowercase'])
  expect(transforms(PHONE, 'phone')).toEqual(['trim'])
  expect(transforms(FIRST, 'vorname')).toEqual([])
  expect(transforms({ ...EMAIL, normal: 'email', hash: 'sha256' }, 'email')).toEqual([])
  expect(transforms({ ...PHONE, normal: 'phone-digits' }, 'phone')).toEqual([])
})

test('names are taken apart as people write them', () => {
  expect(wordsOf('customerEMail_1')).toEqual(['customer', 'e', 'mail', '1'])
  expect(wordsOf('HTTPServerÄdresse--Straße')).toEqual(['http', 'server', 'adresse', 'strasse'])
  expect(wordsOf('  ')).toEqual([])
})

test('whatever the names, no field is guessed twice and none is invented', () => {
  const name = fc.string({ minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 12 }), fc.uniqueArray(name, { maxLength: 12 }), (to, from) => {
      const targets = to.map((text): TargetField => ({ name: text, label: text, type: 'text' }))
      const { items, unmatched } = matchFields(
        targets,
        from.map((text) => field(text)),
      )
      const used = items.flatMap(({ match }) => (match === null ? [] : [match.from]))
      expect(new Set(used).size).toBe(used.length)
      expect([...used, ...unmatched].toSorted()).toEqual([...from].toSorted())
    }),
  )
})
