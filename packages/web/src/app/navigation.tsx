import { makeStyles, mergeClasses, tokens } from '@fluentui/react-components'
import {
  ArrowExportLtr20Regular,
  DataPie20Regular,
  Home20Regular,
  PeopleLock20Regular,
  PlugConnected20Regular,
  Settings20Regular,
  Table20Regular,
} from '@fluentui/react-icons'
import type { Permission } from '@patchbay/contract'
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { t, type MessageKey } from '../messages/index.ts'
import { useMay } from './session.ts'

interface Place {
  readonly to: string
  readonly title: MessageKey
  readonly icon: ReactElement
  readonly permission?: Permission
}
interface Area {
  readonly title?: MessageKey
  readonly places: readonly Place[]
}

const AREAS: readonly Area[] = [
  { places: [{ to: '/', title: 'nav.home', icon: <Home20Regular /> }] },
  {
    title: 'nav.data',
    places: [
      { to: '/data/exports', title: 'nav.exports', icon: <ArrowExportLtr20Regular />, permission: 'export.read' },
      { to: '/data/tables', title: 'nav.tables', icon: <Table20Regular />, permission: 'table.read' },
      { to: '/data/segments', title: 'nav.segments', icon: <DataPie20Regular />, permission: 'segment.read' },
    ],
  },
  {
    title: 'nav.admin',
    places: [
      {
        to: '/admin/connections',
        title: 'nav.connections',
        icon: <PlugConnected20Regular />,
        permission: 'connection.read',
      },
      { to: '/admin/permissions', title: 'nav.permissions', icon: <PeopleLock20Regular />, permission: 'key.read' },
      { to: '/admin/system', title: 'nav.system', icon: <Settings20Regular />, permission: 'system.read' },
    ],
  },
]

const useStyles = makeStyles({
  nav: { display: 'flex', flexDirection: 'column', gap: tokens.spacingVerticalL, padding: tokens.spacingHorizontalS },
  title: {
    margin: 0,
    padding: `${tokens.spacingVerticalXS} ${tokens.spacingHorizontalM}`,
    fontSize: tokens.fontSizeBase200,
    fontWeight: tokens.fontWeightSemibold,
    color: tokens.colorNeutralForeground3,
  },
  list: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column', gap: '2px' },
  link: {
    display: 'flex',
    alignItems: 'center',
    gap: tokens.spacingHorizontalM,
    minHeight: '36px',
    padding: `0 ${tokens.spacingHorizontalM}`,
    borderRadius: tokens.borderRadiusMedium,
    color: tokens.colorNeutralForeground1,
    textDecorationLine: 'none',
    position: 'relative',
    ':hover': { backgroundColor: tokens.colorSubtleBackgroundHover },
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  here: {
    fontWeight: tokens.fontWeightSemibold,
    backgroundColor: tokens.colorSubtleBackgroundSelected,
    '::before': {
      content: '""',
      position: 'absolute',
      insetInlineStart: 0,
      top: '8px',
      bottom: '8px',
      width: '3px',
      borderRadius: tokens.borderRadiusCircular,
      backgroundColor: tokens.colorCompoundBrandBackground,
    },
  },
})

/** Only what this person may see; an area with nothing in it is not there. */
export function Navigation({ onGo }: { readonly onGo?: () => void }) {
  const styles = useStyles()
  const may = useMay()
  return (
    <nav className={styles.nav} aria-label={t('nav.label')}>
      {AREAS.map(({ title, places }) => {
        const open = places.filter(({ permission }) => permission === undefined || may(permission))
        if (open.length === 0) return null
        return (
          <div key={title ?? 'top'}>
            {title === undefined ? null : <h2 className={styles.title}>{t(title)}</h2>}
            <ul className={styles.list}>
              {open.map(({ to, title: text, icon }) => (
                <li key={to}>
                  <Link
                    to={to}
                    className={styles.link}
                    activeOptions={{ exact: to === '/', includeSearch: false }}
                    activeProps={{ className: mergeClasses(styles.link, styles.here), 'aria-current': 'page' }}
                    onClick={onGo}
                  >
                    {icon}
                    {t(text)}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        )
      })}
    </nav>
  )
}
