import { Button, makeStyles, Text, tokens } from '@fluentui/react-components'
import { useEffect, type ReactNode } from 'react'

const useStyles = makeStyles({
  page: {
    minHeight: '100dvh',
    boxSizing: 'border-box',
    display: 'grid',
    placeItems: 'center',
    padding: tokens.spacingHorizontalL,
    backgroundColor: tokens.colorNeutralBackground2,
  },
  box: {
    width: 'min(24rem, 100%)',
    boxSizing: 'border-box',
    display: 'flex',
    flexDirection: 'column',
    gap: tokens.spacingVerticalL,
    padding: `${tokens.spacingVerticalXXL} ${tokens.spacingHorizontalXXL}`,
    backgroundColor: tokens.colorNeutralBackground1,
    borderRadius: tokens.borderRadiusXLarge,
    boxShadow: tokens.shadow8,
  },
  brand: { display: 'flex', alignItems: 'center', gap: tokens.spacingHorizontalS, fontWeight: 600 },
  title: { margin: 0, fontSize: tokens.fontSizeBase600, lineHeight: tokens.lineHeightBase600 },
  detail: { color: tokens.colorNeutralForeground2 },
  form: { display: 'flex', flexDirection: 'column', gap: tokens.spacingVerticalM },
})

interface Props {
  readonly title: string
  readonly detail: string
  readonly action?: string
  readonly busy?: boolean
  readonly onSubmit?: () => void
  readonly children?: ReactNode
}

/** What stands before the door: one question, one button. */
export function Door({ title, detail, action, busy = false, onSubmit, children }: Props) {
  const styles = useStyles()
  useEffect(() => {
    document.title = `${title} · Patchbay`
  }, [title])
  return (
    <main className={styles.page}>
      <div className={styles.box}>
        <div className={styles.brand}>
          <img src="/icon.svg" alt="" width={28} height={28} />
          Patchbay
        </div>
        <h1 className={styles.title}>{title}</h1>
        <Text className={styles.detail}>{detail}</Text>
        <form
          className={styles.form}
          noValidate
          onSubmit={(event) => {
            event.preventDefault()
            if (!busy) onSubmit?.()
          }}
        >
          {children}
          {action === undefined ? null : (
            <Button type="submit" appearance="primary" size="large" disabledFocusable={busy}>
              {action}
            </Button>
          )}
        </form>
      </div>
    </main>
  )
}
