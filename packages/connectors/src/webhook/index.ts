import {
  defineConnector,
  type Batch,
  type CheckStep,
  type Context,
  type Fields,
  type Mode,
  type RowAnswer,
  type Values,
} from '@patchbay/connector-sdk'
import { acceptAll, judgeStatus, readAnswers } from './answers.ts'
import { readSigningKey, signedHeaders } from './signature.ts'

const settings = {
  url: {
    kind: 'text',
    label: 'Address',
    help: 'Takes every batch as a POST. Without a query: a key in it would be shown to all who see the connection',
    example: 'https://hooks.example.com/patchbay',
    pattern: 'https?://[^\\s@?#]+',
    maxLength: 1000,
    endpoint: true,
  },
  signingSecret: {
    kind: 'secret',
    label: 'Signing secret',
    help: 'whsec_ and 24 to 64 random bytes in base64, the same as at the receiver: echo "whsec_$(openssl rand -base64 32)"',
  },
  signIn: {
    kind: 'choice',
    label: 'Sign in with',
    help: 'Beside the signature, where something before the receiver asks for it',
    choices: [
      { value: 'nothing', label: 'Nothing more' },
      { value: 'bearer', label: 'Bearer token' },
      { value: 'header', label: 'A header of its own' },
    ],
    default: 'nothing',
  },
  token: {
    kind: 'secret',
    label: 'Token',
    help: 'Sent as "Authorization: Bearer …"',
    showWhen: { field: 'signIn', is: 'bearer' },
  },
  headerName: {
    kind: 'text',
    label: 'Name of the header',
    example: 'X-Api-Key',
    pattern: '[A-Za-z][A-Za-z0-9-]*',
    maxLength: 100,
    showWhen: { field: 'signIn', is: 'header' },
  },
  headerValue: {
    kind: 'secret',
    label: 'Value of the header',
    help: 'Sent as it is',
    showWhen: { field: 'signIn', is: 'header' },
  },
} as const satisfies Fields

const fields = {
  topic: {
    kind: 'text',
    label: 'Topic',
    help: 'Stands in every batch, so that one receiver can tell several exports apart',
    example: 'newsletter',
    maxLength: 200,
    optional: true,
  },
  answers: {
    kind: 'choice',
    label: 'The receiver answers',
    choices: [
      { value: 'per-row', label: 'For each row', help: 'With {"answers":[{"key":…,"status":"accepted"}]}' },
      { value: 'by-status', label: 'By its status alone', help: 'Any 2xx means that it took every row of the batch' },
    ],
    default: 'per-row',
  },
  repeat: {
    kind: 'choice',
    label: 'When a batch arrives twice',
    help: 'After a broken connection nobody knows whether a batch arrived; whether it is sent again depends on this',
    choices: [
      { value: 'harmless', label: 'Nothing changes', help: 'The receiver keeps one row for each key' },
      { value: 'keyed', label: 'The receiver drops it', help: 'It remembers the Idempotency-Key' },
      {
        value: 'blind',
        label: 'Its rows count twice',
        help: 'It is not sent again; its rows are counted as uncertain',
      },
    ],
    default: 'blind',
  },
  rememberHours: {
    kind: 'number',
    label: 'Hours that it remembers a key',
    min: 1,
    max: 8760,
    default: 24,
    showWhen: { field: 'repeat', is: 'keyed' },
  },
} as const satisfies Fields

type WebhookContext = Context<typeof settings>
type WebhookDestination = Values<typeof fields>

export const webhook = defineConnector({
  id: 'webhook',
  name: 'Webhook',
  summary: 'Sends each batch of rows as signed JSON to a web address of yours.',
  category: 'messaging',
  direction: 'export',
  settings,
  auth: { type: 'header', headers: signInHeaders, origin: ({ url }) => url },
  check: checkReceiver,
  destinations: {
    rows: {
      delivers: 'rows',
      name: 'Rows',
      modes: ['append', 'upsert', 'mirror'],
      limits: { rowsPerBatch: 1000, bytesPerBatch: 4_000_000, batchesInFlight: 8 },
      fields,
      removal:
        'Mirror: rows that leave are sent as "removed", with their identifiers only; the receiver decides what becomes of ' +
        'them. Append and upsert: nothing is said of them.',
      repeat: ({ repeat, rememberHours }) =>
        repeat === 'keyed' && rememberHours !== undefined
          ? { kind: repeat, forHours: rememberHours }
          : { kind: repeat },
      // Any name goes: the receiver is the customer's own.
      targetFields: () => undefined,
      open(ctx, destination, mode) {
        const key = readSigningKey(ctx.settings.signingSecret.reveal())
        return {
          deliver: (batch) => deliver(ctx, key, batch, destination, mode),
          close: () => Promise.resolve(),
        }
      },
    },
  },
})

async function deliver(
  ctx: WebhookContext,
  key: Buffer,
  batch: Batch,
  destination: WebhookDestination,
  mode: Mode,
): Promise<Iterable<RowAnswer>> {
  const body = bodyOf(batch, destination.topic, mode)
  const answer = await post(ctx, key, batch.id, body)
  judgeStatus(answer)
  return destination.answers === 'by-status' ? acceptAll(batch) : readAnswers(answer, batch)
}

/**
 * Put together from the texts that the data engine made: parsing and writing them again would cost more than sending them.
 * As bytes, since signing and sending would each encode a text anew.
 */
function bodyOf({ id, json }: Batch, topic: string | undefined, mode: Mode): Buffer {
  const head = { type: 'changes', batch: id, mode, ...(topic === undefined ? {} : { topic }) }
  return Buffer.from(`${JSON.stringify(head).slice(0, -1)},"changes":[${json.join(',')}]}`)
}

function post(ctx: WebhookContext, key: Buffer, id: string, body: Buffer, accept: readonly number[] = []) {
  const headers = {
    'content-type': 'application/json',
    'idempotency-key': id,
    ...signedHeaders(key, id, ctx.now(), body),
  }
  return ctx.fetch(ctx.settings.url, { method: 'POST', headers, body, accept })
}

function signInHeaders({ signIn, token, headerName, headerValue }: WebhookContext['settings']): Record<string, string> {
  if (signIn === 'bearer' && token !== undefined) return { authorization: `Bearer ${token.reveal()}` }
  if (signIn === 'header' && headerName !== undefined && headerValue !== undefined)
    return { [headerName]: headerValue.reveal() }
  return {}
}

/** So that the steps before them can be told; in a delivery the host judges these. */
const JUDGED_HERE = [401, 403, 429, ...Array.from({ length: 100 }, (_, index) => 500 + index)]

async function* checkReceiver(ctx: WebhookContext): AsyncGenerator<CheckStep> {
  const key = readSigningKey(ctx.settings.signingSecret.reveal())
  const body = Buffer.from(JSON.stringify({ type: 'ping' }))
  const { status } = await post(ctx, key, `ping_${ctx.now().getTime()}`, body, JUDGED_HERE)
  yield { step: 'resolved', ok: true }
  yield { step: 'reached', ok: true }
  if (ctx.settings.url.toLowerCase().startsWith('https:')) yield { step: 'trusted', ok: true }
  if (status === 401 || status === 403) {
    const field = { nothing: 'signingSecret', bearer: 'token', header: 'headerValue' }[ctx.settings.signIn]
    yield {
      step: 'signed-in',
      ok: false,
      field,
      message: `The receiver refused the sign-in or the signature (${status})`,
    }
    return
  }
  yield { step: 'signed-in', ok: true }
  yield status >= 200 && status < 300
    ? { step: 'may-write', ok: true, detail: `It answered ${status}` }
    : { step: 'may-write', ok: false, field: 'url', message: `The receiver answered the signed test with ${status}` }
}
