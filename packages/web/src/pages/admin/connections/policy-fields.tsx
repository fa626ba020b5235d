import { Combobox, Field, Input, Option, Radio, RadioGroup } from '@fluentui/react-components'
import type { Connection } from '@patchbay/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ask } from '../../../api/ask.ts'
import { isAt, type Trouble } from '../../../api/problem.ts'
import { t } from '../../../messages/index.ts'

type Policy = Connection['policy']

interface Props {
  readonly value: Policy
  readonly problem: Trouble | undefined
  readonly onChange: (policy: Policy) => void
}

/** Which fields may leave over the connection, which only as a hash, whose consent is needed, and how many rows a run. */
export function PolicyFields({ value, problem, onChange }: Props) {
  const names = useFieldNames()
  const kind = typeof value.fields === 'string' ? value.fields : 'only'
  const rows = value.rowsPerRunMax
  return (
    <>
      <Field label={t('policy.fields')} validationMessage={isAt(problem, 'policy.fields') ? problem?.what : undefined}>
        <RadioGroup
          value={kind}
          onChange={(_, data) =>
            onChange({
              ...value,
              fields: data.value === 'only' ? { only: [] } : data.value === 'all' ? 'all' : 'not-personal',
            })
          }
        >
          <Radio value="all" label={t('policy.fields.all')} />
          <Radio value="not-personal" label={t('policy.fields.not-personal')} />
          <Radio value="only" label={t('policy.fields.list')} />
        </RadioGroup>
      </Field>
      {typeof value.fields === 'string' ? null : (
        <FieldNames
          label={t('policy.only')}
          names={names}
          chosen={value.fields.only}
          onChange={(only) => onChange({ ...value, fields: { only } })}
        />
      )}
      <FieldNames
        label={t('policy.hashed')}
        hint={t('policy.hashed.help')}
        names={names}
        chosen={value.hashed}
        onChange={(hashed) => onChange({ ...value, hashed })}
      />
      <FieldNames
        label={t('policy.consent')}
        hint={t('policy.consent.help')}
        names={names}
        chosen={value.consentField === undefined ? [] : [value.consentField]}
        single
        onChange={([field]) => {
          const { consentField: _before, ...others } = value
          onChange(field === undefined ? others : { ...others, consentField: field })
        }}
      />
      <Field label={t('policy.rows')} hint={t('policy.rows.help')}>
        <Input
          inputMode="numeric"
          value={rows === undefined ? '' : String(rows)}
          onChange={(_, { value: text }) => {
            const { rowsPerRunMax: _before, ...others } = value
            const count = Number(text.replaceAll(/\D/g, ''))
            onChange(count === 0 ? others : { ...others, rowsPerRunMax: count })
          }}
        />
      </Field>
    </>
  )
}

interface FieldNamesProps {
  readonly label: string
  readonly hint?: string
  readonly names: readonly string[]
  readonly chosen: readonly string[]
  readonly single?: boolean
  readonly onChange: (names: string[]) => void
}

/** Names of fields, chosen from those of the tables; those that no table has any more stay. */
function FieldNames({ label, hint, names, chosen, single = false, onChange }: FieldNamesProps) {
  const [typed, setTyped] = useState('')
  const all = [...new Set([...chosen, ...names])]
  const found = all.filter((name) => name.toLocaleLowerCase().includes(typed.toLocaleLowerCase()))
  const said = chosen.join(', ')
  return (
    <Field label={label} hint={hint}>
      <Combobox
        multiselect={!single}
        clearable={single}
        selectedOptions={[...chosen]}
        value={typed === '' ? said : typed}
        placeholder={t('field.choose')}
        onChange={(event) => setTyped(event.target.value.replace(said, ''))}
        onOpenChange={(_, { open }) => {
          if (!open) setTyped('')
        }}
        onOptionSelect={(_, { selectedOptions }) => {
          setTyped('')
          onChange(selectedOptions)
        }}
      >
        {found.length === 0 ? (
          <Option disabled value="" text="">
            {t('list.nothing')}
          </Option>
        ) : null}
        {found.map((name) => (
          <Option key={name} value={name}>
            {name}
          </Option>
        ))}
      </Combobox>
    </Field>
  )
}

function useFieldNames(): readonly string[] {
  const tables = useQuery(ask('tables', 'list', { query: { limit: 500 } }))
  const names = tables.data?.items.flatMap(({ fields }) => fields.map(({ name }) => name)) ?? []
  return [...new Set(names)].toSorted((a, b) => a.localeCompare(b))
}
