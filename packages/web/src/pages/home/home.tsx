import { PageHead } from '../../app/page-head.tsx'

export function Home() {
  return <PageHead />
}
