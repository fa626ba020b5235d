import { Field, Input } from '@fluentui/react-components'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { queryClient } from '../../api/ask.ts'
import { client } from '../../api/client.ts'
import { placeAfterSignIn } from '../../app/session.ts'
import { t } from '../../messages/index.ts'
import { useUrlState } from '../../ui/list-state.ts'
import { TroubleNote } from '../../ui/trouble-note.tsx'
import { Door } from './door.tsx'

export function SignInPage() {
  const { values } = useUrlState()
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const signIn = useMutation({
    mutationFn: () => client.session.open({ body: { email: email.trim(), password } }),
    // The page is loaded anew: nothing of another person's stays in its memory.
    onSuccess: () => {
      queryClient.clear()
      location.assign(placeAfterSignIn(values['from']))
    },
  })
  return (
    <Door
      title={t('sign-in.title')}
      detail={t('sign-in.detail')}
      action={t('sign-in.action')}
      busy={signIn.isPending || signIn.isSuccess}
      onSubmit={() => signIn.mutate()}
    >
      <TroubleNote error={signIn.error} />
      <Field label={t('door.email')} required>
        <Input
          type="email"
          name="email"
          autoComplete="username"
          autoFocus
          value={email}
          onChange={(_, { value }) => setEmail(value)}
        />
      </Field>
      <Field label={t('door.password')} required>
        <Input
          type="password"
          name="password"
          autoComplete="current-password"
          value={password}
          onChange={(_, { value }) => setPassword(value)}
        />
      </Field>
    </Door>
  )
}
