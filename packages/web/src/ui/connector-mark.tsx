import { makeStyles, mergeClasses, tokens } from '@fluentui/react-components'
import {
  DatabaseRegular,
  FolderRegular,
  KeyRegular,
  MailRegular,
  MegaphoneRegular,
  PeopleRegular,
  SendRegular,
} from '@fluentui/react-icons'
import type { Connector } from '@patchbay/contract'

const ICON = {
  files: FolderRegular,
  database: DatabaseRegular,
  messaging: SendRegular,
  mail: MailRegular,
  advertising: MegaphoneRegular,
  crm: PeopleRegular,
  'key-vault': KeyRegular,
} as const

const useStyles = makeStyles({
  mark: {
    display: 'inline-grid',
    placeItems: 'center',
    flexShrink: 0,
    width: '40px',
    height: '40px',
    fontSize: '22px',
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorBrandBackground2,
    color: tokens.colorBrandForeground2,
  },
  small: { width: '24px', height: '24px', fontSize: '16px', borderRadius: tokens.borderRadiusMedium },
})

/** A picture for what kind of service it is. */
export function ConnectorMark({
  category,
  small = false,
}: {
  readonly category: Connector['category']
  readonly small?: boolean
}) {
  const styles = useStyles()
  const Icon = ICON[category]
  return (
    <span className={mergeClasses(styles.mark, small && styles.small)} aria-hidden>
      <Icon />
    </span>
  )
}
