import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { requirement } from '../checks/requirement.ts'
import { startOpenssh, type OpensshServer } from '../packages/connectors/test-servers/openssh.ts'
import { openSite, type Person, type Site } from './support/site.ts'

const PASSWORD = 'a long way to the harbour'
const isHere = requirement('chromium').available && requirement('openssh').available

/** Addresses of pages; `CONNECTION` is one that is there. */
const PAGES = [
  '/',
  '/admin/connections',
  '/admin/connections?open=CONNECTION',
  '/admin/connections?pane=CONNECTION',
  '/admin/connections/discover',
  '/admin/connections/discover?pane=new-sftp',
  '/admin/permissions',
  '/admin/permissions?pane=new',
  '/admin/system',
  '/admin/system/audit',
]

/** Each is a name of something, and must be read as the text that it is. */
const PAYLOADS = [
  '<script>window.hit=1</script>',
  '<img src=x onerror=window.hit=1>',
  '"><svg onload=window.hit=1>',
  "';window.hit=1;//",
  '{{constructor.constructor("window.hit=1")()}}',
  '${window.hit=1}',
  ['javascript', 'window.hit=1'].join(':'),
  '<iframe srcdoc="<script>parent.hit=1</script>">',
  '<a href="javascript:window.hit=1">x</a>',
  '{name}',
]

describe.skipIf(!isHere)('the pages in a browser [needs chromium, openssh-server]', () => {
  let site: Site
  let openssh: OpensshServer
  let owner: Person

  beforeAll(async () => {
    site = await openSite({ PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
    openssh = await startOpenssh()
    owner = await site.person()
  })
  afterAll(async () => {
    await site?.close()
    await openssh?.stop()
  })

  test('whoever is not signed in is led to the door, and no page is drawn before', async () => {
    const { page } = await site.person()
    await page.goto('/admin/connections?health=failing')
    await page.waitForURL(/\/sign-in\?from=/)
    expect(new URL(page.url()).searchParams.get('from')).toBe('/admin/connections?health=failing')
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.context().close()
  })

  test('the owner begins: the link, the first steps, a connection with a wrong key and then the right one, shared', async () => {
    const { page, troubles } = owner
    const token = await site.patchbay.makeOwnerLink()
    await page.goto(`/owner#${token}`)
    await page.getByLabel('Your name').fill('Olga Owner')
    await page.getByLabel('E-mail').fill('olga@example.com')
    await page.getByLabel('Password').fill('short')
    await page.getByRole('button', { name: 'Become the owner' }).click()
    await page.getByText('at least 12 characters').waitFor()
    expect(troubles.splice(0)).toEqual([expect.stringContaining('400'), expect.stringContaining('400')])
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Become the owner' }).click()

    await page.getByRole('heading', { name: 'Three steps to the first delivery' }).waitFor()
    await page.getByRole('button', { name: 'Discover services' }).click()
    await page.getByRole('button', { name: 'Set up SFTP' }).click()
    const pane = page.getByRole('dialog')
    await pane.getByLabel('Display name').fill('Newsletter server')
    await pane.getByLabel('Host').fill(openssh.host)
    await pane.getByLabel('Port').fill(String(openssh.port))
    await pane.getByLabel('User').fill(openssh.user)
    await pane.getByLabel('Private key', { exact: false }).last().fill(strangeKey())
    await expectDisabled(pane.getByRole('button', { name: 'Save' }))
    await pane.getByRole('button', { name: 'Verify' }).click()
    await pane.getByText('Is this your server?').waitFor()
    expect(await pane.getByText(openssh.hostKey).first().isVisible()).toBe(true)
    await pane.getByRole('button', { name: 'Trust this server' }).click()
    await pane.getByLabel('Failed').waitFor()
    await expectDisabled(pane.getByRole('button', { name: 'Save' }))

    await pane.getByLabel('Private key', { exact: false }).last().fill(openssh.privateKey)
    await pane.getByRole('button', { name: 'Verify' }).click()
    await pane.getByText('May write').waitFor()
    await pane.getByLabel('Administrators and Contributors').check()
    await pane.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved Newsletter server').first().waitFor()
    await pane.waitFor({ state: 'detached' })

    await page.getByRole('tab', { name: 'Connections' }).click()
    const row = page.getByRole('row', { name: /Newsletter server/ })
    await row.getByText('Healthy').waitFor()
    await row.getByText('Administrators and Contributors').waitFor()
    expect(troubles).toEqual([])
    const { items } = await site.patchbay.client.connections.list()
    expect(items).toMatchObject([{ name: 'Newsletter server', sharing: { with: 'contributors' }, health: 'healthy' }])
    expect(JSON.stringify(items)).not.toContain('PRIVATE KEY')
  })

  test('leaving a pane with something typed asks, by the cross and by Back, and Escape keeps what was typed', async () => {
    const { page } = owner
    await page.goto('/admin/connections/discover')
    await page.getByRole('button', { name: 'Set up Webhook' }).click()
    await page.getByRole('dialog').getByLabel('Display name').fill('Half done')
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Stay here' }).click()
    expect(await page.getByLabel('Display name').inputValue()).toBe('Half done')
    await page.goBack()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Leave without saving' }).click()
    await page.getByLabel('Display name').waitFor({ state: 'detached' })
  })

  test('the connection is found, opened and left by the keyboard alone', async () => {
    const { page, troubles } = owner
    await page.goto('/admin/connections')
    const row = page.getByRole('row', { name: /Newsletter server/ })
    await row.waitFor()
    await page.getByRole('searchbox', { name: 'Search' }).focus()
    for (
      let step = 0;
      step < 20 && (await row.locator('xpath=self::*[@data-index]').and(page.locator(':focus')).count()) === 0;
      step++
    )
      await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Newsletter server' }).waitFor()
    expect(page.url()).toContain('open=con_')
    expect(troubles).toEqual([])
  })

  test('names with script in them are text, on every page that shows them', async () => {
    const { page, troubles } = owner
    const { client } = site.patchbay
    const settings = { host: 'sftp.example.com', user: 'x', signIn: 'password' }
    for (const name of PAYLOADS) {
      await client.connections.add({ body: { name, connectorId: 'sftp', settings, secrets: { password: 'x' } } })
      await client.keys.add({ body: { name, role: 'Viewer' } })
    }
    for (const path of ['/admin/connections', '/admin/permissions']) {
      await page.goto(path)
      for (const name of PAYLOADS) await page.getByRole('grid').getByText(name, { exact: true }).first().waitFor()
    }
    expect(await page.evaluate<boolean>(`'hit' in window`)).toBe(false)
    expect(troubles).toEqual([])
  })

  test.each(['light', 'dark'] as const)('every page is whole and accessible: %s', async (colorScheme) => {
    const { page, troubles } = owner
    const { items } = await site.patchbay.client.connections.list()
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    for (const path of PAGES) {
      await page.goto(path.replace('CONNECTION', String(items[0]?.id)))
      await page.getByRole('heading').first().waitFor()
      await page.waitForFunction(`document.querySelector('[aria-busy="true"], .fui-Skeleton') === null`)
      expect.soft(await owner.axe(), `${path} ${colorScheme}`).toEqual([])
      expect.soft(troubles.splice(0), `${path} ${colorScheme}`).toEqual([])
    }
  })

  test('nothing stands out of a phone of 320 px, and what is not there is said kindly', async () => {
    const { page } = owner
    await page.setViewportSize({ width: 320, height: 640 })
    for (const path of ['/', '/admin/connections', '/admin/system', '/nowhere']) {
      await page.goto(path)
      await page.getByRole('heading').first().waitFor()
      const width = await page.evaluate<number>('document.documentElement.scrollWidth')
      expect.soft([path, width]).toEqual([path, 320])
    }
    await page.getByText('There is no such page').waitFor()
    await page.setViewportSize({ width: 1440, height: 900 })
  })

  test('the pages speak German where that is what the reader reads', async () => {
    const person = await site.person({ locale: 'de-DE', storageState: await owner.context.storageState() })
    await person.page.goto('/admin/connections')
    await person.page.getByRole('heading', { name: 'Verbindungen' }).waitFor()
    expect(await person.page.locator('html').getAttribute('lang')).toBe('de')
    await person.context.close()
  })

  test('signing out ends it in every tab', async () => {
    const { page, context } = owner
    await page.goto('/')
    const other = await context.newPage()
    await other.goto('/admin/system')
    await page.getByRole('button', { name: 'Account and settings' }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await page.waitForURL(/\/sign-in/)
    await other.getByRole('tab', { name: 'Audit log' }).click()
    await other.waitForURL(/\/sign-in\?from=/)
    await other.getByLabel('E-mail').fill('olga@example.com')
    await other.getByLabel('Password').fill(PASSWORD)
    await other.getByRole('button', { name: 'Sign in' }).click()
    await other.getByRole('heading', { name: 'System' }).waitFor()
    expect(new URL(other.url()).pathname).toBe('/admin/system/audit')
  })
})

function strangeKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'sec1', format: 'pem' })
    .toString()
}

async function expectDisabled(button: { isDisabled(): Promise<boolean> }): Promise<void> {
  expect(await button.isDisabled()).toBe(true)
}
