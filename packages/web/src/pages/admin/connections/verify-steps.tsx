import { Button, makeStyles, Spinner, Text, tokens } from '@fluentui/react-components'
import { CheckmarkCircle20Filled, DismissCircle20Filled, ShieldQuestion20Regular } from '@fluentui/react-icons'
import type { Checked, CheckStep } from '@patchbay/contract'
import { t } from '../../../messages/index.ts'

const useStyles = makeStyles({
  steps: {
    listStyleType: 'none',
    margin: 0,
    padding: 0,
    display: 'flex',
    flexDirection: 'column',
    gap: tokens.spacingVerticalS,
  },
  step: { display: 'flex', gap: tokens.spacingHorizontalS, alignItems: 'start' },
  words: { display: 'flex', flexDirection: 'column', minWidth: 0, overflowWrap: 'anywhere' },
  good: { color: tokens.colorStatusSuccessForeground1, flexShrink: 0 },
  bad: { color: tokens.colorStatusDangerForeground1, flexShrink: 0 },
  message: { color: tokens.colorNeutralForeground2 },
  trust: {
    display: 'flex',
    flexDirection: 'column',
    gap: tokens.spacingVerticalS,
    padding: tokens.spacingHorizontalM,
    borderRadius: tokens.borderRadiusLarge,
    border: `1px solid ${tokens.colorStatusWarningBorder1}`,
    backgroundColor: tokens.colorStatusWarningBackground1,
    color: tokens.colorNeutralForeground1,
  },
  print: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, overflowWrap: 'anywhere' },
})

interface Props {
  readonly checked: Checked | undefined
  readonly busy: boolean
  /** What a failing step shows of the far end may be trusted here. */
  readonly onTrust?: (pin: NonNullable<CheckStep['pin']>) => void
}

/** The steps of a check as they went, read out as they appear; the one that failed says why. */
export function VerifySteps({ checked, busy, onTrust }: Props) {
  const styles = useStyles()
  return (
    <div aria-live="polite">
      {busy ? <Spinner size="tiny" labelPosition="after" label={t('verify.busy')} /> : null}
      {busy || checked === undefined ? null : (
        <ol className={styles.steps}>
          {checked.steps.map((step) => (
            <li key={step.step} className={styles.step}>
              {step.ok ? (
                <CheckmarkCircle20Filled className={styles.good} aria-label={t('verify.ok')} />
              ) : step.pin === undefined ? (
                <DismissCircle20Filled className={styles.bad} aria-label={t('verify.failed')} />
              ) : (
                <ShieldQuestion20Regular className={styles.bad} aria-label={t('verify.trust')} />
              )}
              <div className={styles.words}>
                <Text weight={step.ok ? 'regular' : 'semibold'}>{t(`verify.step.${step.step}`)}</Text>
                <Text size={200} className={styles.message}>
                  {step.ok ? step.detail : step.message}
                </Text>
                {step.ok || step.pin === undefined ? null : <Trust pin={step.pin} onTrust={onTrust} />}
              </div>
            </li>
          ))}
        </ol>
      )}
    </div>
  )
}

function Trust({ pin, onTrust }: { readonly pin: NonNullable<CheckStep['pin']> } & Pick<Props, 'onTrust'>) {
  const styles = useStyles()
  return (
    <div className={styles.trust}>
      <Text weight="semibold">{t('verify.trust')}</Text>
      <code className={styles.print}>{pin.value}</code>
      <Text size={200}>{t('verify.trust.detail')}</Text>
      {onTrust === undefined ? null : (
        <div>
          <Button appearance="primary" onClick={() => onTrust(pin)}>
            {t('verify.trust.action')}
          </Button>
        </div>
      )}
    </div>
  )
}
