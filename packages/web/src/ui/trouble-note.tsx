import { Button, MessageBar, MessageBarActions, MessageBarBody, MessageBarTitle } from '@fluentui/react-components'
import { troubleOf } from '../api/problem.ts'
import { t } from '../messages/index.ts'

interface Props {
  readonly error: unknown
  readonly onRetry?: () => void
}

/** What went wrong and what to do, next to the thing. Nothing where nothing is wrong. */
export function TroubleNote({ error, onRetry }: Props) {
  if (error === null || error === undefined) return null
  const { what, cure, requestId } = troubleOf(error)
  return (
    <MessageBar intent="error" layout="multiline" role="alert">
      <MessageBarBody>
        <MessageBarTitle>{what}</MessageBarTitle>
        {cure} {requestId === undefined ? null : t('problem.request', { id: requestId })}
      </MessageBarBody>
      {onRetry === undefined ? null : (
        <MessageBarActions>
          <Button size="small" onClick={onRetry}>
            {t('problem.retry')}
          </Button>
        </MessageBarActions>
      )}
    </MessageBar>
  )
}
