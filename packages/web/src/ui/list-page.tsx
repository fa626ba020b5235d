/** A list as all pages show it: what it is, what can be done, what is looked for, the rows, and one of them in detail. */
import {
  Button,
  makeStyles,
  Menu,
  MenuItemCheckbox,
  MenuList,
  MenuPopover,
  MenuTrigger,
  SearchBox,
  Select,
  Text,
  tokens,
} from '@fluentui/react-components'
import { ColumnTriple20Regular } from '@fluentui/react-icons'
import { useEffect, useId, useMemo, useRef, useState, type ReactNode } from 'react'
import { t } from '../messages/index.ts'
import { CommandBar, type Command } from './command-bar.tsx'
import { DataTable, type Column } from './data-table.tsx'
import { parseSort, useUrlState, type Sort } from './list-state.ts'
import { TroubleNote } from './trouble-note.tsx'
import { useNarrow } from './use-media.ts'

export interface Filter {
  /** Its name in the address. */
  readonly key: string
  readonly label: string
  readonly choices: readonly { readonly value: string; readonly label: string }[]
}

interface Props<Row> {
  /** For screen readers: what the rows are. */
  readonly label: string
  readonly rows: readonly Row[]
  readonly columns: readonly Column<Row>[]
  readonly idOf: (row: Row) => string
  readonly nameOf: (row: Row) => string
  readonly commands: readonly Command[]
  readonly commandsOf?: (row: Row) => readonly Command[]
  readonly filters?: readonly Filter[]
  /** As in the address: `name`, `-created`. */
  readonly firstSort: string
  /** The server has searched, filtered and ordered; otherwise the page does, over all rows. */
  readonly byServer?: boolean
  readonly searchable?: boolean
  readonly matches?: (row: Row, search: string) => boolean
  readonly fits?: (row: Row, filter: string, value: string) => boolean
  readonly onSelect?: (selected: ReadonlySet<string>) => void
  readonly selected?: ReadonlySet<string>
  readonly loading: boolean
  readonly error?: unknown
  readonly onRetry?: () => void
  readonly onEnd?: (() => void) | undefined
  readonly hasMore?: boolean
  /** In place of the table where there is nothing at all. */
  readonly empty: ReactNode
  /** The name in the address of the row that is open. */
  readonly openAs?: string
  readonly details?: (row: Row) => ReactNode
  /** Instead of details beside the list: a page of its own. */
  readonly onOpen?: (row: Row) => void
}

const useStyles = makeStyles({
  page: { display: 'flex', flexDirection: 'column', gap: tokens.spacingVerticalM, flexGrow: 1, minHeight: 0 },
  tools: { display: 'flex', flexWrap: 'wrap', alignItems: 'end', gap: tokens.spacingHorizontalM },
  search: { flexGrow: 1, maxWidth: '22rem', minWidth: '10rem' },
  filter: { display: 'flex', flexDirection: 'column', gap: '2px', minWidth: '8rem' },
  filterLabel: { color: tokens.colorNeutralForeground2 },
  count: { marginInlineStart: 'auto', color: tokens.colorNeutralForeground3, paddingBottom: '8px' },
  body: { display: 'flex', flexGrow: 1, minHeight: 0, gap: tokens.spacingHorizontalL },
  nothing: { padding: tokens.spacingVerticalXXL, textAlign: 'center', color: tokens.colorNeutralForeground2 },
})

export function ListPage<Row>(props: Props<Row>) {
  const { rows, columns, commands, filters = [], loading, error, onRetry, empty, openAs = 'open', selected } = props
  const styles = useStyles()
  const url = useUrlState()
  const narrow = useNarrow()
  const sort = parseSort(url.values['sort'] ?? props.firstSort)
  const chosen = url.values['columns']?.split(',')
  const visible = columns.filter(({ key, optional = false, onPhone = false }, place) =>
    narrow ? place === 0 || onPhone : place === 0 || (chosen === undefined ? !optional : chosen.includes(key)),
  )
  const shown = useShown(props, sort)
  const asked = filters.some(({ key }) => url.values[key] !== undefined) || url.values['q'] !== undefined
  const open =
    shown.find((row) => props.idOf(row) === url.values[openAs]) ??
    rows.find((row) => props.idOf(row) === url.values[openAs])

  if (error !== null && error !== undefined && rows.length === 0) return <TroubleNote error={error} onRetry={onRetry} />
  if (!loading && rows.length === 0 && !asked) return empty
  return (
    <div className={styles.page}>
      {commands.length === 0 ? null : (
        <CommandBar
          label={props.label}
          commands={commands}
          end={
            selected !== undefined && selected.size > 0 ? (
              <Text size={200}>{t('list.selected', { count: selected.size })}</Text>
            ) : undefined
          }
        />
      )}
      <div className={styles.tools}>
        {props.searchable === false ? null : <Search />}
        {filters.map((filter) => (
          <FilterChoice key={filter.key} filter={filter} />
        ))}
        {narrow ? null : <ColumnChoice columns={columns} visible={visible.map(({ key }) => key)} />}
        <Text size={200} className={styles.count} role="status">
          {loading
            ? t('list.loading')
            : props.hasMore === true
              ? t('list.count.more', { count: shown.length })
              : t('list.count', { count: shown.length })}
        </Text>
      </div>
      <TroubleNote error={error} onRetry={onRetry} />
      <div className={styles.body}>
        {!loading && shown.length === 0 ? (
          <div className={styles.nothing} style={{ flexGrow: 1 }}>
            <Text as="p" weight="semibold">
              {t('list.nothing')}
            </Text>
            <Text as="p">{t('list.nothing.detail')}</Text>
            <Button
              onClick={() =>
                url.set(Object.fromEntries(['q', ...filters.map(({ key }) => key)].map((key) => [key, undefined])))
              }
            >
              {t('list.clear')}
            </Button>
          </div>
        ) : (
          <DataTable
            label={props.label}
            rows={shown}
            columns={visible}
            idOf={props.idOf}
            nameOf={props.nameOf}
            sort={sort}
            onSort={({ by, descending }) => url.set({ sort: descending ? `-${by}` : by }, { replace: true })}
            loading={loading}
            onEnd={props.onEnd}
            openId={url.values[openAs]}
            onOpen={
              props.details === undefined
                ? props.onOpen
                : (row) => url.set({ [openAs]: props.idOf(row) }, { replace: open !== undefined })
            }
            onSelect={props.onSelect}
            selected={selected}
            commandsOf={props.commandsOf}
          />
        )}
        {open === undefined ? null : props.details?.(open)}
      </div>
    </div>
  )
}

/** The rows that fit, in order, where the whole list is in the page. */
function useShown<Row>({ rows, columns, filters = [], byServer = false, matches, fits }: Props<Row>, sort: Sort) {
  const { values } = useUrlState()
  const search = values['q']?.toLocaleLowerCase()
  return useMemo(() => {
    if (byServer) return rows
    const compare = columns.find(({ key }) => key === sort.by)?.compare
    const fitting = rows.filter(
      (row) =>
        (search === undefined || matches === undefined || matches(row, search)) &&
        filters.every(({ key }) => {
          const value = values[key]
          return value === undefined || fits === undefined || fits(row, key, value)
        }),
    )
    if (compare === undefined) return fitting
    return fitting.toSorted((a, b) => (sort.descending ? -compare(a, b) : compare(a, b)))
  }, [rows, columns, filters, byServer, matches, fits, sort.by, sort.descending, search, values])
}

/** Writes into the address a moment after the last letter. */
function Search() {
  const url = useUrlState()
  const asked = url.values['q'] ?? ''
  const [text, setText] = useState(asked)
  const written = useRef(asked)
  const styles = useStyles()
  useEffect(() => {
    if (asked === written.current) return
    written.current = asked
    setText(asked)
  }, [asked])
  useEffect(() => {
    if (text === written.current) return undefined
    const timer = setTimeout(() => {
      written.current = text
      url.set({ q: text === '' ? undefined : text }, { replace: true })
    }, 200)
    return () => clearTimeout(timer)
  }, [text, url])
  return (
    <SearchBox
      className={styles.search}
      aria-label={t('list.search')}
      placeholder={t('list.search')}
      value={text}
      onChange={(_, { value }) => setText(value)}
    />
  )
}

function FilterChoice({ filter: { key, label, choices } }: { readonly filter: Filter }) {
  const url = useUrlState()
  const styles = useStyles()
  const id = useId()
  return (
    <div className={styles.filter}>
      <Text size={200} as="span" className={styles.filterLabel}>
        <label htmlFor={id}>{label}</label>
      </Text>
      <Select
        id={id}
        value={url.values[key] ?? ''}
        onChange={(_, { value }) => url.set({ [key]: value === '' ? undefined : value }, { replace: true })}
      >
        <option value="">{t('list.filter.any')}</option>
        {choices.map(({ value, label: text }) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </Select>
    </div>
  )
}

interface ColumnChoiceProps<Row> {
  readonly columns: readonly Column<Row>[]
  readonly visible: readonly string[]
}

function ColumnChoice<Row>({ columns, visible }: ColumnChoiceProps<Row>) {
  const url = useUrlState()
  return (
    <Menu
      checkedValues={{ columns: [...visible] }}
      onCheckedValueChange={(_, { checkedItems }) =>
        url.set(
          {
            columns: columns
              .map(({ key }) => key)
              .filter((key) => checkedItems.includes(key))
              .join(','),
          },
          { replace: true },
        )
      }
    >
      <MenuTrigger disableButtonEnhancement>
        <Button appearance="subtle" icon={<ColumnTriple20Regular />} aria-label={t('list.columns')} />
      </MenuTrigger>
      <MenuPopover>
        <MenuList aria-label={t('list.columns.title')}>
          {columns.slice(1).map(({ key, title }) => (
            <MenuItemCheckbox key={key} name="columns" value={key}>
              {title}
            </MenuItemCheckbox>
          ))}
        </MenuList>
      </MenuPopover>
    </Menu>
  )
}
