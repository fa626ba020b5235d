import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
} from '@fluentui/react-components'
import type { ReactNode } from 'react'
import { t } from '../messages/index.ts'
import { TroubleNote } from './trouble-note.tsx'

interface Props {
  readonly title: string
  /** What will happen and what is lost, by name. */
  readonly children: ReactNode
  /** The deed itself, never “OK”. */
  readonly action: string
  readonly cancel?: string
  readonly busy?: boolean
  readonly error?: unknown
  readonly onConfirm: () => void
  readonly onClose: () => void
}

/** Asks once, by name. The focus begins on Cancel, so that Enter does no harm. */
export function ConfirmDialog({ title, children, action, cancel, busy = false, error, onConfirm, onClose }: Props) {
  return (
    <Dialog open modalType="alert" onOpenChange={(_, { open }) => (open ? undefined : onClose())}>
      <DialogSurface>
        <DialogBody>
          <DialogTitle>{title}</DialogTitle>
          <DialogContent>
            {children}
            <TroubleNote error={error} />
          </DialogContent>
          <DialogActions>
            <Button autoFocus onClick={onClose}>
              {cancel ?? t('action.cancel')}
            </Button>
            <Button appearance="primary" disabledFocusable={busy} onClick={busy ? undefined : onConfirm}>
              {action}
            </Button>
          </DialogActions>
        </DialogBody>
      </DialogSurface>
    </Dialog>
  )
}
