import {
  Button,
  makeStyles,
  Menu,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
  tokens,
} from '@fluentui/react-components'
import { MoreHorizontal20Regular } from '@fluentui/react-icons'
import type { ReactElement, ReactNode } from 'react'
import { t } from '../messages/index.ts'
import { useNarrow } from './use-media.ts'

export interface Command {
  readonly key: string
  readonly label: string
  readonly icon?: ReactElement
  readonly primary?: boolean
  readonly disabled?: boolean
  readonly onClick: () => void
}

const useStyles = makeStyles({
  bar: {
    display: 'flex',
    alignItems: 'center',
    gap: tokens.spacingHorizontalXS,
    minHeight: '32px',
    flexWrap: 'wrap',
  },
  end: { marginInlineStart: 'auto', display: 'flex', alignItems: 'center', gap: tokens.spacingHorizontalS },
})

interface Props {
  readonly label: string
  readonly commands: readonly Command[]
  /** At the other end: how many are selected, and the like. */
  readonly end?: ReactNode
}

/** What can be done here. On a phone the first command stays, and the others go into a menu. */
export function CommandBar({ label, commands, end }: Props) {
  const styles = useStyles()
  const narrow = useNarrow()
  const shown = narrow ? commands.slice(0, 1) : commands
  const hidden = narrow ? commands.slice(1) : []
  return (
    <div className={styles.bar} role="group" aria-label={label}>
      {shown.map(({ key, label: text, icon, primary = false, disabled = false, onClick }) => (
        <Button key={key} appearance={primary ? 'primary' : 'subtle'} disabled={disabled} onClick={onClick} icon={icon}>
          {text}
        </Button>
      ))}
      {hidden.length === 0 ? null : <CommandMenu label={t('action.more')} commands={hidden} />}
      {end === undefined ? null : <div className={styles.end}>{end}</div>}
    </div>
  )
}

/** The same commands behind “…”, as in a row of a list. */
export function CommandMenu({
  label,
  commands,
  tabIndex,
}: Pick<Props, 'label' | 'commands'> & { readonly tabIndex?: number }) {
  return (
    <Menu>
      <MenuTrigger disableButtonEnhancement>
        <Button appearance="subtle" icon={<MoreHorizontal20Regular />} aria-label={label} tabIndex={tabIndex} />
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          {commands.map(({ key, label: text, icon, disabled = false, onClick }) => (
            <MenuItem key={key} disabled={disabled} onClick={onClick} icon={icon}>
              {text}
            </MenuItem>
          ))}
        </MenuList>
      </MenuPopover>
    </Menu>
  )
}
