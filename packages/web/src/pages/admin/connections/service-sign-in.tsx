/** Signing a connection in at its service as somebody (OAuth 2.0), in a window of the service's own. */
import { Button, Spinner, Text } from '@fluentui/react-components'
import { ApiProblem, type Connection, type ServiceSignIn } from '@patchbay/contract'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { ask, changed } from '../../../api/ask.ts'
import { client } from '../../../api/client.ts'
import { t } from '../../../messages/index.ts'
import { ConfirmDialog } from '../../../ui/confirm-dialog.tsx'
import { DetailsPart } from '../../../ui/details-part.tsx'
import { RelativeTime } from '../../../ui/relative-time.tsx'
import { StatusBadge } from '../../../ui/status-badge.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'

interface Props {
  readonly connection: Connection
  readonly serviceName: string
}

/** Nothing where the connector signs in by other means. */
export function ServiceSignInPart({ connection: { id }, serviceName }: Props) {
  const [isWaiting, setWaiting] = useState(false)
  const params = { connection: id }
  const signIn = useQuery({
    ...ask('serviceSignIns', 'show', { params }),
    refetchInterval: isWaiting ? 1_000 : false,
  })
  const start = useMutation({
    // The window is opened by the click itself, or the browser would keep it from opening.
    mutationFn: async (popUp: Window | null) => {
      try {
        const { address } = await client.serviceSignIns.start({ params })
        if (popUp === null) throw new Error('The browser did not open a window')
        popUp.location.href = address
      } catch (error) {
        popUp?.close()
        throw error
      }
    },
    onSuccess: () => setWaiting(true),
  })
  const finish = useMutation({
    mutationFn: (body: { readonly attempt: string; readonly takeAccount?: string }) =>
      client.serviceSignIns.finish({ params, body }),
    onSuccess: () => changed('serviceSignIns', 'connections'),
  })
  const attempt = signIn.data?.attempt
  const { mutate } = finish
  useEffect(() => {
    if (!isWaiting || attempt === undefined || attempt === null) return
    if (attempt.step === 'failed') setWaiting(false)
    if (attempt.step !== 'answered') return
    setWaiting(false)
    mutate({ attempt: attempt.id })
  }, [isWaiting, attempt, mutate])

  if (signIn.data === undefined || signIn.data.state === 'not-used')
    return signIn.error === null ? null : <TroubleNote error={signIn.error} onRetry={() => void signIn.refetch()} />
  const other = otherAccount(finish.error)
  return (
    <DetailsPart title={t('sign-in-service.title')}>
      <Account signIn={signIn.data} />
      {isWaiting || finish.isPending ? (
        <Spinner size="tiny" labelPosition="after" label={t('sign-in-service.waiting', { name: serviceName })} />
      ) : null}
      {attempt?.step === 'failed' && attempt.reason !== null ? <Text>{attempt.reason}</Text> : null}
      <TroubleNote error={start.error ?? (other === undefined ? finish.error : null)} />
      <div>
        <Button
          disabledFocusable={isWaiting}
          onClick={() => start.mutate(window.open('about:blank', 'patchbay-sign-in', 'popup,width=600,height=760'))}
        >
          {t(signIn.data.account === null ? 'sign-in-service.start' : 'sign-in-service.again', { name: serviceName })}
        </Button>
      </div>
      {other === undefined || attempt === undefined || attempt === null ? null : (
        <ConfirmDialog
          title={t('sign-in-service.other')}
          action={t('sign-in-service.other.take')}
          onClose={() => finish.reset()}
          onConfirm={() => finish.mutate({ attempt: attempt.id, takeAccount: other.id })}
        >
          {other.says}
        </ConfirmDialog>
      )}
    </DetailsPart>
  )
}

function Account({
  signIn: { state, reason, account, signedInAt, expiresAt, exportsAtRisk },
}: {
  readonly signIn: ServiceSignIn
}) {
  return (
    <>
      <StatusBadge tone={state === 'signed-in' ? 'good' : state === 'nobody' ? 'quiet' : 'bad'}>
        {t(`sign-in-service.state.${state}`)}
      </StatusBadge>
      {account === null ? null : (
        <Text>
          {account.name} · <RelativeTime at={signedInAt} />
        </Text>
      )}
      {reason === null ? null : <Text>{reason}</Text>}
      {expiresAt === null ? null : (
        <Text size={200}>
          {t('sign-in-service.expires')} <RelativeTime at={expiresAt} />
        </Text>
      )}
      {exportsAtRisk.length === 0 ? null : (
        <Text size={200}>
          {t('sign-in-service.at-risk', { names: exportsAtRisk.map(({ name }) => name).join(', ') })}
        </Text>
      )}
    </>
  )
}

/** The service answered for another account than before: its id is what the conflict is about. */
function otherAccount(error: unknown): { readonly id: string; readonly says: string } | undefined {
  if (!(error instanceof ApiProblem) || error.code !== 'conflict' || error.path !== 'takeAccount') return undefined
  const [, text] = /takeAccount: ("(?:[^"\\]|\\.)*")$/.exec(error.cure) ?? []
  return text === undefined ? undefined : { id: String(JSON.parse(text)), says: error.message }
}
