/** Logs and metrics of the HTTP application and of the runs: ids, counts and codes, through one list of what may pass. */
import type { Logger } from 'pino'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { WatchPort } from './ports.ts'

/** What a bug may show of itself: where it happened, and never what its message quotes. */
export function traceOf(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof Error)) return { error: 'not an error' }
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code.slice(0, 40) } : {}
  const cause = error.cause instanceof Error ? { cause: error.cause.name } : {}
  return { error: error.name, ...code, ...cause, frames: frames.slice(0, 20).join('\n') }
}

/** `countRuns` is asked when somebody looks: unfinished runs by status. */
export function makeWatch(log: Logger, countRuns: () => Promise<Readonly<Record<string, number>>>): WatchPort {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const requests = new Counter({
    name: 'patchbay_http_requests_total',
    help: 'Requests by endpoint and status',
    labelNames: ['endpoint', 'status'],
    registers: [registry],
  })
  const seconds = new Histogram({
    name: 'patchbay_http_request_seconds',
    help: 'How long requests take',
    labelNames: ['endpoint'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  })
  const runs = new Gauge({
    name: 'patchbay_runs_unfinished',
    help: 'Runs that are not over, by status',
    labelNames: ['status'],
    registers: [registry],
    async collect() {
      this.reset()
      for (const [status, count] of Object.entries(await countRuns())) this.set({ status }, count)
    },
  })
  void runs
  return {
    answered({ endpoint, status, millis, requestId }) {
      requests.inc({ endpoint, status: String(status) })
      seconds.observe({ endpoint }, millis / 1000)
      log.debug({ requestId, endpoint, status, millis }, 'answered')
    },
    bug({ requestId, endpoint }, error) {
      log.error({ requestId, endpoint, ...traceOf(error) }, 'a bug in Patchbay')
    },
    async metrics() {
      return { contentType: registry.contentType, text: await registry.metrics() }
    },
  }
}
