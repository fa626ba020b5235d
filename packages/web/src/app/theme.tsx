/** Light, dark or as the system has it. Where the system asks for its own high-contrast colours, Fluent takes those. */
import { FluentProvider, webDarkTheme, webLightTheme } from '@fluentui/react-components'
import { createContext, useContext, useMemo, useState, type ReactNode } from 'react'
import { useMedia } from '../ui/use-media.ts'

export const THEMES = ['system', 'light', 'dark'] as const
export type ThemeChoice = (typeof THEMES)[number]

const STORED = 'patchbay.theme'

const ThemeContext = createContext<{
  readonly choice: ThemeChoice
  readonly choose: (choice: ThemeChoice) => void
}>({ choice: 'system', choose: () => undefined })

export function useTheme() {
  return useContext(ThemeContext)
}

export function Theme({ children }: { readonly children: ReactNode }) {
  const [choice, setChoice] = useState<ThemeChoice>(
    () => THEMES.find((known) => known === localStorage.getItem(STORED)) ?? 'system',
  )
  const prefersDark = useMedia('(prefers-color-scheme: dark)')
  const isDark = choice === 'dark' || (choice === 'system' && prefersDark)
  const value = useMemo(
    () => ({
      choice,
      choose: (next: ThemeChoice) => {
        localStorage.setItem(STORED, next)
        setChoice(next)
      },
    }),
    [choice],
  )
  return (
    <ThemeContext value={value}>
      <FluentProvider
        theme={isDark ? webDarkTheme : webLightTheme}
        style={{ height: '100%', colorScheme: isDark ? 'dark' : 'light' }}
      >
        {children}
      </FluentProvider>
    </ThemeContext>
  )
}
