import { Field, Input } from '@fluentui/react-components'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { client } from '../../api/client.ts'
import { isAt, troubleOf } from '../../api/problem.ts'
import { t } from '../../messages/index.ts'
import { TroubleNote } from '../../ui/trouble-note.tsx'
import { Door } from './door.tsx'

type Kind = 'owner' | 'invitation' | 'new-password'
type FieldName = 'name' | 'email' | 'password'
type Values = Readonly<Record<FieldName, string>>

const FIELDS: Readonly<Record<Kind, readonly FieldName[]>> = {
  owner: ['name', 'email', 'password'],
  invitation: ['name', 'password'],
  'new-password': ['password'],
}
const INPUT = {
  name: { type: 'text', autoComplete: 'name' },
  email: { type: 'email', autoComplete: 'username' },
  password: { type: 'password', autoComplete: 'new-password' },
} as const

/** Opened by a link that is good once. What stands after # in it goes over the network in the body alone. */
function LinkPage({ kind }: { readonly kind: Kind }) {
  const [token] = useState(() => location.hash.slice(1))
  const [values, setValues] = useState<Values>({ name: '', email: '', password: '' })
  const use = useMutation({
    mutationFn: () => send(kind, token, values),
    // Loaded anew, and without the link.
    onSuccess: () => location.replace('/'),
  })
  if (token === '') return <Door title={t(`link.${kind}.title`)} detail={t(`link.${kind}.no-link`)} />
  const trouble = use.error === null ? undefined : troubleOf(use.error)
  const fields = FIELDS[kind]
  const isAtField = fields.some((field) => isAt(trouble, field))
  return (
    <Door
      title={t(`link.${kind}.title`)}
      detail={t(`link.${kind}.detail`)}
      action={t(`link.${kind}.action`)}
      busy={use.isPending || use.isSuccess}
      onSubmit={() => use.mutate()}
    >
      <TroubleNote error={isAtField ? null : use.error} />
      {fields.map((field, place) => (
        <Field
          key={field}
          required
          label={t(`door.${field}`)}
          hint={field === 'password' ? t('door.password.help') : undefined}
          validationMessage={isAt(trouble, field) ? `${trouble?.what}. ${trouble?.cure}` : undefined}
        >
          <Input
            {...INPUT[field]}
            autoFocus={place === 0}
            value={values[field]}
            onChange={(_, { value }) => setValues({ ...values, [field]: value })}
          />
        </Field>
      ))}
    </Door>
  )
}

async function send(kind: Kind, token: string, { name, email, password }: Values): Promise<unknown> {
  if (kind === 'owner') return client.owner.claim({ body: { token, name, email: email.trim(), password } })
  if (kind === 'invitation') return client.invitations.accept({ body: { token, name, password } })
  return client.invitations.setPassword({ body: { token, password } })
}

export function OwnerPage() {
  return <LinkPage kind="owner" />
}

export function InvitationPage() {
  return <LinkPage kind="invitation" />
}

export function NewPasswordPage() {
  return <LinkPage kind="new-password" />
}
