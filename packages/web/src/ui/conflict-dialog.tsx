import type { ApiProblem } from '@patchbay/contract'
import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
  makeStyles,
  Table,
  TableBody,
  TableCell,
  TableHeader,
  TableHeaderCell,
  TableRow,
  tokens,
} from '@fluentui/react-components'
import { t } from '../messages/index.ts'

const useStyles = makeStyles({
  value: {
    overflowWrap: 'anywhere',
    whiteSpace: 'pre-wrap',
    verticalAlign: 'top',
    paddingBlock: tokens.spacingVerticalXS,
  },
})

interface Props {
  readonly versions: NonNullable<ApiProblem['versions']>
  /** The name of a part of the thing for a person. */
  readonly labelOf: (part: string) => string
  readonly onTheirs: () => void
  /** With the revision to save over. */
  readonly onYours: (revision: number) => void
  readonly onClose: () => void
}

/** Two people, or two tabs, changed the same thing: both sides stand next to each other, and a person chooses. */
export function ConflictDialog({ versions: { current, yours }, labelOf, onTheirs, onYours, onClose }: Props) {
  const styles = useStyles()
  const differing = Object.keys(yours).filter((part) => JSON.stringify(yours[part]) !== JSON.stringify(current[part]))
  return (
    <Dialog open modalType="alert" onOpenChange={(_, { open }) => (open ? undefined : onClose())}>
      <DialogSurface>
        <DialogBody>
          <DialogTitle>{t('conflict.title')}</DialogTitle>
          <DialogContent>
            {t('conflict.detail')}
            <Table size="small">
              <TableHeader>
                <TableRow>
                  <TableHeaderCell>{t('conflict.field')}</TableHeaderCell>
                  <TableHeaderCell>{t('conflict.theirs')}</TableHeaderCell>
                  <TableHeaderCell>{t('conflict.yours')}</TableHeaderCell>
                </TableRow>
              </TableHeader>
              <TableBody>
                {differing.map((part) => (
                  <TableRow key={part}>
                    <TableCell className={styles.value}>{labelOf(part)}</TableCell>
                    <TableCell className={styles.value}>{said(current[part])}</TableCell>
                    <TableCell className={styles.value}>{said(yours[part])}</TableCell>
                  </TableRow>
                ))}
              </TableBody>
            </Table>
          </DialogContent>
          <DialogActions fluid>
            <Button onClick={onClose}>{t('action.cancel')}</Button>
            <Button onClick={onTheirs}>{t('conflict.keep-theirs')}</Button>
            <Button appearance="primary" onClick={() => onYours(Number(current['revision']))}>
              {t('conflict.keep-yours')}
            </Button>
          </DialogActions>
        </DialogBody>
      </DialogSurface>
    </Dialog>
  )
}

function said(value: unknown): string {
  if (value === undefined || value === null) return '–'
  return typeof value === 'string' ? value : JSON.stringify(value, null, 1)
}
