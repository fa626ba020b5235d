import { PageHead } from '../../../app/page-head.tsx'
import { t } from '../../../messages/index.ts'
import { Pivots } from '../../../ui/pivots.tsx'
import { About } from './about.tsx'
import { AuditLog } from './audit-log.tsx'

function SystemHead() {
  return (
    <>
      <PageHead />
      <Pivots
        pivots={[
          { to: '/admin/system', title: t('system.about') },
          { to: '/admin/system/audit', title: t('system.audit') },
        ]}
      />
    </>
  )
}

export function AboutPivot() {
  return (
    <>
      <SystemHead />
      <About />
    </>
  )
}

export function AuditPivot() {
  return (
    <>
      <SystemHead />
      <AuditLog />
    </>
  )
}
