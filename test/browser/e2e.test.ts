import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import { canRun } from '../requirements.ts'
import { startFlood, startGuessing } from '../stage/attackers.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { Stage, type StageHost } from '../stage/stage.ts'
import { CHROMIUM, launchChromium } from './page-server.ts'

const able = canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp', 'trafgen', 'chromium'] })
/** Where to put a picture of the page under attack, for the README; without it none is taken. */
const SCREENSHOTS = process.env.RINGFENCE_SCREENSHOTS
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'
const SERVER = '10.99.0.1'
const PAGE = 'http://127.0.0.1:8560/'

describe.runIf(able)('the dashboard of a real daemon beside a real softswitch', () => {
  const stage = new Stage()
  let server: StageHost
  let phone: StageHost
  let flooder: StageHost
  let ringfence: Ringfence
  let browser: Browser
  let password: string

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('switch', SERVER)
    phone = await stage.addHost('phone', '10.99.0.10')
    flooder = await stage.addHost('flood', '10.99.0.66')
    await startKamailio(stage, server, { sharedNonces: false })
    ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
    password = readFileSync(stage.path('password'), 'utf8').trim()
    // The page is served to the host itself only, so the browser has to be there.
    const inside = stage.path('chromium')
    writeFileSync(inside, `#!/bin/sh\nexec ip netns exec ${server.namespace.name} ${CHROMIUM} "$@"\n`)
    chmodSync(inside, 0o755)
    browser = await launchChromium(inside)
  })
  afterAll(async () => {
    await browser?.close()
    await stage.remove()
  })

  async function open(): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      colorScheme: 'light',
    })
    context.setDefaultTimeout(10_000)
    const tab = await context.newPage()
    await tab.goto(PAGE)
    return tab
  }

  async function logIn(tab: Page): Promise<void> {
    await tab.getByTestId('login-password').fill(password)
    await tab.getByTestId('login-submit').click()
    await tab.getByTestId('connection').getByText('Live').waitFor()
  }

  const row = (tab: Page, target: string) => tab.locator(`[data-testid=blocked-row][data-target="${target}"]`)
  const rate = async (tab: Page) =>
    Number((await tab.getByTestId('registers-rate').textContent())?.replaceAll(',', ''))
  const members = (set: string) => server.namespace.run('ipset', 'list', set)

  test('the password of the password file opens it, another one does not', async () => {
    const tab = await open()
    await tab.getByTestId('login-password').fill(`${password}x`)
    await tab.getByTestId('login-submit').click()
    await tab.getByTestId('login-error').getByText('That is not the password.').waitFor()
    expect(await tab.getByTestId('page-main').count()).toBe(0)
    await logIn(tab)
    await tab.getByTestId('page-main').waitFor()
    await tab.locator('[data-testid=state][data-state=peace]').waitFor()
    await tab.getByTestId('blocked-empty').waitFor()
    await tab.context().close()
  })

  test('a flood raises the rate, its source is on the page within two seconds, and is unblocked there', async () => {
    const tab = await open()
    await logIn(tab)
    const phones = startPhones(stage, phone, SERVER, { users: [1001], registrations: 8, perSecond: 1 })
    await vi.waitFor(async () => expect(await rate(tab)).toBeGreaterThan(0), 10_000)
    expect(await rate(tab)).toBeLessThan(20)

    const flood = await startFlood(stage, flooder, server, { packets: 20_000, perSecond: 4_000 })
    await row(tab, '10.99.0.66').waitFor()
    const seenAt = Date.now()
    const [block] = await ringfence.ask<DecisionView[]>('blocked')
    expect(block).toMatchObject({ target: '10.99.0.66', kind: 'block', scope: 'register' })
    expect(seenAt - block!.since).toBeLessThan(2_000)
    expect(await members('rf-reg4')).toContain('10.99.0.66 timeout')
    await vi.waitFor(async () => expect(await rate(tab)).toBeGreaterThan(1_000), 5_000)
    await tab.locator('[data-testid=state][data-state=attack]').waitFor()
    const dropped = row(tab, '10.99.0.66').getByTestId('packets-dropped')
    const count = async () => Number((await dropped.textContent())?.replaceAll(',', ''))
    await vi.waitFor(async () => expect(await count()).toBeGreaterThan(1_000), 8_000)
    expect(await tab.getByTestId('blocked-count').textContent()).toBe('1')
    expect(await flood.ended).toBe(0)
    expect(await phones.ended).toBe(0)

    await row(tab, '10.99.0.66').getByTestId('unblock').click()
    await row(tab, '10.99.0.66').waitFor({ state: 'detached', timeout: 2_000 })
    await tab.getByTestId('toast').getByText('10.99.0.66 is unblocked.').waitFor()
    await tab.getByTestId('blocked-empty').waitFor()
    expect(await members('rf-reg4')).not.toContain('10.99.0.66')
    expect(await ringfence.ask<DecisionView[]>('blocked')).toEqual([])
    await tab.context().close()
  })

  if (SCREENSHOTS) {
    test('a picture of it under attack', { timeout: 500_000 }, async () => {
      // Addresses that belong to nobody (RFC 5737).
      const stranger = async (purpose: string, address: string): Promise<StageHost> => {
        const host = await stage.addHost(purpose, address)
        await host.namespace.run('ip', 'route', 'add', `${SERVER}/32`, 'dev', 'eth0')
        await server.namespace.run('ip', 'route', 'add', `${address}/32`, 'dev', 'eth0')
        return host
      }
      const [first, second, guesser] = [
        await stranger('flood', '203.0.113.66'),
        await stranger('flood', '198.51.100.23'),
        await stranger('guess', '192.0.2.140'),
      ]
      const users = Array.from({ length: 40 }, (_, i) => 1001 + i)
      startPhones(stage, phone, SERVER, { users, registrations: 800, perSecond: 2 })
      const tab = await open()
      await logIn(tab)
      const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
      await pause(100)
      await ringfence.ask('block', '198.18.7.0/24', '--for', '7d', '--reason', 'scans our numbers at night')
      await pause(100)
      startGuessing(stage, guesser, SERVER, { user: 1007, words: 60, pause: 0.2 })
      await row(tab, '192.0.2.140:5060').waitFor()
      await pause(20)
      await startFlood(stage, first, server, { packets: 120_000, perSecond: 2_000 })
      await row(tab, '203.0.113.66').waitFor()
      await pause(25)
      await startFlood(stage, second, server, { packets: 60_000, perSecond: 1_500 })
      await row(tab, '198.51.100.23').waitFor()
      await pause(20)
      expect((await ringfence.status()).state).toBe('attack')
      mkdirSync(SCREENSHOTS, { recursive: true })
      await tab.screenshot({ path: join(SCREENSHOTS, 'dashboard.png') })
    })
  }
})
