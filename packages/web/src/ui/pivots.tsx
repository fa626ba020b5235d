import { Tab, TabList } from '@fluentui/react-components'
import { useLocation, useNavigate } from '@tanstack/react-router'

interface Props {
  readonly pivots: readonly { readonly to: string; readonly title: string }[]
}

/** Pages beside each other: each has an address of its own. */
export function Pivots({ pivots }: Props) {
  const navigate = useNavigate()
  const { pathname } = useLocation()
  return (
    <TabList
      style={{ marginInlineStart: -10, flexWrap: 'wrap' }}
      selectedValue={pathname}
      onTabSelect={(_, { value }) => void navigate({ to: String(value) })}
    >
      {pivots.map(({ to, title }) => (
        <Tab key={to} value={to}>
          {title}
        </Tab>
      ))}
    </TabList>
  )
}
