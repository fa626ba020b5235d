import { PageHead } from '../../../app/page-head.tsx'
import { ApiKeys } from './api-keys.tsx'

export function ApiKeysPivot() {
  return (
    <>
      <PageHead />
      <ApiKeys />
    </>
  )
}
