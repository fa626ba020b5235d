/** Every connector that comes with Patchbay, in the order in which Discover shows them. */
import type { Connector } from '@patchbay/connector-sdk'
import { amazonS3 } from './amazon-s3/index.ts'
import { azureBlob } from './azure-blob/index.ts'
import { azureKeyVault } from './azure-key-vault/index.ts'
import { googleCustomerMatch } from './google-customer-match/index.ts'
import { hashiCorpVault } from './hashicorp-vault/index.ts'
import { hubSpot } from './hubspot/index.ts'
import { klaviyo } from './klaviyo/index.ts'
import { localFolder } from './local-folder/index.ts'
import { mailchimp } from './mailchimp/index.ts'
import { metaCustomAudiences } from './meta-custom-audiences/index.ts'
import { mysql } from './mysql/index.ts'
import { postgresql } from './postgresql/index.ts'
import { sendGrid } from './sendgrid/index.ts'
import { sftp } from './sftp/index.ts'
import { webhook } from './webhook/index.ts'

export const connectors: readonly Connector[] = [
  localFolder,
  sftp,
  amazonS3,
  azureBlob,
  postgresql,
  mysql,
  webhook,
  sendGrid,
  mailchimp,
  hubSpot,
  klaviyo,
  googleCustomerMatch,
  metaCustomAudiences,
  hashiCorpVault,
  azureKeyVault,
] // prettier-ignore
