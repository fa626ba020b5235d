/** A form made from declared fields alone. */
import type { ConnectorField } from '@patchbay/contract'
import { Field, Input, Option, Combobox, Select, Switch, Textarea } from '@fluentui/react-components'
import type { ReactNode } from 'react'
import { t } from '../messages/index.ts'
import { isShown, labelOf, type FieldValue, type FieldValues } from './field-values.ts'
import { SecretField } from './secret-field.tsx'

export interface Looking {
  readonly choices: readonly { readonly value: string; readonly label: string }[]
  readonly loading: boolean
  readonly error?: string
}

interface Props {
  readonly fields: readonly ConnectorField[]
  readonly values: FieldValues
  readonly onChange: (values: FieldValues) => void
  /** What is wrong with a field, to be said below it. */
  readonly problems: Readonly<Record<string, string>>
  readonly disabled?: boolean
  readonly isStored?: (secret: string) => boolean
  /** What the service itself offers for a field, asked when it is opened. */
  readonly lookUp?: (field: ConnectorField) => Looking
  /** A key that the far end showed, to be trusted. */
  readonly renderPin?: (field: ConnectorField) => ReactNode
}

export function FieldsForm(props: Props) {
  return props.fields
    .filter((field) => isShown(field, props.values))
    .map((field) => <OneField key={field.name} {...props} field={field} />)
}

function OneField({
  field,
  values,
  onChange,
  problems,
  disabled = false,
  isStored,
  lookUp,
  renderPin,
}: Props & { readonly field: ConnectorField }) {
  const value = values[field.name]
  const set = (next: FieldValue | undefined) => {
    const { [field.name]: _before, ...others } = values
    onChange(next === undefined ? others : { ...others, [field.name]: next })
  }
  const problem = problems[field.name]
  const looking = field.kind === 'lookup' ? lookUp?.(field) : undefined
  if (field.kind === 'pin') return renderPin?.(field)
  if (field.kind === 'secret')
    return (
      <SecretField
        label={field.label}
        hint={field.help}
        optional={field.optional}
        multiline={field.multiline}
        stored={isStored?.(field.name) ?? false}
        value={typeof value === 'string' ? value : undefined}
        problem={problem}
        disabled={disabled}
        onChange={set}
      />
    )
  const hint = [
    field.help,
    'example' in field && field.example !== undefined ? t('field.example', { example: field.example }) : undefined,
  ]
    .filter((part) => part !== undefined)
    .join('. ')
  return (
    <Field
      label={field.kind === 'switch' ? undefined : labelOf(field)}
      required={!field.optional && field.kind !== 'switch'}
      hint={hint === '' ? undefined : hint}
      validationMessage={problem ?? looking?.error}
      validationState={problem === undefined && looking?.error === undefined ? 'none' : 'error'}
    >
      <Control field={field} value={value} set={set} disabled={disabled} looking={looking} />
    </Field>
  )
}

interface ControlProps {
  readonly field: Exclude<ConnectorField, { readonly kind: 'secret' | 'pin' }>
  readonly value: FieldValue | undefined
  readonly set: (value: FieldValue | undefined) => void
  readonly disabled: boolean
  readonly looking: Looking | undefined
}

function Control({ field, value, set, disabled, looking, ...field_ }: ControlProps) {
  const named = { name: field.name, disabled, ...field_ }
  switch (field.kind) {
    case 'text': {
      const text = {
        ...named,
        value: String(value ?? ''),
        maxLength: field.maxLength,
        autoComplete: 'off',
        spellCheck: false,
        onChange: (_: unknown, data: { readonly value: string }) => set(data.value),
      }
      return field.multiline === true ? <Textarea rows={4} resize="vertical" {...text} /> : <Input {...text} />
    }
    case 'number':
      return (
        <Input
          {...named}
          inputMode="decimal"
          value={value === undefined ? '' : String(value)}
          onChange={(_, data) => set(numberOf(data.value))}
        />
      )
    case 'switch':
      return (
        <Switch {...named} label={field.label} checked={value === true} onChange={(_, data) => set(data.checked)} />
      )
    case 'choice':
      return (
        <Select
          {...named}
          value={String(value ?? '')}
          onChange={(_, data) => set(data.value === '' ? undefined : data.value)}
        >
          {value === undefined || field.optional ? <option value="">{t('field.choose')}</option> : null}
          {field.choices.map((choice) => (
            <option key={choice.value} value={choice.value}>
              {choice.label}
            </option>
          ))}
        </Select>
      )
    case 'lookup': {
      const chosen = looking?.choices.find((choice) => choice.value === value)
      return (
        <Combobox
          {...named}
          freeform
          defaultValue={chosen?.label ?? String(value ?? '')}
          key={chosen?.label ?? 'unknown'}
          selectedOptions={typeof value === 'string' ? [value] : []}
          onOptionSelect={(_, data) => set(data.optionValue ?? data.optionText)}
          onChange={(event) => set(event.target.value === '' ? undefined : event.target.value)}
        >
          {looking?.loading === true ? (
            <Option disabled value="" text="">
              {t('list.loading')}
            </Option>
          ) : null}
          {looking?.choices.map((choice) => (
            <Option key={choice.value} value={choice.value} text={choice.label}>
              {choice.label}
            </Option>
          ))}
        </Combobox>
      )
    }
  }
}

/** What is no number stays as it was typed, so that the field can say so. */
function numberOf(text: string): FieldValue | undefined {
  if (text.trim() === '') return undefined
  const number = Number(text.replace(',', '.'))
  return Number.isFinite(number) ? number : text
}
