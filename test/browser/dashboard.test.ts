import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { buildApi } from '../../dashboard/api/app.ts'
import { listenOnWeb } from '../../dashboard/api/listen.ts'
import { type ImaginedControlPlane, imagineControlPlane } from '../dashboard/imagined-control-plane.ts'
import { buildPage, launchChromium } from './page-server.ts'

const PASSWORD = 'correct-horse-battery'
/** Where pictures of the page are kept, to be looked at; without it none are taken. */
const SCREENSHOTS = process.env.RINGFENCE_SCREENSHOTS

let page: Awaited<ReturnType<typeof buildPage>>
let browser: Browser
let plane: ImaginedControlPlane
let app: FastifyInstance
let port: number
let context: BrowserContext | undefined
let complaints: string[]

beforeAll(async () => {
  ;[page, browser] = await Promise.all([buildPage(), launchChromium()])
})
afterAll(async () => {
  await browser?.close()
  page?.remove()
})
beforeEach(async () => {
  plane = imagineControlPlane()
  complaints = []
  await serve(0)
})
afterEach(async () => {
  await context?.close()
  await app.close()
})

async function serve(onPort: number): Promise<void> {
  const door = { kind: 'web' as const, password: PASSWORD, webRoot: page.webRoot }
  app = await buildApi({ plane, door, version: '0.1.0' })
  port = (await listenOnWeb(app, { host: '127.0.0.1', port: onPort })).port
}

async function open(options: BrowserContextOptions = {}): Promise<Page> {
  context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(5000)
  const tab = await context.newPage()
  tab.on('pageerror', (error) => complaints.push(String(error)))
  tab.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  tab.on('console', (message) => {
    // A look that finds the browser not logged in is answered 401, which Chromium always mentions.
    if (message.type() === 'error' && !message.text().includes('401')) complaints.push(message.text())
  })
  tab.on('request', (request) => {
    if (!request.url().startsWith(`http://127.0.0.1:${port}/`)) complaints.push(`asks ${request.url()}`)
  })
  await tab.goto(`http://127.0.0.1:${port}/`)
  return tab
}

async function openLoggedIn(options?: BrowserContextOptions): Promise<Page> {
  const tab = await open(options)
  await tab.getByTestId('login-password').fill(PASSWORD)
  await tab.getByTestId('login-submit').click()
  await tab.getByTestId('connection').getByText('Live').waitFor()
  return tab
}

const textOf = (tab: Page, testid: string) => tab.getByTestId(testid).textContent()
const row = (tab: Page, target: string) => tab.locator(`[data-testid=blocked-row][data-target="${target}"]`)

async function keep(tab: Page, name: string): Promise<void> {
  if (!SCREENSHOTS) return
  mkdirSync(SCREENSHOTS, { recursive: true })
  await tab.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true })
}

/** Five minutes of traffic with an attack in its last minute and a half, and what came of it. */
function playAttack(): void {
  const now = Date.now()
  for (let second = 300; second >= 1; second--) {
    const attack = second < 90 ? 1 : 0
    const wave = Math.sin(second / 9)
    plane.passSecond({
      time: now - second * 1000,
      registers: 22 + 5 * wave + attack * (2400 + 300 * wave),
      successes: 10 + 2 * wave,
      failures: attack * 160,
      cpu: 9 + 2 * wave + attack * 22,
    })
  }
  plane.scene.state = 'attack'
  plane.scene.sentence =
    'Under attack: 2,431 REGISTERs a second, the kernel drops 2,390 packets a second, 3 blocked.'
  plane.scene.sipWouldLimit = [
    { address: '198.51.100.20', packets: 1840 },
    { address: '2001:db8:44:9::/64', packets: 212 },
  ]
  plane.scene.rules = { ...plane.scene.rules, registerPacketsDropped: 214_332, repairs: 1 }
  plane.decide({
    target: '198.51.100.0/24',
    by: 'operator',
    scope: 'sip',
    until: null,
    reason: 'known scanner',
  })
  plane.decide({
    target: '192.0.2.44:5062',
    kind: 'suspend',
    by: 'register-retry',
    grade: 'path',
    until: now + 171_000,
    since: now - 9000,
    reason: '6 failures in a row with the nonce it was sent',
    evidence: { failures: 6, user: '1004' },
  })
  plane.decide({ target: '203.0.113.77', since: now - 42_000, until: now + 558_000 })
  plane.decide({
    target: '2001:db8:beef:1::/64',
    by: 'guessing',
    scope: 'sip',
    grade: 'path',
    since: now - 4000,
    until: now + 3_596_000,
    reason: '20 failures for 14 accounts within 10 min',
    evidence: { failures: 20, accounts: 14, userAgent: 'friendly-scanner' },
  })
  plane.drop('203.0.113.77', 201_448)
  plane.drop('2001:db8:beef:1::/64', 640)
}

describe('logging in', () => {
  test('a wrong password is said, the right one opens the page, and a logout closes it', async () => {
    const tab = await open()
    await tab.getByTestId('login-password').fill('not the password')
    await tab.keyboard.press('Enter')
    await tab.getByTestId('login-error').getByText('That is not the password.').waitFor()
    await keep(tab, 'login-light')
    await tab.keyboard.type(PASSWORD)
    await tab.keyboard.press('Enter')
    await tab.getByTestId('page-main').waitFor()
    await tab.reload()
    await tab.getByTestId('page-main').waitFor()
    await tab.getByTestId('logout').click()
    await tab.getByTestId('login-form').waitFor()
    await tab.reload()
    await tab.getByTestId('login-form').waitFor()
    expect(await tab.getByTestId('page-main').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  test('a session that has ended leads back to the login', async () => {
    const tab = await openLoggedIn()
    await context!.clearCookies()
    await tab.getByTestId('block-target').fill('203.0.113.7')
    await tab.getByTestId('block-submit').click()
    await tab.getByTestId('login-form').waitFor()
    expect(plane.orders).toEqual([])
  })
})

describe('live', () => {
  test('the rate rises and a blocked address appears within two seconds', async () => {
    const tab = await openLoggedIn()
    plane.passSecond({ registers: 4, cpu: 3 })
    await vi.waitFor(async () => expect(await textOf(tab, 'registers-rate')).toBe('4'), 2000)
    expect(await textOf(tab, 'blocked-empty')).toBe('Nobody is blocked.')

    plane.scene.state = 'attack'
    plane.scene.sentence = 'Under attack: 12,345 REGISTERs a second.'
    const before = Date.now()
    plane.passSecond({ registers: 12_345, failures: 300, cpu: 61.4 })
    plane.decide({ target: '203.0.113.77' })
    await row(tab, '203.0.113.77').waitFor({ timeout: 2000 })
    expect(Date.now() - before).toBeLessThan(2000)
    await vi.waitFor(async () => expect(await textOf(tab, 'registers-rate')).toBe('12,345'), 2000)
    expect(await textOf(tab, 'cpu')).toBe('61')
    expect(await textOf(tab, 'blocked-count')).toBe('1')
    expect(await textOf(tab, 'state-sentence')).toBe('Under attack: 12,345 REGISTERs a second.')
    expect(await tab.getByTestId('state').getAttribute('data-state')).toBe('attack')
    expect(await tab.title()).toBe('ATTACK · Ringfence')
    expect(complaints).toEqual([])
  })

  test('the time left counts down and what the kernel drops goes up', async () => {
    const tab = await openLoggedIn()
    plane.decide({ target: '203.0.113.77', until: Date.now() + 65_400 })
    const left = row(tab, '203.0.113.77').getByTestId('time-left')
    await left.getByText('1m 05s').waitFor()
    await left.getByText('1m 03s').waitFor()
    plane.drop('203.0.113.77', 81_000)
    await row(tab, '203.0.113.77').getByTestId('packets-dropped').getByText('81,000').waitFor()
  })

  test('the charts are fed by the history and then by what comes', async () => {
    playAttack()
    const tab = await openLoggedIn()
    // Where the line is drawn, the canvas is not empty.
    const inked = (testid: string): Promise<number> =>
      tab.evaluate(`(${INKED_PIXELS})(document.querySelector('[data-testid=${testid}] canvas'))`)
    expect(await inked('chart-registers')).toBeGreaterThan(5000)
    const before = await inked('chart-cpu')
    for (let i = 0; i < 3; i++) plane.passSecond({ time: Date.now() + i, cpu: 99 })
    await vi.waitFor(async () => expect(await inked('chart-cpu')).not.toBe(before), 3000)
  })

  test('of a flood that is not seen whole, the rates are lower bounds and the line is what the kernel counted', async () => {
    for (let i = 0; i < 5; i++)
      plane.passSecond({ time: Date.now() - 5_000 + i, registers: 973, atLeast: true, arrivals: 10_012 })
    const tab = await openLoggedIn()
    expect(await textOf(tab, 'registers-rate')).toBe('≥ 973')
    expect(await tab.getByTestId('chart-bounds').textContent()).toContain('what the kernel counted')
    expect(await tab.getByText('10,012 packets/s in the kernel').count()).toBe(1)
    const label = await tab.getByTestId('chart-registers').getAttribute('aria-label')
    expect(label).toMatch(/now at least 973$/)
    expect(complaints).toEqual([])
  })

  test('a lost connection is shown, and found again by itself', async () => {
    const tab = await openLoggedIn()
    const { port: same } = { port }
    await app.close()
    await tab.getByTestId('connection').getByText('Connection lost').waitFor()
    await tab.locator('[data-testid=state][data-state=lost]').waitFor()
    expect(await tab.title()).toBe('No connection · Ringfence')
    await keep(tab, 'lost-light')
    await serve(same)
    // The new daemon knows no sessions: the page has to say so rather than hang.
    await tab.getByTestId('login-form').waitFor({ timeout: 15_000 })
    await tab.getByTestId('login-password').fill(PASSWORD)
    await tab.keyboard.press('Enter')
    await tab.getByTestId('connection').getByText('Live').waitFor()
  })
})

describe('the rules and the lanes', () => {
  test('strict limits say since when and why, gateways their calls, and drops what dropped them', async () => {
    plane.scene.strict = {
      state: 'strict',
      since: Date.now() - 60_000,
      why: 'Unknown sources sent over 2,000 REGISTERs a second for two seconds.',
      order: 'auto',
    }
    plane.scene.gateways = [{ name: 'trunk-a', prefixes: ['192.0.2.0/24'], cps: 80, burst: 160 }]
    plane.scene.rules = { ...plane.scene.rules, dropped: { blocks: 7, sipLimit: 1_234, rest: 0 } }
    const tab = await openLoggedIn()
    const lanes = tab.locator('[data-testid=health-lanes][data-state=strict]')
    await lanes.getByText('Unknown sources sent over 2,000 REGISTERs').waitFor()
    await lanes.getByText('80 calls/s').waitFor()
    expect(await lanes.locator('dd').first().textContent()).toBe('500')
    expect(await textOf(tab, 'dropped-sipLimit')).toBe('1,234')
    expect(await tab.getByTestId('dropped-rest').count()).toBe(0)
  })

  test('another program, packets that go around, and full tables are said', async () => {
    const tab = await openLoggedIn()
    expect(await tab.getByTestId('contested').count()).toBe(0)
    plane.scene.rules = {
      ...plane.scene.rules,
      state: 'contested',
      lastRepair: 'IPv4: the jump from PREROUTING was gone',
      contestedUntil: Date.now() + 60_000,
      notInPath: 'Not in the path: look for a bridge.',
      full: ['The set rf-pvn4 is full.', 'The table rf-src4 is full.'],
    }
    // The health is sent every five seconds.
    await tab.getByTestId('not-in-path').getByText('look for a bridge').waitFor({ timeout: 8_000 })
    expect(await textOf(tab, 'contested')).toMatch(
      /^Another program keeps changing the rules \(IPv4: the jump from PREROUTING was gone\)\. The next repair is at /,
    )
    expect(await tab.getByTestId('full').allTextContents()).toEqual(plane.scene.rules.full)
    await tab.locator('[data-testid=health-rules][data-state=contested]').waitFor()
    await keep(tab, 'contested-light')
  })

  test('what is seen of the softswitch, and what is not, is said', async () => {
    const since = Date.now()
    plane.scene.sensor = {
      ...plane.scene.sensor,
      learntBindings: 1_204,
      onlineCheck: { state: 'seen', online: 1_190, silent: 14, unasked: 0 },
      lowerBounds: true,
    }
    plane.scene.sight = [
      { port: 5060, transport: 'udp', state: 'sighted', since, detail: 'requests and answers are seen' },
      { port: 5061, transport: 'tcp', state: 'blind', since, detail: 'the softswitch speaks TLS there' },
    ]
    const shared = 'it gives one nonce to several addresses; Kamailio gives each its own with nonce_count'
    plane.scene.nonces = [
      { server: '198.51.100.2:5060', state: 'shared', since, shared: 3, unique: 0, detail: shared },
    ]
    const tab = await openLoggedIn()
    const softswitch = tab.locator('[data-testid=health-softswitch][data-state=blind]')
    await softswitch.getByText('tcp 5061: the softswitch speaks TLS there').waitFor()
    await softswitch.getByText(`198.51.100.2:5060: ${shared}`).waitFor()
    expect(await textOf(tab, 'endpoints-online')).toBe('1,190')
    expect(await textOf(tab, 'endpoints-silent')).toBe('14')
    expect(await textOf(tab, 'reading')).toBe('Not all that came was seen: rates say so much or more.')
    expect(await tab.evaluate(FAINT_TEXTS)).toEqual([])
    await keep(tab, 'softswitch-light')
  })

  test('a configuration on trial is shown with the time that is left, until it is kept', async () => {
    const tab = await openLoggedIn()
    expect(await tab.getByTestId('trial').count()).toBe(0)
    await plane.apply({ text: '', file: '/root/new.yaml', confirmWithin: 65, by: 'root@cli' })
    await tab.getByTestId('trial').getByText('/root/new.yaml of root@cli is on trial').waitFor()
    await tab.getByTestId('trial-left').getByText('1m 03s').waitFor()
    await keep(tab, 'trial-light')
    expect(await tab.evaluate(FAINT_TEXTS)).toEqual([])
    await plane.confirm({ by: 'root@cli' })
    await tab.getByTestId('trial').waitFor({ state: 'detached' })
  })
})

describe('orders', () => {
  test('what nothing comes of is not called done', async () => {
    plane.scene.notice = 'noted; nothing is dropped while the configuration says mode: observe'
    const tab = await openLoggedIn()
    await tab.getByTestId('block-target').fill('203.0.113.7')
    await tab.getByTestId('block-submit').click()
    await tab
      .getByTestId('toast')
      .getByText('203.0.113.7 is on the blocklist for 1h 00m: noted; nothing is dropped while')
      .waitFor()
    await tab.getByTestId('sip-enforce').click()
    await tab.getByTestId('toast').getByText('The SIP limit is enforced: noted; nothing is dropped').waitFor()
  })

  test('unblock removes the row, and can be undone', async () => {
    plane.decide({ target: '203.0.113.77' })
    plane.decide({ target: '203.0.113.78' })
    const tab = await openLoggedIn()
    await row(tab, '203.0.113.77').getByTestId('unblock').click()
    await row(tab, '203.0.113.77').waitFor({ state: 'detached', timeout: 2000 })
    expect(await tab.getByTestId('blocked-row').count()).toBe(1)
    await tab.getByTestId('toast').getByText('203.0.113.77 is unblocked.').waitFor()
    await keep(tab, 'toast-light')
    await tab.getByTestId('toast-undo').click()
    await row(tab, '203.0.113.77').getByText('All SIP').waitFor()
    expect(plane.orders).toEqual([
      { order: 'unblock 203.0.113.77', by: 'admin@dashboard' },
      { order: 'block 203.0.113.77', by: 'admin@dashboard' },
    ])
    const again = (await plane.blocked()).find(({ target }) => target === '203.0.113.77')!
    expect(again.reason).toBe('100 REGISTERs within 10 s and no success')
    expect(again.secondsLeft).toBeGreaterThan(590)
  })

  test('a suspension is lifted', async () => {
    plane.decide({ target: '[2001:db8::7]:5062', kind: 'suspend' })
    const tab = await openLoggedIn()
    expect(await textOf(tab, 'blocked-count')).toBe('0')
    await row(tab, '[2001:db8::7]:5062').getByTestId('unblock').click()
    await tab.getByTestId('toast').getByText('The suspension of [2001:db8::7]:5062 is lifted.').waitFor()
    await tab.getByTestId('blocked-empty').waitFor()
  })

  test('an address is blocked by hand, with the keyboard alone', async () => {
    const tab = await openLoggedIn()
    await tab.getByTestId('block-target').focus()
    await tab.keyboard.type('203.0.113.0/24')
    await tab.keyboard.press('Tab')
    await tab.keyboard.type('1 day')
    await tab.keyboard.press('Tab')
    await tab.keyboard.type('guesses passwords')
    await tab.keyboard.press('Enter')
    const made = row(tab, '203.0.113.0/24')
    await made.getByText('guesses passwords').waitFor()
    expect(await made.getByTestId('time-left').textContent()).toMatch(/^(1d 00h|23h 59m)$/)
    expect(await tab.getByTestId('block-target').inputValue()).toBe('')
  })

  test('a wrong address is refused with an example, and may be mended', async () => {
    const tab = await openLoggedIn()
    await tab.getByTestId('block-target').fill('1.2.3')
    await tab.getByTestId('block-submit').click()
    await tab
      .getByTestId('block-error')
      .getByText('"1.2.3" is no address or prefix; write it like 203.0.113.7 or 203.0.113.0/24')
      .waitFor()
    expect(await tab.getByTestId('block-target').inputValue()).toBe('1.2.3')
    await tab.getByTestId('block-target').fill('1.2.3.4')
    await tab.getByTestId('block-submit').click()
    await row(tab, '1.2.3.4').waitFor()
    expect(await textOf(tab, 'block-error')).toBe('')
  })

  test('the SIP limit shows whom it would hit before it is enforced', async () => {
    plane.scene.sipWouldLimit = [{ address: '198.51.100.20', packets: 1840 }]
    const tab = await openLoggedIn()
    await tab.getByTestId('sip-would-limit').getByText('198.51.100.20').waitFor()
    await tab.getByTestId('sip-enforce').click()
    expect(plane.orders).toEqual([])
    await tab.getByTestId('sip-enforce-sure').click()
    await tab.locator('[data-testid=sip-limit][data-enforced=true]').waitFor({ timeout: 2000 })
    await tab.getByTestId('sip-observe').click()
    await tab.locator('[data-testid=sip-limit][data-enforced=false]').waitFor({ timeout: 2000 })
    expect(plane.orders.map(({ order }) => order)).toEqual(['enforce-sip true', 'enforce-sip false'])
  })

  test('whom nothing blocks and somebody should look at is listed, and nothing is shown where there is none', async () => {
    const quiet = await openLoggedIn()
    await quiet.getByTestId('sip-limit').waitFor()
    expect(await quiet.getByTestId('looks').count()).toBe(0)
    // Else it asks for its server long after this test, and others hear it complain.
    await quiet.context().close()
    plane.scene.looks = { count: 12, first: [LOOK] }
    const tab = await openLoggedIn()
    await tab.getByTestId('look').waitFor()
    expect(await textOf(tab, 'look')).toMatch(/^198\.51\.100\.9.*slow-guessing: 60 failures.*3 times, /)
    await tab.getByTestId('looks').getByText('and 11 more').waitFor()
  })

  test('protection that is off is said, and turned on again', async () => {
    await plane.off({ by: 'root@cli' })
    const tab = await openLoggedIn()
    await tab.getByTestId('turn-on').click()
    await tab.locator('[data-testid=state][data-state=peace]').waitFor({ timeout: 2000 })
    expect(await tab.getByTestId('turn-on').count()).toBe(0)
  })
})

const LOOK = {
  time: Date.now(),
  source: '198.51.100.9',
  name: 'slow-guessing',
  action: 'limit' as const,
  times: 3,
  reason: '60 failures over 20 accounts in a day',
}

describe('hostile text', () => {
  const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>"'\u202egnp.exe&amp;${'A'.repeat(3000)}`

  test('is shown as it is, and does nothing', async () => {
    plane.scene.sentence = hostile
    plane.scene.rules = { ...plane.scene.rules, state: 'failing', lastError: hostile, full: [hostile] }
    plane.scene.trial = { file: hostile, by: hostile, until: Date.now() + 60_000, secondsLeft: 60 }
    plane.scene.gateways = [{ name: hostile, prefixes: [hostile], cps: 1, burst: 1 }]
    plane.scene.sipWouldLimit = [{ address: hostile, packets: 1 }]
    plane.scene.looks = { count: 1, first: [{ ...LOOK, reason: hostile.slice(0, 300) }] }
    plane.decide({ target: '203.0.113.77', by: hostile, reason: hostile, evidence: { [hostile]: hostile } })
    plane.decide({ target: hostile, until: null })
    const tab = await openLoggedIn()
    const shown = row(tab, '203.0.113.77')
    expect(await shown.getByTestId('reason').locator('summary').textContent()).toBe(hostile)
    await shown.locator('summary').click()
    expect(await shown.getByTestId('evidence').locator('dd').nth(1).textContent()).toBe(hostile)
    expect(await tab.getByTestId('state-sentence').textContent()).toBe(hostile)
    expect(await tab.getByTestId('last-error').textContent()).toBe(hostile)
    expect(await tab.getByTestId('full').textContent()).toBe(hostile)
    expect(await tab.getByTestId('trial').textContent()).toContain(hostile)
    expect(await tab.locator('#app script, #app img').count()).toBe(0)
    // The page is not torn wide by it.
    expect(await tab.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    await keep(tab, 'hostile-light')
    expect(complaints).toEqual([])
  })

  test('the policy would stop a script that got in after all', async () => {
    const tab = await openLoggedIn()
    const ran = await tab.evaluate(`new Promise((resolve) => {
      const script = document.createElement('script')
      script.textContent = 'window.ran = true'
      document.body.append(script)
      setTimeout(() => resolve(window.ran === true), 50)
    })`)
    expect(ran).toBe(false)
    expect(complaints.join()).toContain('Content Security Policy')
  })
})

describe('looks', () => {
  const looks: readonly [string, BrowserContextOptions][] = [
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['phone-light', { colorScheme: 'light', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 }],
    ['phone-dark', { colorScheme: 'dark', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 }],
  ]

  test.each(looks)(
    '%s: nothing sticks out, and every text stands out from its ground',
    async (name, options) => {
      playAttack()
      const tab = await openLoggedIn(options)
      await row(tab, '203.0.113.77').locator('summary').click()
      await keep(tab, `main-${name}`)
      expect(await tab.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
      expect(await tab.evaluate(FAINT_TEXTS)).toEqual([])
      expect(complaints).toEqual([])
    },
  )

  test.each(looks)('%s: a quiet day and the login', async (name, options) => {
    const tab = await open(options)
    await tab.getByTestId('login-form').waitFor()
    expect(await tab.evaluate(FAINT_TEXTS)).toEqual([])
    await keep(tab, `login-${name}`)
    await tab.getByTestId('login-password').fill(PASSWORD)
    await tab.keyboard.press('Enter')
    for (let second = 60; second >= 1; second--) {
      plane.passSecond({
        time: Date.now() - second * 1000,
        registers: 12 + (second % 3),
        successes: 6,
        cpu: 4,
      })
    }
    await tab.getByTestId('blocked-empty').waitFor()
    expect(await tab.evaluate(FAINT_TEXTS)).toEqual([])
    await keep(tab, `quiet-${name}`)
  })
})

test('the script stays under 60 kB for a phone on a bad line', () => {
  const assets = join(page.webRoot, 'assets')
  const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'))
  const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0)
  expect(scripts.length).toBeGreaterThan(0)
  expect(bytes).toBeLessThan(60_000)
})

/** How many pixels of a canvas are not empty. */
const INKED_PIXELS = `(canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  let drawn = 0
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 0) drawn++
  return drawn
}`

/** WCAG 1.4.3 (AA): the texts whose contrast with what is behind them is under 4.5, or 3 where they are large. */
const FAINT_TEXTS = `(() => {
  const channels = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number)
    return text.startsWith('color(') ? [...parts.slice(0, 3).map((part) => part * 255), parts[3] ?? 1] : parts
  }
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((value, i) => value * a + under[i] * (1 - a))
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const groundOf = (element) => {
    if (!element) return [255, 255, 255]
    const colour = channels(getComputedStyle(element).backgroundColor)
    return colour[3] === undefined || colour[3] === 1 ? colour.slice(0, 3) : over(colour, groundOf(element.parentElement))
  }
  const faint = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    if (!walker.currentNode.textContent.trim() || element.closest('.unseen, noscript, option')) continue
    const style = getComputedStyle(element)
    const ground = groundOf(element)
    const [a, b] = [luminance(over(channels(style.color), ground)), luminance(ground)]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    const size = parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if (contrast < (isLarge ? 3 : 4.5)) faint.push(walker.currentNode.textContent + ': ' + contrast.toFixed(2))
  }
  return faint
})()`
