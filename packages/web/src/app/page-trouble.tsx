import { Button } from '@fluentui/react-components'
import { LockClosedRegular, MapRegular } from '@fluentui/react-icons'
import { useNavigate, useRouter, type ErrorComponentProps } from '@tanstack/react-router'
import { useEffect } from 'react'
import { t } from '../messages/index.ts'
import { EmptyState } from '../ui/empty-state.tsx'
import { TroubleNote } from '../ui/trouble-note.tsx'

/** There is no such page. */
export function NotFound() {
  useTitle(t('page.not-found'))
  return (
    <EmptyState
      icon={<MapRegular />}
      title={t('page.not-found')}
      detail={t('page.not-found.detail')}
      action={<HomeLink />}
    />
  )
}

/** There is such a page, and not for this person. */
export function NotAllowed() {
  useTitle(t('page.not-allowed'))
  return (
    <EmptyState
      icon={<LockClosedRegular />}
      title={t('page.not-allowed')}
      detail={t('page.not-allowed.detail')}
      action={<HomeLink />}
    />
  )
}

/** A page that could not be drawn. Also of a page whose script is gone, because the server was updated. */
export function PageTrouble({ error }: ErrorComponentProps) {
  const router = useRouter()
  return <TroubleNote error={error} onRetry={() => void router.invalidate()} />
}

function HomeLink() {
  const navigate = useNavigate()
  return (
    <Button appearance="primary" onClick={() => void navigate({ to: '/' })}>
      {t('page.home')}
    </Button>
  )
}

function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Patchbay`
  }, [title])
}
