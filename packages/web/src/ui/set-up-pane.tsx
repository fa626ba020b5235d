import {
  Button,
  DrawerBody,
  DrawerFooter,
  DrawerHeader,
  DrawerHeaderTitle,
  makeStyles,
  OverlayDrawer,
  tokens,
} from '@fluentui/react-components'
import { Dismiss20Regular } from '@fluentui/react-icons'
import { useBlocker } from '@tanstack/react-router'
import type { FormEvent, ReactNode } from 'react'
import { t } from '../messages/index.ts'
import { ConfirmDialog } from './confirm-dialog.tsx'

const useStyles = makeStyles({
  pane: { width: 'min(40rem, 100vw)', maxWidth: '100vw' },
  form: { display: 'flex', flexDirection: 'column', minHeight: 0, height: '100%' },
  body: {
    display: 'flex',
    flexDirection: 'column',
    gap: tokens.spacingVerticalXL,
    paddingBlock: `${tokens.spacingVerticalM} ${tokens.spacingVerticalXXL}`,
  },
  footer: { flexWrap: 'wrap', borderTop: `1px solid ${tokens.colorNeutralStroke2}` },
})

interface Props {
  readonly title: string
  /** Something was changed and is not saved: leaving asks. */
  readonly unsaved: boolean
  /** Goes to an address without this pane. The pane is opened by the address too, so leaving it by any way is a step. */
  readonly onClose: () => void
  /** Enter in a field, and the button of type `submit` in the footer. */
  readonly onSubmit: () => void
  /** The buttons, the main one first. */
  readonly footer: ReactNode
  readonly children: ReactNode
}

/**
 * Slides in from the right over the page that it belongs to. The focus goes in, stays in, and goes back to where it came
 * from. Escape, the cross, Back, a link and closing the window all ask before anything that was typed is lost.
 */
export function SetUpPane({ title, unsaved, onClose, onSubmit, footer, children }: Props) {
  const styles = useStyles()
  const blocker = useBlocker({
    shouldBlockFn: () => unsaved,
    enableBeforeUnload: () => unsaved,
    withResolver: true,
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onSubmit()
  }
  return (
    <OverlayDrawer
      open
      position="end"
      className={styles.pane}
      onOpenChange={(_, { open }) => {
        if (!open) onClose()
      }}
    >
      <form className={styles.form} onSubmit={submit} noValidate>
        <DrawerHeader>
          <DrawerHeaderTitle
            heading={{ as: 'h2' }}
            action={
              <Button
                appearance="subtle"
                icon={<Dismiss20Regular />}
                aria-label={t('action.close')}
                onClick={onClose}
              />
            }
          >
            {title}
          </DrawerHeaderTitle>
        </DrawerHeader>
        <DrawerBody>
          <div className={styles.body}>{children}</div>
        </DrawerBody>
        <DrawerFooter className={styles.footer}>{footer}</DrawerFooter>
      </form>
      {blocker.status === 'blocked' ? (
        <ConfirmDialog
          title={t('pane.unsaved')}
          action={t('pane.unsaved.leave')}
          cancel={t('pane.unsaved.stay')}
          onConfirm={() => blocker.proceed()}
          onClose={() => blocker.reset()}
        >
          {t('pane.unsaved.detail', { title })}
        </ConfirmDialog>
      ) : null}
    </OverlayDrawer>
  )
}
