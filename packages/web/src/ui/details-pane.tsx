import {
  Button,
  DrawerBody,
  DrawerHeader,
  DrawerHeaderTitle,
  makeStyles,
  OverlayDrawer,
  tokens,
} from '@fluentui/react-components'
import { Dismiss20Regular } from '@fluentui/react-icons'
import { useEffect, useRef, type ReactNode } from 'react'
import { t } from '../messages/index.ts'
import { useWide } from './use-media.ts'

const useStyles = makeStyles({
  pane: {
    width: 'min(26rem, 40%)',
    flexShrink: 0,
    display: 'flex',
    flexDirection: 'column',
    minHeight: 0,
    backgroundColor: tokens.colorNeutralBackground1,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  head: {
    display: 'flex',
    alignItems: 'start',
    justifyContent: 'space-between',
    gap: tokens.spacingHorizontalS,
    padding: `${tokens.spacingVerticalM} ${tokens.spacingHorizontalL} 0`,
  },
  title: {
    margin: '4px 0 0',
    fontSize: tokens.fontSizeBase500,
    lineHeight: tokens.lineHeightBase500,
    fontWeight: tokens.fontWeightSemibold,
    overflowWrap: 'anywhere',
  },
  body: {
    overflow: 'auto',
    padding: `${tokens.spacingVerticalS} ${tokens.spacingHorizontalL} ${tokens.spacingVerticalL}`,
    display: 'flex',
    flexDirection: 'column',
    gap: tokens.spacingVerticalL,
    '> *': { flexShrink: 0 },
  },
})

interface Props {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
}

/** One row in full, beside the list where there is room, else over it. Escape closes it and goes back to the row. */
export function DetailsPane({ title, onClose, children }: Props) {
  const styles = useStyles()
  const isWide = useWide()
  if (!isWide)
    return (
      <OverlayDrawer open position="end" size="medium" onOpenChange={(_, { open }) => (open ? undefined : onClose())}>
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
          <div className={styles.body} style={{ padding: '8px 0 24px' }}>
            {children}
          </div>
        </DrawerBody>
      </OverlayDrawer>
    )
  return (
    <Beside title={title} onClose={onClose}>
      {children}
    </Beside>
  )
}

function Beside({ title, onClose, children }: Props) {
  const styles = useStyles()
  const pane = useRef<HTMLElement>(null)
  const cameFrom = useRef<Element | null>(null)
  useEffect(() => {
    cameFrom.current = document.activeElement
    return () => {
      if (cameFrom.current instanceof HTMLElement && cameFrom.current.isConnected) cameFrom.current.focus()
    }
  }, [])
  return (
    <section
      ref={pane}
      className={styles.pane}
      aria-label={title}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && !event.defaultPrevented) onClose()
      }}
    >
      <div className={styles.head}>
        <h2 className={styles.title}>{title}</h2>
        <Button appearance="subtle" icon={<Dismiss20Regular />} aria-label={t('action.close')} onClick={onClose} />
      </div>
      <div className={styles.body} tabIndex={0} role="group" aria-label={title}>
        {children}
      </div>
    </section>
  )
}
