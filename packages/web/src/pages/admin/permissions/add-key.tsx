import { Button, Field, Input, MessageBar, MessageBarBody, Radio, RadioGroup, Select } from '@fluentui/react-components'
import { ROLES, type Role } from '@patchbay/contract'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { changed } from '../../../api/ask.ts'
import { client } from '../../../api/client.ts'
import { isAt, troubleOf } from '../../../api/problem.ts'
import { t } from '../../../messages/index.ts'
import { CopyText } from '../../../ui/copy-text.tsx'
import { SetUpPane } from '../../../ui/set-up-pane.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'

const DAYS = [30, 90, 365] as const

export function AddKey({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('Viewer')
  const [days, setDays] = useState<number | null>(365)
  const add = useMutation({
    mutationFn: () => client.keys.add({ body: { name: name.trim(), role, expiresInDays: days } }),
    onSuccess: () => changed('keys'),
  })
  const trouble = add.error === null ? undefined : troubleOf(add.error)
  const made = add.data
  return (
    <SetUpPane
      title={t('keys.add')}
      unsaved={made === undefined && name !== ''}
      onClose={onClose}
      onSubmit={() => (made === undefined ? add.mutate() : onClose())}
      footer={
        made === undefined ? (
          <>
            <Button type="submit" appearance="primary" disabled={name.trim() === '' || add.isPending}>
              {t('keys.make')}
            </Button>
            <Button onClick={onClose}>{t('action.cancel')}</Button>
          </>
        ) : (
          <Button type="submit" appearance="primary">
            {t('action.close')}
          </Button>
        )
      }
    >
      {made === undefined ? (
        <>
          <TroubleNote error={isAt(trouble, 'name') ? null : add.error} />
          <Field
            label={t('keys.name')}
            hint={t('keys.name.help')}
            required
            validationMessage={isAt(trouble, 'name') ? trouble?.what : undefined}
          >
            <Input autoFocus value={name} maxLength={100} onChange={(_, { value }) => setName(value)} />
          </Field>
          <Field label={t('role.label')}>
            <RadioGroup
              value={role}
              onChange={(_, { value }) => setRole(ROLES.find((known) => known === value) ?? 'Viewer')}
            >
              {ROLES.toReversed().map((each) => (
                <Radio
                  key={each}
                  value={each}
                  label={
                    <>
                      {t(`role.${each}`)}
                      <br />
                      <small>{t(`role.${each}.detail`)}</small>
                    </>
                  }
                />
              ))}
            </RadioGroup>
          </Field>
          <Field label={t('keys.ends')}>
            <Select value={String(days)} onChange={(_, { value }) => setDays(value === 'null' ? null : Number(value))}>
              {DAYS.map((each) => (
                <option key={each} value={each}>
                  {t('keys.ends.days', { count: each })}
                </option>
              ))}
              <option value="null">{t('keys.ends.never')}</option>
            </Select>
          </Field>
        </>
      ) : (
        <>
          <MessageBar intent="warning" layout="multiline">
            <MessageBarBody>{t('keys.once')}</MessageBarBody>
          </MessageBar>
          <CopyText label={made.apiKey.name} text={made.key} />
        </>
      )}
    </SetUpPane>
  )
}
