import { Button, Field, Input, makeStyles, MessageBar, MessageBarBody, tokens } from '@fluentui/react-components'
import type { Connection, Connector, ConnectorField } from '@patchbay/contract'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { isAt, troubleOf, versionsOf } from '../../../api/problem.ts'
import { t, type MessageKey } from '../../../messages/index.ts'
import { ConflictDialog } from '../../../ui/conflict-dialog.tsx'
import { fieldProblems } from '../../../ui/field-values.ts'
import { FieldsForm } from '../../../ui/fields-form.tsx'
import { useUrlState } from '../../../ui/list-state.ts'
import { SetUpPane } from '../../../ui/set-up-pane.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'
import { checkedPart, firstDraft, isMoved, type Draft } from './connection-draft.ts'
import { EffectNote } from './effect-note.tsx'
import { PolicyFields } from './policy-fields.tsx'
import { SharingChoice } from './sharing-choice.tsx'
import { useCheckDraft } from './use-check-draft.ts'
import { useSaveConnection } from './use-save-connection.ts'
import { VerifySteps } from './verify-steps.tsx'

const useStyles = makeStyles({
  part: { display: 'flex', flexDirection: 'column', gap: tokens.spacingVerticalM },
  title: { margin: 0, fontSize: tokens.fontSizeBase400, fontWeight: tokens.fontWeightSemibold },
})

interface Props {
  readonly connector: Connector
  readonly stored: Connection | undefined
  readonly close: () => void
}

/** Filled in from top to bottom; Save is there when what says where, as whom and how was verified as it stands. */
export function ConnectionForm({ connector, stored, close }: Props) {
  const url = useUrlState()
  const first = useRef(firstDraft(connector, stored))
  const [draft, setDraft] = useState(first.current)
  const [showsProblems, setShowsProblems] = useState(false)
  const moved = isMoved(connector, draft, stored)
  const isStored = (secret: string) => !moved && (stored?.secretsSet.includes(secret) ?? false)
  const check = useCheckDraft(connector, stored, moved)
  const save = useSaveConnection(connector, stored)
  const unsaved = JSON.stringify(draft) !== JSON.stringify(first.current) && !save.isSuccess

  const isUnchanged = stored !== undefined && checkedPart(connector, draft) === checkedPart(connector, first.current)
  const isVerified = check.isGood(draft)
  const signsInLater = usesOauth(connector, draft)
  const missing = fieldProblems(connector.settings, draft.values, isStored)
  const nameMissing = draft.name.trim() === ''
  const maySave = !nameMissing && Object.keys(missing).length === 0 && (isUnchanged || isVerified || signsInLater)
  const problems = { ...(showsProblems ? missing : {}), ...check.problemsOf(draft), ...problemsAt(save.error) }

  useEffect(() => {
    if (save.isSuccess) close()
  }, [save.isSuccess, close])
  const verify = (next: Draft = draft) => {
    setShowsProblems(true)
    if (Object.keys(missing).length === 0) check.start(next)
  }
  const versions = versionsOf(save.error)
  return (
    <SetUpPane
      title={t(stored === undefined ? 'set-up.title.new' : 'set-up.title.edit', {
        name: stored?.name ?? connector.name,
      })}
      unsaved={unsaved}
      onClose={close}
      onSubmit={() => (maySave ? save.mutate({ draft }) : verify())}
      footer={
        <>
          <Button type="submit" appearance="primary" disabled={!maySave || save.isPending}>
            {t('action.save')}
          </Button>
          <Button onClick={close}>{t('action.cancel')}</Button>
        </>
      }
    >
      {save.error === null || versions !== undefined ? null : <TroubleNote error={save.error} />}
      <Part title="set-up.part.name">
        <Field
          label={t('set-up.name')}
          hint={t('set-up.name.help')}
          required
          validationMessage={
            isAt(save.trouble, 'name')
              ? save.trouble?.what
              : showsProblems && nameMissing
                ? t('field.missing')
                : undefined
          }
        >
          <Input
            autoFocus={url.values['at'] === undefined}
            value={draft.name}
            maxLength={100}
            onChange={(_, { value }) => setDraft({ ...draft, name: value })}
          />
        </Field>
      </Part>
      <Part title="set-up.part.where">
        {moved && (stored?.secretsSet.length ?? 0) > 0 ? (
          <MessageBar intent="warning" layout="multiline">
            <MessageBarBody>{t('set-up.moved')}</MessageBarBody>
          </MessageBar>
        ) : null}
        <FieldsForm
          fields={connector.settings}
          values={draft.values}
          onChange={(values) => setDraft({ ...draft, values })}
          problems={problems}
          isStored={isStored}
          renderPin={(field) => (
            <PinField key={field.name} field={field} value={moved ? undefined : draft.pins[field.name]} />
          )}
        />
      </Part>
      <Part title="set-up.part.verify">
        {signsInLater ? <span>{t('set-up.oauth')}</span> : null}
        <VerifySteps
          checked={check.resultOf(draft)}
          busy={check.isBusy}
          onTrust={(pin) => {
            const next = { ...draft, pins: { ...draft.pins, [pin.field]: pin.value } }
            setDraft(next)
            verify(next)
          }}
        />
        <TroubleNote error={check.errorOf(draft)} />
        <div>
          <Button disabledFocusable={check.isBusy} onClick={() => verify()}>
            {t('connections.verify')}
          </Button>
        </div>
      </Part>
      <Part title="set-up.part.sharing">
        <SharingChoice
          value={draft.sharing}
          autoFocus={url.values['at'] === 'sharing'}
          onChange={(sharing) => setDraft({ ...draft, sharing })}
        />
      </Part>
      <Part title="set-up.part.policy">
        <PolicyFields
          value={draft.policy}
          problem={save.trouble}
          onChange={(policy) => setDraft({ ...draft, policy })}
        />
      </Part>
      {stored === undefined ? null : <EffectNote stored={stored} sharing={draft.sharing} policy={draft.policy} />}
      {versions === undefined ? null : (
        <ConflictDialog
          versions={versions}
          labelOf={(part) => partLabel(part)}
          onTheirs={() => void save.takeTheirs(close)}
          onYours={(revision) => save.mutate({ draft, revision })}
          onClose={() => save.reset()}
        />
      )}
    </SetUpPane>
  )
}

function Part({ title, children }: { readonly title: MessageKey; readonly children: ReactNode }) {
  const styles = useStyles()
  return (
    <section className={styles.part}>
      <h3 className={styles.title}>{t(title)}</h3>
      {children}
    </section>
  )
}

/** What is trusted of the far end; it is shown by Verify and is never typed. */
function PinField({ field, value }: { readonly field: ConnectorField; readonly value: string | undefined }) {
  return (
    <Field label={field.label} hint={field.help}>
      <Input readOnly value={value ?? ''} placeholder={t('field.pin.none')} />
    </Field>
  )
}

/** Signs in as somebody, which needs a connection that is stored: it is verified afterwards. */
function usesOauth({ signIns }: Connector, { values }: Draft): boolean {
  return signIns.some(
    ({ type, chosenBy }) => type === 'oauth2' && (chosenBy === null || values[chosenBy.field] === chosenBy.is),
  )
}

/** The server's refusal at the field that it is about. */
function problemsAt(error: unknown): Readonly<Record<string, string>> {
  if (error === null || error === undefined) return {}
  const { path, what } = troubleOf(error)
  const [, field] = /^(?:settings|secrets)\.([\w-]+)/.exec(path) ?? []
  return field === undefined ? {} : { [field]: what }
}

const PARTS = ['name', 'settings', 'sharing', 'policy'] as const

function partLabel(part: string): string {
  const known = PARTS.find((each) => each === part)
  return known === undefined ? part : t(`set-up.conflict.${known}`)
}
