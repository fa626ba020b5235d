/** The few addresses outside the contract: a page for a browser, whether it lives, and figures for a monitor. */
import type { Hono } from 'hono'
import { authorize } from '../access/authorize.ts'
import { servePages } from './pages.ts'
import type { HttpPorts } from './ports.ts'
import { whoAsks, type AppEnv } from './who-asks.ts'

export function openDoors(app: Hono<AppEnv>, ports: HttpPorts): void {
  if (!servePages(app, ports.pagesFolder)) app.get('/', (context) => context.html(page(ports.version)))
  app.get('/healthz', (context) => context.json({ status: 'alive' }))
  app.get('/readyz', async (context) => {
    const isReady = await ports.system.isReady().catch(() => false)
    return context.json({ status: isReady ? 'ready' : 'not-ready' }, isReady ? 200 : 503)
  })
  // A browser comes back from a service with it. It is only kept: whoever started the sign-in finishes it, and has rights.
  app.get('/oauth/callback', async (context) => {
    context.set('endpoint', 'oauth-callback')
    const outcome = await ports.serviceSignIn.callback(new URL(context.req.url).searchParams, ports.clock.now())
    return context.html(plainPage(SAID_OF_CALLBACK[outcome]), outcome === 'kept' ? 200 : 400)
  })
  // Counts of runs tell a competitor something, so a monitor needs a key like everybody else.
  app.get('/metrics', async (context) => {
    context.set('endpoint', 'metrics')
    authorize(await whoAsks(ports, context, ports.clock.now()), 'metrics.read')
    const { contentType, text } = await ports.watch.metrics()
    return context.body(text, 200, { 'content-type': contentType })
  })
}

const SAID_OF_CALLBACK = {
  kept: 'Your answer has arrived. Close this page and go back to where you started: there it is finished.',
  unknown: 'This sign-in is not known here, was answered already, or has ended. Start it again in Patchbay.',
} as const

function plainPage(text: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Patchbay</title>
<style>body { font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 12vh auto; padding: 0 1.5rem }</style>
<h1>Patchbay</h1>
<p>${text}</p>
</html>
`
}

function page(version: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Patchbay</title>
<style>
  body { font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 12vh auto; padding: 0 1.5rem; color: #242424 }
  h1 { font-weight: 600; margin-bottom: 0 } code { background: #f0f0f0; padding: .1em .35em; border-radius: 4px }
  p.version { color: #616161; margin-top: 0 }
  @media (prefers-color-scheme: dark) { body { background: #1f1f1f; color: #f5f5f5 } code { background: #333 } p.version { color: #adadad } a { color: #62abf5 } }
</style>
<h1>Patchbay</h1>
<p class="version">${version}</p>
<p>Exports customer data to other services, and accounts for every row of every run. This server is running.</p>
<p>Work with it on the command line, in the folder where it was started: <code>npx patchbay --help</code>.</p>
<p>Programs use the API, which is described at <a href="/api/docs">/api/docs</a>, and for them at
<a href="/api/openapi.json">/api/openapi.json</a>. They need a key:
<code>npx patchbay key add "Name of the program" --role Viewer</code></p>
<p>For monitors: <a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>, and <code>/metrics</code> with a key.</p>
</html>
`
}
