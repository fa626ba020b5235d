import { Breadcrumb, BreadcrumbDivider, BreadcrumbItem, makeStyles, tokens } from '@fluentui/react-components'
import { Link, useMatches } from '@tanstack/react-router'
import { Fragment, useEffect, type ReactNode } from 'react'
import { t } from '../messages/index.ts'
import type { PageData } from './page-route.ts'

const useStyles = makeStyles({
  head: { display: 'flex', alignItems: 'center', gap: tokens.spacingHorizontalM, flexWrap: 'wrap' },
  title: {
    margin: 0,
    fontSize: tokens.fontSizeBase600,
    lineHeight: tokens.lineHeightBase600,
    fontWeight: tokens.fontWeightSemibold,
    overflowWrap: 'anywhere',
  },
  link: { color: tokens.colorNeutralForeground2, ':hover': { color: tokens.colorBrandForegroundLink } },
  crumbs: { fontSize: tokens.fontSizeBase200 },
})

interface Props {
  /** Of a page about one thing: its name. */
  readonly name?: string | undefined
  /** Beside the heading, as a status. */
  readonly beside?: ReactNode
}

/** Breadcrumbs and heading of every page, and the window's title. */
export function PageHead({ name, beside }: Props) {
  const styles = useStyles()
  const page = usePage()
  const title = name ?? (page === undefined ? 'Patchbay' : t(page.title))
  const above = page?.above ?? []
  useEffect(() => {
    document.title = [title, ...above.toReversed().map((part) => t(part.title)), 'Patchbay'].join(' · ')
  })
  return (
    <div>
      {above.length === 0 ? null : (
        <Breadcrumb size="small" className={styles.crumbs} aria-label={t('nav.breadcrumbs')}>
          {above.map((part) => (
            <Fragment key={part.title}>
              <BreadcrumbItem>
                {part.to === undefined ? (
                  <span>{t(part.title)}</span>
                ) : (
                  <Link to={part.to} className={styles.link}>
                    {t(part.title)}
                  </Link>
                )}
              </BreadcrumbItem>
              <BreadcrumbDivider />
            </Fragment>
          ))}
          <BreadcrumbItem>
            <span aria-current="page">{title}</span>
          </BreadcrumbItem>
        </Breadcrumb>
      )}
      <div className={styles.head}>
        <h1 className={styles.title}>{title}</h1>
        {beside}
      </div>
    </div>
  )
}

export function usePage(): PageData | undefined {
  return useMatches({
    select: (matches) => matches.findLast((match) => match.staticData.page !== undefined)?.staticData.page,
  })
}
