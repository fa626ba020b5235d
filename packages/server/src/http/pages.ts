/**
 * The pages of the web application: files that were built and compressed beforehand, and one document for every address
 * that is a page. Names below `assets/` carry a hash of what is in them, so they are kept by browsers for ever.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import type { Context, Hono } from 'hono'
import type { AppEnv } from './who-asks.ts'

const TYPE_OF: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/**
 * Scripts and styles come from here and from nowhere else, and nothing is compiled at run time. The one hash is that of an
 * empty text: the design system makes empty <style> elements and fills them through the object model, which is allowed
 * once the element is.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'self'",
].join('; ')

interface Page {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly brotli: Uint8Array<ArrayBuffer> | undefined
  readonly type: string
  readonly isForEver: boolean
}

/** Undefined where nothing was built: then the plain page of `open-doors.ts` stands at `/`. */
export function servePages(app: Hono<AppEnv>, folder: string | undefined): boolean {
  const pages = folder === undefined ? undefined : readPages(folder)
  const document = pages?.get('index.html')
  if (pages === undefined || document === undefined) return false
  app.get('*', async (context, next) => {
    const path = context.req.path.slice(1)
    const page = pages.get(path) ?? (isPageAddress(context, path) ? document : undefined)
    if (page === undefined) return next()
    context.set('endpoint', 'pages')
    return answerPage(context, page)
  })
  return true
}

/** A navigation of a browser: everything else that is not found is said to be so. */
function isPageAddress(context: Context<AppEnv>, path: string): boolean {
  if (/^(?:api|assets|healthz|readyz|metrics)(?:\/|$)/.test(path)) return false
  return path === '' || (context.req.header('accept') ?? '').includes('text/html')
}

function answerPage(context: Context<AppEnv>, page: Page): Response {
  const takesBrotli = /\bbr\b/.test(context.req.header('accept-encoding') ?? '')
  const packed = takesBrotli ? page.brotli : undefined
  return context.body(packed ?? page.bytes, 200, {
    'content-type': page.type,
    'content-security-policy': POLICY,
    'cache-control': page.isForEver ? 'public, max-age=31536000, immutable' : 'no-cache',
    vary: 'accept-encoding',
    ...(packed === undefined ? {} : { 'content-encoding': 'br' }),
  })
}

/** All of them are held in memory: together they are about a megabyte. */
function readPages(folder: string): ReadonlyMap<string, Page> | undefined {
  if (statSync(join(folder, 'index.html'), { throwIfNoEntry: false }) === undefined) return undefined
  const pages = new Map<string, Page>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const type = TYPE_OF[extname(entry.name)]
    if (!entry.isFile() || type === undefined) continue
    const file = join(entry.parentPath, entry.name)
    const path = relative(folder, file).split(sep).join('/')
    const brotli = statSync(`${file}.br`, { throwIfNoEntry: false })
    pages.set(path, {
      bytes: new Uint8Array(readFileSync(file)),
      brotli: brotli === undefined ? undefined : new Uint8Array(readFileSync(`${file}.br`)),
      type,
      isForEver: path.startsWith('assets/'),
    })
  }
  return pages
}
