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
import { Outlet, useLocation } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { onSignedOut } from '../api/client.ts'
import { useLiveChanges } from '../api/live.ts'
import { t } from '../messages/index.ts'
import { ToastPlace } from '../ui/toasts.tsx'
import { useMedia } from '../ui/use-media.ts'
import { Header } from './header.tsx'
import { Navigation } from './navigation.tsx'
import { usePage } from './page-head.tsx'
import { NotAllowed } from './page-trouble.tsx'
import { useMay } from './session.ts'

const useStyles = makeStyles({
  shell: {
    height: '100dvh',
    display: 'flex',
    flexDirection: 'column',
    backgroundColor: tokens.colorNeutralBackground2,
    color: tokens.colorNeutralForeground1,
  },
  skip: {
    position: 'absolute',
    insetInlineStart: '-9999px',
    ':focus': {
      insetInlineStart: '8px',
      top: '8px',
      zIndex: 10,
      padding: '8px 12px',
      backgroundColor: tokens.colorNeutralBackground1,
      color: tokens.colorNeutralForeground1,
    },
  },
  body: { display: 'flex', flexGrow: 1, minHeight: 0 },
  side: {
    width: '216px',
    flexShrink: 0,
    overflow: 'auto',
    borderRight: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  main: {
    flexGrow: 1,
    minWidth: 0,
    overflow: 'auto',
    display: 'flex',
    flexDirection: 'column',
    gap: tokens.spacingVerticalM,
    padding: `${tokens.spacingVerticalL} ${tokens.spacingHorizontalXXL}`,
    '@media (max-width: 719px)': { padding: `${tokens.spacingVerticalM} ${tokens.spacingHorizontalM}` },
  },
})

/** Header, navigation and the page. After a step to another page the focus is on the page, and its title is read out. */
export function Shell() {
  const styles = useStyles()
  const hasSide = useMedia('(min-width: 900px)')
  const [isOpen, setOpen] = useState(false)
  const main = useFocusAfterStep()
  useLiveChanges()
  useSignInAgain()
  const page = usePage()
  const may = useMay()
  const isAllowed = page?.permission === undefined || may(page.permission)
  return (
    <div className={styles.shell}>
      <a href="#main" className={styles.skip}>
        {t('nav.skip')}
      </a>
      <Header onMenu={hasSide ? undefined : () => setOpen(true)} />
      <div className={styles.body}>
        {hasSide ? (
          <div className={styles.side}>
            <Navigation />
          </div>
        ) : (
          <OverlayDrawer open={isOpen} position="start" size="small" onOpenChange={(_, { open }) => setOpen(open)}>
            <DrawerHeader>
              <DrawerHeaderTitle
                action={
                  <Button
                    appearance="subtle"
                    icon={<Dismiss20Regular />}
                    aria-label={t('action.close')}
                    onClick={() => setOpen(false)}
                  />
                }
              >
                Patchbay
              </DrawerHeaderTitle>
            </DrawerHeader>
            <DrawerBody>
              <Navigation onGo={() => setOpen(false)} />
            </DrawerBody>
          </OverlayDrawer>
        )}
        <main id="main" className={styles.main} tabIndex={-1} ref={main}>
          {isAllowed ? <Outlet /> : <NotAllowed />}
        </main>
      </div>
      <ToastPlace />
    </div>
  )
}

/** The session ended, here or in another tab: to the door, and back here afterwards. */
function useSignInAgain(): void {
  const { href } = useLocation()
  useEffect(
    () => onSignedOut(() => location.assign(`/sign-in?${new URLSearchParams({ from: href }).toString()}`)),
    [href],
  )
}

function useFocusAfterStep() {
  const main = useRef<HTMLElement>(null)
  const { pathname } = useLocation()
  const before = useRef(pathname)
  useEffect(() => {
    if (before.current === pathname) return
    before.current = pathname
    main.current?.focus()
  }, [pathname])
  return main
}
