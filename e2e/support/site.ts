/** The pages as people see them: a real server on a real port, and a real browser that reports all that goes wrong in it. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core'
import { requirement } from '../../checks/requirement.ts'
import { listen, type Listening } from '../../packages/server/src/http/serve.ts'
import { openTestPatchbay, type TestPatchbay } from '../../packages/server/src/test-support/test-patchbay.ts'

export interface Site {
  readonly url: string
  readonly patchbay: TestPatchbay
  /** A person with a browser of their own. Signed in by what `open` does. */
  readonly person: (options?: BrowserContextOptions) => Promise<Person>
  readonly close: () => Promise<void>
}

export interface Person {
  readonly context: BrowserContext
  readonly page: Page
  /** Errors of scripts and of the policy, requests that failed, and answers that say no; each as a line. */
  readonly troubles: string[]
  /** What is not as accessible as it has to be, as lines; in the theme that the page has. */
  readonly axe: () => Promise<readonly string[]>
}

const ROOT = join(import.meta.dirname, '../..')

export async function openSite(environment: Readonly<Record<string, string>> = {}): Promise<Site> {
  execFileSync(process.execPath, ['--no-warnings', join(ROOT, 'packages/web/build.ts')], { stdio: 'pipe' })
  const patchbay = await openTestPatchbay({}, environment)
  let listening: Listening | undefined
  let browser: Browser | undefined
  const close = async (): Promise<void> => {
    await browser?.close()
    await listening?.close(0)
    await patchbay.remove()
  }
  try {
    const socket = join(patchbay.settings.dataFolder, 'e2e.sock')
    listening = await listen(patchbay.app, { host: '127.0.0.1', port: 0, socket })
    browser = await chromium.launch({
      executablePath: requirement('chromium').path ?? 'chromium',
      // A container has no user namespaces for Chromium's own sandbox; only our own pages are opened.
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    })
    const [opened, { url }] = [browser, listening]
    return { url, patchbay, person: (options) => makePerson(opened, url, options), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function makePerson(browser: Browser, baseURL: string, options: BrowserContextOptions = {}): Promise<Person> {
  const context = await browser.newContext({
    baseURL,
    locale: 'en-GB',
    reducedMotion: 'reduce',
    viewport: { width: 1440, height: 900 },
    ...options,
  })
  const page = await context.newPage()
  const troubles: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') troubles.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('response', (response) => {
    if (response.status() >= 400) troubles.push(`${response.status()} ${response.url()}`)
  })
  page.on('requestfailed', (request) => {
    // A stream ends, and a question is dropped, when a page is left.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED')
      troubles.push(`failed: ${request.url()} ${request.failure()?.errorText}`)
  })
  return {
    context,
    page,
    troubles,
    async axe() {
      // Fluent's own places for catching the focus: they pass it on at once, so nobody ever stands on one.
      const { violations } = await new AxeBuilder({ page }).exclude('[data-tabster-dummy]').analyze()
      return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0]?.html.slice(0, 200)}`)
    },
  }
}
