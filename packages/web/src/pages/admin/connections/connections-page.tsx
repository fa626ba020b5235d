import { PageHead } from '../../../app/page-head.tsx'

export function ConnectionsPage() {
  return <PageHead />
}
