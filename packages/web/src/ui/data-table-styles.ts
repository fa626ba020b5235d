import { makeStyles, tokens } from '@fluentui/react-components'

export const ROW_HEIGHT = 44

const line = {
  display: 'grid',
  alignItems: 'center',
  columnGap: tokens.spacingHorizontalM,
  paddingInline: tokens.spacingHorizontalM,
  boxSizing: 'border-box',
} as const

export const useTableStyles = makeStyles({
  scroller: {
    flexGrow: 1,
    minHeight: '12rem',
    overflow: 'auto',
    backgroundColor: tokens.colorNeutralBackground1,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
  },
  grid: { minWidth: 'fit-content', position: 'relative' },
  head: {
    position: 'sticky',
    top: 0,
    zIndex: 1,
    backgroundColor: tokens.colorNeutralBackground1,
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  headRow: { ...line, minHeight: '40px' },
  headCell: {
    fontWeight: tokens.fontWeightSemibold,
    fontSize: tokens.fontSizeBase200,
    color: tokens.colorNeutralForeground2,
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    whiteSpace: 'nowrap',
  },
  headButton: {
    font: 'inherit',
    color: 'inherit',
    background: 'none',
    border: 'none',
    padding: '6px 4px',
    marginInlineStart: '-4px',
    cursor: 'pointer',
    display: 'inline-flex',
    alignItems: 'center',
    gap: '4px',
    borderRadius: tokens.borderRadiusSmall,
    ':hover': { color: tokens.colorNeutralForeground1, backgroundColor: tokens.colorSubtleBackgroundHover },
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: '-2px' },
  },
  row: {
    ...line,
    position: 'absolute',
    insetInline: 0,
    top: 0,
    height: `${ROW_HEIGHT}px`,
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    ':hover': { backgroundColor: tokens.colorSubtleBackgroundHover },
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: '-2px' },
  },
  opens: { cursor: 'pointer' },
  chosen: {
    backgroundColor: tokens.colorSubtleBackgroundSelected,
    boxShadow: `inset 3px 0 0 ${tokens.colorBrandStroke1}`,
  },
  cell: {
    minWidth: 0,
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    whiteSpace: 'nowrap',
    color: tokens.colorNeutralForeground2,
  },
  first: { color: tokens.colorNeutralForeground1, fontWeight: tokens.fontWeightSemibold },
  /** Read out, and not seen. */
  unseen: { position: 'absolute', width: '1px', height: '1px', overflow: 'hidden', clipPath: 'inset(50%)' },
  end: { textAlign: 'end', fontVariantNumeric: 'tabular-nums' },
  waiting: { ...line, height: `${ROW_HEIGHT}px` },
})
