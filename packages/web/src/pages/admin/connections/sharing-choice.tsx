import { Field, Radio, RadioGroup } from '@fluentui/react-components'
import type { Connection } from '@patchbay/contract'
import { t } from '../../../messages/index.ts'

interface Props {
  readonly value: Connection['sharing']
  readonly autoFocus: boolean
  readonly onChange: (sharing: Connection['sharing']) => void
}

/** Who may use the connection. Using it is all that sharing gives: nobody sees its settings by it. */
export function SharingChoice({ value, autoFocus, onChange }: Props) {
  return (
    <Field label={t('sharing.label')} hint={t('sharing.help')}>
      <RadioGroup
        value={value.with}
        onChange={(_, data) => {
          if (data.value === 'administrators' || data.value === 'contributors') onChange({ with: data.value })
        }}
      >
        <Radio
          value="administrators"
          label={t('sharing.administrators')}
          autoFocus={autoFocus && value.with === 'administrators'}
        />
        <Radio
          value="contributors"
          label={t('sharing.contributors')}
          autoFocus={autoFocus && value.with === 'contributors'}
        />
        {value.with === 'named' ? (
          <Radio value="named" label={t('sharing.named', { count: value.users.length })} autoFocus={autoFocus} />
        ) : null}
      </RadioGroup>
    </Field>
  )
}
