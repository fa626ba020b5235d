import { Button, Field, Input, makeStyles, Text, Textarea, tokens } from '@fluentui/react-components'
import { Eye20Regular, EyeOff20Regular, LockClosed16Regular } from '@fluentui/react-icons'
import { useState } from 'react'
import { t } from '../messages/index.ts'
import { labelOf } from './field-values.ts'

const useStyles = makeStyles({
  stored: {
    display: 'flex',
    alignItems: 'center',
    gap: tokens.spacingHorizontalS,
    minHeight: '32px',
    color: tokens.colorNeutralForeground2,
    flexWrap: 'wrap',
  },
})

interface Props {
  readonly label: string
  readonly hint?: string | undefined
  readonly optional: boolean
  readonly multiline: boolean
  /** The server has one: it is not shown, and stays unless another is typed. */
  readonly stored: boolean
  readonly value: string | undefined
  readonly problem?: string | undefined
  readonly disabled?: boolean
  readonly onChange: (value: string | undefined) => void
}

export function SecretField({
  label,
  hint,
  optional,
  multiline,
  stored,
  value,
  problem,
  disabled = false,
  onChange,
}: Props) {
  const styles = useStyles()
  const [shows, setShows] = useState(false)
  const isKept = stored && value === undefined
  const shown = {
    label: labelOf({ label, optional }),
    required: !optional,
    hint,
    validationMessage: problem,
    validationState: problem === undefined ? 'none' : 'error',
  } as const
  if (isKept)
    return (
      <Field {...shown}>
        <div className={styles.stored} role="group">
          <LockClosed16Regular aria-hidden />
          <Text>{t('field.secret.stored')}</Text>
          <Button size="small" disabled={disabled} onClick={() => onChange('')}>
            {t('field.secret.replace')}
          </Button>
        </div>
      </Field>
    )
  return (
    <Field {...shown}>
      {(field) => (
        <div style={{ display: 'flex', flexDirection: 'column', gap: '4px' }}>
          {multiline ? (
            <Textarea
              {...field}
              rows={5}
              resize="vertical"
              value={value ?? ''}
              spellCheck={false}
              autoComplete="off"
              disabled={disabled}
              onChange={(_, data) => onChange(data.value)}
            />
          ) : (
            <Input
              {...field}
              type={shows ? 'text' : 'password'}
              autoComplete="new-password"
              value={value ?? ''}
              disabled={disabled}
              onChange={(_, data) => onChange(data.value)}
              contentAfter={
                <Button
                  size="small"
                  appearance="transparent"
                  icon={shows ? <EyeOff20Regular /> : <Eye20Regular />}
                  aria-label={shows ? t('field.secret.hide') : t('field.secret.show')}
                  onClick={() => setShows(!shows)}
                />
              }
            />
          )}
          {stored ? (
            <div>
              <Button size="small" appearance="subtle" onClick={() => onChange(undefined)}>
                {t('field.secret.keep')}
              </Button>
            </div>
          ) : null}
        </div>
      )}
    </Field>
  )
}
