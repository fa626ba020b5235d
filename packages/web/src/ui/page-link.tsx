import { makeStyles, tokens } from '@fluentui/react-components'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { SearchValues } from './list-state.ts'

const useStyles = makeStyles({
  link: {
    color: tokens.colorBrandForegroundLink,
    textDecorationLine: 'none',
    borderRadius: tokens.borderRadiusSmall,
    ':hover': { color: tokens.colorBrandForegroundLinkHover, textDecorationLine: 'underline' },
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
})

interface Props {
  readonly to: string
  readonly search?: SearchValues
  readonly children: ReactNode
}

/** A link to a page, by its address. */
export function PageLink({ to, search = {}, children }: Props) {
  const styles = useStyles()
  return (
    <Link to={to} search={search} className={styles.link}>
      {children}
    </Link>
  )
}
