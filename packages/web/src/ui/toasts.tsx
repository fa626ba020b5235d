import {
  Link,
  Toast,
  ToastBody,
  Toaster,
  ToastFooter,
  ToastTitle,
  useToastController,
} from '@fluentui/react-components'
import { useMemo } from 'react'
import { troubleOf } from '../api/problem.ts'

const TOASTER = 'patchbay'

interface Said {
  readonly title: string
  readonly detail?: string
  readonly action?: { readonly label: string; readonly onClick: () => void }
}

export interface Toasts {
  done(said: Said): void
  /** Only for what has no place of its own on the page: an error belongs next to the thing. */
  failed(title: string, error: unknown): void
}

/** One in the shell. */
export function ToastPlace() {
  return <Toaster toasterId={TOASTER} position="bottom-end" pauseOnHover pauseOnWindowBlur />
}

export function useToasts(): Toasts {
  const { dispatchToast } = useToastController(TOASTER)
  return useMemo(
    () => ({
      done({ title, detail, action }) {
        dispatchToast(
          <Toast>
            <ToastTitle>{title}</ToastTitle>
            {detail === undefined ? null : <ToastBody>{detail}</ToastBody>}
            {action === undefined ? null : (
              <ToastFooter>
                <Link as="button" onClick={action.onClick}>
                  {action.label}
                </Link>
              </ToastFooter>
            )}
          </Toast>,
          { intent: 'success', timeout: action === undefined ? 4_000 : 15_000, politeness: 'polite' },
        )
      },
      failed(title, error) {
        const { what, cure } = troubleOf(error)
        dispatchToast(
          <Toast>
            <ToastTitle>{title}</ToastTitle>
            <ToastBody>
              {what}. {cure}
            </ToastBody>
          </Toast>,
          { intent: 'error', timeout: 15_000, politeness: 'assertive' },
        )
      },
    }),
    [dispatchToast],
  )
}
