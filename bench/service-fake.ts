/** A fake of a service in a process of its own, so that neither side pays for it: `service-fake.ts <connector>`. */
import { startFakeGoogle } from '../packages/connectors/src/google-customer-match/fake-google.ts'
import { startFakeHubSpot } from '../packages/connectors/src/hubspot/fake-hubspot.ts'
import { startFakeKlaviyo } from '../packages/connectors/src/klaviyo/fake-klaviyo.ts'
import { startFakeMailchimp } from '../packages/connectors/src/mailchimp/fake-mailchimp.ts'
import { startFakeMeta } from '../packages/connectors/src/meta-custom-audiences/fake-meta.ts'
import { startFakeSendGrid } from '../packages/connectors/src/sendgrid/fake-sendgrid.ts'

const START: Readonly<Record<string, () => Promise<{ readonly origin: string; readonly id: string }>>> = {
  async sendgrid() {
    const fake = await startFakeSendGrid({ forgetful: true })
    fake.pendingQuestions = 0
    return { origin: fake.origin, id: fake.addList('Bench').id }
  },
  async mailchimp() {
    const fake = await startFakeMailchimp({ forgetful: true })
    return { origin: fake.origin, id: fake.audience }
  },
  async hubspot() {
    const fake = await startFakeHubSpot({ forgetful: true })
    return { origin: fake.origin, id: fake.addList('Bench').listId }
  },
  async klaviyo() {
    const fake = await startFakeKlaviyo({ forgetful: true })
    fake.questionsPerJob = 0
    return { origin: fake.origin, id: fake.addList('Bench').id }
  },
  async 'google-customer-match'() {
    const fake = await startFakeGoogle({ forgetful: true })
    fake.questionsPerRequest = 0
    return { origin: fake.origin, id: fake.addUserList('Bench').id }
  },
  async 'meta-custom-audiences'() {
    const fake = await startFakeMeta({ forgetful: true })
    return { origin: fake.origin, id: fake.addAudience('Bench').id }
  },
}

const start = START[process.argv[2] ?? '']
if (start === undefined) throw new Error(`There is no fake of "${process.argv[2]}"`)
process.stdout.write(`${JSON.stringify(await start())}\n`)
// Its owner's end is its own.
process.stdin.on('end', () => process.exit()).resume()
