import { MessageBar, MessageBarBody, MessageBarTitle } from '@fluentui/react-components'
import type { Connection } from '@patchbay/contract'
import { useQuery } from '@tanstack/react-query'
import { client } from '../../../api/client.ts'
import { t } from '../../../messages/index.ts'

interface Props {
  readonly stored: Connection
  readonly sharing: Connection['sharing']
  readonly policy: Connection['policy']
}

/** What a change of sharing or policy takes from whom, or breaks: said before it is saved. */
export function EffectNote({ stored, sharing, policy }: Props) {
  const body = {
    ...(JSON.stringify(sharing) === JSON.stringify(stored.sharing) ? {} : { sharing }),
    ...(JSON.stringify(policy) === JSON.stringify(stored.policy) ? {} : { policy }),
  }
  const isChanged = Object.keys(body).length > 0
  const effect = useQuery({
    queryKey: ['connections', 'effect', stored.id, body],
    queryFn: ({ signal }) => client.connections.effect({ params: { connection: stored.id }, body, signal }),
    enabled: isChanged,
  })
  if (!isChanged || effect.data === undefined) return null
  const { losingEditors, breaking } = effect.data
  if (losingEditors.length === 0 && breaking.length === 0) return null
  return (
    <MessageBar intent="warning" layout="multiline" role="status">
      <MessageBarBody>
        <MessageBarTitle>{t('effect.title')}</MessageBarTitle>
        <ul style={{ margin: 0, paddingInlineStart: '1.2em' }}>
          {losingEditors.map(({ id, name, createdBy, stops }) => (
            <li key={id}>{t(stops ? 'effect.stops' : 'effect.loses', { name, person: createdBy })}</li>
          ))}
          {breaking.map(({ id, name, reason }) => (
            <li key={`${id} breaks`}>
              {t('effect.breaks', { name })} {reason}
            </li>
          ))}
        </ul>
      </MessageBarBody>
    </MessageBar>
  )
}
