import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { buildApi } from '../../dashboard/api/app.ts'
import { listenOnWeb } from '../../dashboard/api/listen.ts'
import type { LivePace } from '../../dashboard/api/live.ts'
import type { LiveSnapshot, StatusSnapshot } from '../../dashboard/api/status.ts'
import { type ImaginedControlPlane, imagineControlPlane } from './imagined-control-plane.ts'

const PASSWORD = 'correct-horse-battery'
let plane: ImaginedControlPlane
let app: FastifyInstance | undefined
let port: number
let cookie: string

beforeEach(() => {
  plane = imagineControlPlane()
})
afterEach(async () => {
  await app?.close()
  app = undefined
})

async function serve(livePace: Partial<LivePace> = {}): Promise<void> {
  const door = { kind: 'web' as const, password: PASSWORD, webRoot: '/nonexistent' }
  app = await buildApi({ plane, door, version: '0.1.0', livePace })
  port = (await listenOnWeb(app, { host: '127.0.0.1', port: 0 })).port
  const { cookies } = await app.inject({
    method: 'POST',
    url: '/api/v1/login',
    headers: { host: 'localhost', 'x-ringfence': '1' },
    payload: { password: PASSWORD },
  })
  cookie = `ringfence_session=${cookies[0]!.value}`
}

interface Viewer {
  readonly status: number
  readonly events: { event: string; data: StatusSnapshot & LiveSnapshot; at: number }[]
  readonly text: () => string
  readonly ended: () => boolean
  readonly leave: () => void
}

function view(): Promise<Viewer> {
  return new Promise((resolve, reject) => {
    const outgoing = get({ host: '127.0.0.1', port, path: '/api/v1/live', headers: { cookie } }, (incoming) =>
      resolve(follow(incoming, () => outgoing.destroy())),
    )
    outgoing.once('error', reject)
  })
}

function follow(incoming: IncomingMessage, leave: () => void): Viewer {
  const events: Viewer['events'] = []
  let text = ''
  let rest = ''
  let ended = false
  incoming.setEncoding('utf8')
  incoming.on('data', (part: string) => {
    text += part
    const blocks = (rest + part).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) {
      const [, event, data] = /event: (.*)\ndata: (.*)$/.exec(block) ?? []
      if (event) events.push({ event, data: JSON.parse(data!), at: performance.now() })
    }
  })
  const end = () => {
    ended = true
  }
  incoming.once('close', end).once('error', end)
  return { status: incoming.statusCode!, events, text: () => text, ended: () => ended, leave }
}

const seen = (viewer: Viewer, event: string) => viewer.events.filter((one) => one.event === event)
const until = (check: () => void) => vi.waitFor(check, { timeout: 5000, interval: 10 })

test('a viewer first gets the whole picture', async () => {
  plane.passSecond({ registers: 7, cpu: 12 })
  plane.decide({ target: '203.0.113.7', reason: '<script>\nalert(1)</script>' })
  await serve()
  const viewer = await view()
  await until(() => expect(viewer.events.length).toBe(2))
  const [status, live] = viewer.events
  expect([status!.event, live!.event]).toEqual(['status', 'live'])
  expect(status!.data).toMatchObject({ history: [{ registers: 7, cpu: 12 }], counts: { blocks: 1 } })
  expect(live!.data).toMatchObject({
    rates: { registers: 7 },
    blocked: [{ target: '203.0.113.7', reason: '<script>\nalert(1)</script>' }],
    blockedTotal: 1,
  })
})

test('at most two updates a second, and the last word is always told', async () => {
  await serve()
  const viewer = await view()
  await until(() => expect(viewer.events.length).toBe(2))
  for (let i = 1; i <= 1000; i++) plane.passSecond({ registers: i })
  await until(() => expect(viewer.events.at(-1)!.data.rates?.registers).toBe(1000))
  plane.passSecond({ registers: 1001 })
  await until(() => expect(viewer.events.at(-1)!.data.rates?.registers).toBe(1001))
  const times = seen(viewer, 'live').map(({ at }) => at)
  expect(times.length).toBe(3)
  expect(times[2]! - times[1]!).toBeGreaterThan(300)
})

test('an update shows the newest 200 rows and says how many there are', async () => {
  for (let i = 0; i < 300; i++) plane.decide({ target: `10.0.${i >> 8}.${i & 255}` })
  await serve()
  const viewer = await view()
  await until(() => expect(viewer.events.length).toBe(2))
  const { blocked, blockedTotal } = viewer.events[1]!.data
  expect([blocked.length, blockedTotal, blocked[0]?.target]).toEqual([200, 300, '10.0.1.43'])
})

test('an order refreshes the health of every viewer at once', async () => {
  await serve({ health: 60_000 })
  const viewer = await view()
  await until(() => expect(viewer.events.length).toBe(2))
  const headers = { host: 'localhost', 'x-ringfence': '1', cookie }
  await app!.inject({ method: 'POST', url: '/api/v1/enforce-sip', headers, payload: { enforced: true } })
  await until(() => expect(seen(viewer, 'health').length).toBe(1))
  const health = seen(viewer, 'health')[0]!.data
  expect([health.limits.sip.enforced, 'history' in health]).toEqual([true, false])
})

test('a heartbeat comes as a comment and as an event', async () => {
  await serve({ heartbeat: 20 })
  const viewer = await view()
  await until(() => expect(seen(viewer, 'heartbeat').length).toBeGreaterThan(1))
  expect(viewer.text()).toContain('\n: heartbeat\nevent: heartbeat\n')
})

test('a logout ends the stream, and nobody watches the plane any more', async () => {
  await serve()
  const viewer = await view()
  await until(() => expect(viewer.events.length).toBe(2))
  expect(plane.watchers).toBe(1)
  const headers = { host: 'localhost', 'x-ringfence': '1', cookie }
  await app!.inject({ method: 'POST', url: '/api/v1/logout', headers })
  await until(() => expect(viewer.ended()).toBe(true))
  expect(plane.watchers).toBe(0)
})

test('no more than so many viewers; one that leaves makes room', async () => {
  await serve({ viewers: 3 })
  const viewers = await Promise.all([view(), view(), view()])
  expect(viewers.map(({ status }) => status)).toEqual([200, 200, 200])
  const refused = await view()
  expect(refused.status).toBe(503)
  await until(() => expect(refused.text()).toContain('3 live pages are open already; close one of them.'))
  viewers[0]!.leave()
  await vi.waitFor(async () => expect((await view()).status).toBe(200), { timeout: 5000 })
})

test('a viewer that does not read is dropped; the others are not held up', async () => {
  await serve({ update: 5, patience: 200, health: 60_000 })
  // Each row is large, so that the buffers of the kernel are soon full.
  for (let i = 0; i < 200; i++) plane.decide({ target: `10.0.0.${i}`, reason: 'x'.repeat(2000) })
  const good = await view()
  const stuck = connect(port, '127.0.0.1')
  stuck.pause()
  let cut = false
  stuck.once('close', () => {
    cut = true
  })
  stuck.on('error', () => undefined)
  stuck.write(`GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\n\r\n`)
  await until(() => expect(app!.server.listening && good.events.length).toBeGreaterThanOrEqual(2))
  const before = process.memoryUsage().rss
  const pump = setInterval(() => plane.announce(), 2)
  const open = () =>
    new Promise<number>((resolve) => app!.server.getConnections((_error, count) => resolve(count)))
  await vi.waitFor(async () => expect(await open()).toBe(2), { timeout: 5000 })
  await vi.waitFor(async () => expect(await open()).toBe(1), { timeout: 15_000, interval: 50 })
  clearInterval(pump)
  expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000)
  expect(good.ended()).toBe(false)
  expect(good.events.length).toBeGreaterThan(10)
  stuck.resume()
  await until(() => expect(cut).toBe(true))
})

test('closing the app ends the streams', async () => {
  await serve()
  const viewer = await view()
  await until(() => expect(viewer.events.length).toBe(2))
  await app!.close()
  await until(() => expect(viewer.ended()).toBe(true))
})

test('a control plane that fails at first refuses the stream and keeps no watcher', async () => {
  await serve()
  plane.status = () => Promise.reject(new Error('broken'))
  expect((await view()).status).toBe(500)
  expect(plane.watchers).toBe(0)
})
