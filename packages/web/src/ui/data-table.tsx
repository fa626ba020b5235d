/**
 * The table of every list: sorted by its heads, chosen from by click or Space, opened by click or Enter. Only the rows
 * in sight are in the page, so ten thousand scroll like ten. A row is the one stop of the Tab key; arrows move between rows.
 */
import { Checkbox, mergeClasses, Skeleton, SkeletonItem } from '@fluentui/react-components'
import { ArrowSortDown16Regular, ArrowSortUp16Regular } from '@fluentui/react-icons'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { t } from '../messages/index.ts'
import { CommandMenu, type Command } from './command-bar.tsx'
import type { Sort } from './list-state.ts'
import { ROW_HEIGHT, useTableStyles } from './data-table-styles.ts'

export interface Column<Row> {
  readonly key: string
  readonly title: string
  /** A track of CSS grid, as `minmax(10rem, 2fr)`. */
  readonly width: string
  readonly render: (row: Row) => ReactNode
  readonly sortable?: boolean
  /** For lists that are whole in the page; the others are ordered by the server. */
  readonly compare?: (a: Row, b: Row) => number
  readonly align?: 'end'
  /** Shown on a phone; the first column always is. */
  readonly onPhone?: boolean
  /** Hidden until it is chosen. */
  readonly optional?: boolean
}

interface Props<Row> {
  readonly label: string
  readonly rows: readonly Row[]
  readonly columns: readonly Column<Row>[]
  readonly idOf: (row: Row) => string
  readonly nameOf: (row: Row) => string
  readonly sort?: Sort | undefined
  readonly onSort?: (sort: Sort) => void
  readonly selected?: ReadonlySet<string>
  readonly onSelect?: (selected: ReadonlySet<string>) => void
  readonly openId?: string | undefined
  readonly onOpen?: (row: Row) => void
  readonly commandsOf?: (row: Row) => readonly Command[]
  readonly loading?: boolean
  /** The last row that is known came into sight. */
  readonly onEnd?: (() => void) | undefined
}

export function DataTable<Row>(props: Props<Row>) {
  const { label, rows, columns, idOf, selected, onSelect, commandsOf, loading = false, onEnd, onOpen } = props
  const styles = useTableStyles()
  const scroller = useRef<HTMLDivElement>(null)
  const [active, setActive] = useState(0)
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
  })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? -1
  useEffect(() => {
    if (last >= 0 && last >= rows.length - 1) onEnd?.()
  }, [last, rows.length, onEnd])

  const tracks = [
    ...(onSelect === undefined ? [] : ['2.5rem']),
    ...columns.map(({ width }) => width),
    ...(commandsOf === undefined ? [] : ['3rem']),
  ].join(' ')

  const moveTo = (index: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, index))
    setActive(next)
    virtual.scrollToIndex(next)
    requestAnimationFrame(() => {
      scroller.current?.querySelector<HTMLElement>(`[data-index="${next}"]`)?.focus()
    })
  }
  const toggle = (id: string) => {
    const next = new Set(selected)
    if (!next.delete(id)) next.add(id)
    onSelect?.(next)
  }
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const isOnRow = event.target instanceof HTMLElement && event.target.dataset['index'] !== undefined
    if (!isOnRow) return
    const row = rows[active]
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + 10,
      PageUp: active - 10,
      Home: 0,
      End: rows.length - 1,
    }
    const step = steps[event.key]
    if (step !== undefined) moveTo(step)
    else if (event.key === 'Enter' && row !== undefined) onOpen?.(row)
    else if (event.key === ' ' && row !== undefined && onSelect !== undefined) toggle(idOf(row))
    else return
    event.preventDefault()
  }

  return (
    <div className={styles.scroller} ref={scroller}>
      <div
        role="grid"
        aria-label={label}
        aria-rowcount={rows.length + 1}
        aria-busy={loading}
        aria-multiselectable={onSelect === undefined ? undefined : true}
        className={styles.grid}
        onKeyDown={onKeyDown}
      >
        <Head {...props} tracks={tracks} />
        <div role="rowgroup" style={{ height: loading ? undefined : virtual.getTotalSize(), position: 'relative' }}>
          {loading ? <LoadingRows tracks={tracks} columns={columns.length} /> : null}
          {items.map(({ index, start }) => {
            const row = rows[index]
            if (row === undefined) return null
            return (
              <Line
                {...props}
                key={idOf(row)}
                row={row}
                index={index}
                start={start}
                tracks={tracks}
                isActive={index === Math.min(active, rows.length - 1)}
                onActive={() => setActive(index)}
                onToggle={() => toggle(idOf(row))}
              />
            )
          })}
        </div>
      </div>
    </div>
  )
}

interface HeadProps<Row> extends Props<Row> {
  readonly tracks: string
}

function Head<Row>({ rows, columns, idOf, sort, onSort, selected, onSelect, commandsOf, tracks }: HeadProps<Row>) {
  const styles = useTableStyles()
  const isAll = rows.length > 0 && selected?.size === rows.length
  return (
    <div role="rowgroup" className={styles.head}>
      <div role="row" aria-rowindex={1} className={styles.headRow} style={{ gridTemplateColumns: tracks }}>
        {onSelect === undefined ? null : (
          <div role="columnheader">
            <Checkbox
              aria-label={t('list.select.all')}
              checked={isAll ? true : (selected?.size ?? 0) > 0 ? 'mixed' : false}
              onChange={() => onSelect(new Set(isAll ? [] : rows.map(idOf)))}
            />
          </div>
        )}
        {columns.map(({ key, title, sortable = false, align }) => {
          const isSorted = sort?.by === key
          const order = isSorted ? (sort.descending ? 'descending' : 'ascending') : 'none'
          return (
            <div
              role="columnheader"
              key={key}
              className={mergeClasses(styles.headCell, align === 'end' && styles.end)}
              aria-sort={sortable ? order : undefined}
            >
              {sortable && onSort !== undefined ? (
                <button
                  type="button"
                  className={styles.headButton}
                  onClick={() => onSort({ by: key, descending: isSorted && !sort.descending })}
                >
                  {title}
                  {isSorted ? sort.descending ? <ArrowSortDown16Regular /> : <ArrowSortUp16Regular /> : null}
                </button>
              ) : (
                title
              )}
            </div>
          )
        })}
        {commandsOf === undefined ? null : (
          <div role="columnheader" className={styles.headCell}>
            <span className={styles.unseen}>{t('action.more')}</span>
          </div>
        )}
      </div>
    </div>
  )
}

interface LineProps<Row> extends Props<Row> {
  readonly row: Row
  readonly index: number
  readonly start: number
  readonly tracks: string
  readonly isActive: boolean
  readonly onActive: () => void
  readonly onToggle: () => void
}

function Line<Row>(props: LineProps<Row>) {
  const { row, index, start, tracks, columns, idOf, nameOf, selected, onSelect, openId, onOpen, commandsOf } = props
  const styles = useTableStyles()
  const id = idOf(row)
  const isSelected = selected?.has(id) ?? false
  const inside = props.isActive ? 0 : -1
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={onSelect === undefined ? openId === id : isSelected}
      data-index={index}
      tabIndex={inside}
      className={mergeClasses(styles.row, (isSelected || openId === id) && styles.chosen, onOpen && styles.opens)}
      style={{ gridTemplateColumns: tracks, transform: `translateY(${start}px)` }}
      onFocus={props.onActive}
      onClick={() => onOpen?.(row)}
    >
      {onSelect === undefined ? null : (
        <div role="gridcell" onClick={(event) => event.stopPropagation()}>
          <Checkbox
            aria-label={t('list.select.row', { name: nameOf(row) })}
            input={{ tabIndex: -1 }}
            checked={isSelected}
            onChange={props.onToggle}
          />
        </div>
      )}
      {columns.map(({ key, render, align }, place) => (
        <div
          role={place === 0 ? 'rowheader' : 'gridcell'}
          key={key}
          className={mergeClasses(styles.cell, place === 0 && styles.first, align === 'end' && styles.end)}
        >
          {render(row)}
        </div>
      ))}
      {commandsOf === undefined ? null : (
        <div role="gridcell" onClick={(event) => event.stopPropagation()}>
          <CommandMenu
            label={t('list.row.actions', { name: nameOf(row) })}
            commands={commandsOf(row)}
            tabIndex={inside}
          />
        </div>
      )}
    </div>
  )
}

function LoadingRows({ tracks, columns }: { readonly tracks: string; readonly columns: number }) {
  const styles = useTableStyles()
  return (
    <Skeleton aria-label={t('list.loading')} role="row">
      {Array.from({ length: 8 }, (_, row) => (
        <div key={row} role="gridcell" className={styles.waiting} style={{ gridTemplateColumns: tracks }}>
          {Array.from({ length: columns }, (_unused, column) => (
            <SkeletonItem key={column} size={16} />
          ))}
        </div>
      ))}
    </Skeleton>
  )
}
