import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildApi } from '../../dashboard/api/app.ts'
import { type ImaginedControlPlane, imagineControlPlane } from './imagined-control-plane.ts'

const PASSWORD = 'correct-horse-battery'
const HOST = '127.0.0.1:8560'

let webRoot: string
let plane: ImaginedControlPlane
let app: Awaited<ReturnType<typeof buildApi>>
let time: number

beforeEach(async () => {
  webRoot = mkdtempSync(join(tmpdir(), 'ringfence-page-'))
  writeFileSync(join(webRoot, 'index.html'), '<!doctype html><title>Ringfence</title>')
  time = 1_000_000
  plane = imagineControlPlane()
  app = await buildApi({
    plane,
    door: { kind: 'web', password: PASSWORD, webRoot, hosts: ['pbx.example.org'] },
    version: '0.1.0',
    now: () => time,
  })
})
afterEach(async () => {
  await app.close()
  rmSync(webRoot, { recursive: true })
})

interface Ask {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: unknown
  readonly from?: string
}

function ask({ method = 'GET', path, headers = {}, body, from = '127.0.0.1' }: Ask) {
  return app.inject({
    method,
    url: path,
    remoteAddress: from,
    headers: { host: HOST, ...(method === 'GET' ? {} : { 'x-ringfence': '1' }), ...headers },
    ...(body === undefined ? {} : { payload: body as object }),
  })
}

const login = (password: string, from?: string) =>
  ask({ method: 'POST', path: '/api/v1/login', body: { password }, ...(from === undefined ? {} : { from }) })

async function loggedIn(): Promise<Record<string, string>> {
  const { cookies } = await login(PASSWORD)
  return { cookie: `ringfence_session=${cookies[0]!.value}` }
}

describe('without a login', () => {
  test.each([
    ['GET', '/api/v1/status'],
    ['GET', '/api/v1/blocked'],
    ['GET', '/api/v1/allowed'],
    ['GET', '/api/v1/accounts'],
    ['GET', '/api/v1/bindings'],
    ['GET', '/api/v1/sources/203.0.113.7'],
    ['GET', '/api/v1/live'],
    ['GET', '/api/v1/openapi.json'],
    ['GET', '/%61pi/v1/status'],
    ['GET', '/api/v1/%73tatus'],
    ['POST', '/%61pi/v1/off'],
    ['POST', '/api/v1/blocks'],
    ['POST', '/api/v1/unblock'],
    ['POST', '/api/v1/allow'],
    ['POST', '/api/v1/disallow'],
    ['POST', '/api/v1/enforce-sip'],
    ['POST', '/api/v1/strict'],
    ['POST', '/api/v1/off'],
    ['POST', '/api/v1/on'],
    ['POST', '/api/v1/accounts'],
    ['DELETE', '/api/v1/accounts/1001'],
  ] as const)('%s %s is refused', async (method, path) => {
    const answer = await ask({ method, path })
    expect([answer.statusCode, answer.json().error]).toEqual([401, 'unauthorised'])
    expect(plane.orders).toEqual([])
  })

  test('HEAD tells no more than GET', async () => {
    const answer = await app.inject({ method: 'HEAD', url: '/api/v1/status', headers: { host: HOST } })
    expect(answer.statusCode).toBe(401)
  })

  test('a made-up session is no session', async () => {
    const headers = { cookie: `ringfence_session=${'A'.repeat(43)}` }
    expect((await ask({ path: '/api/v1/status', headers })).statusCode).toBe(401)
  })
})

test.each(['apply', 'confirm', 'revert', 'plan', 'trace'])(
  'configurations are not the business of the page: %s is not there',
  async (path) => {
    const headers = await loggedIn()
    const answer = await ask({ method: 'POST', path: `/api/v1/${path}`, headers, body: {} })
    expect([answer.statusCode, plane.orders]).toEqual([404, []])
  },
)

describe('login', () => {
  test('sets a cookie that scripts and other sites cannot use', async () => {
    const answer = await login(PASSWORD)
    expect(answer.statusCode).toBe(200)
    expect(answer.cookies).toEqual([
      {
        name: 'ringfence_session',
        value: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
        path: '/',
        httpOnly: true,
        sameSite: 'Strict',
        maxAge: 43_200,
      },
    ])
    expect((await ask({ path: '/api/v1/status', headers: await loggedIn() })).statusCode).toBe(200)
  })

  test.each([
    ['wrong', { password: 'wrong' }, 401],
    ['nearly right', { password: `${PASSWORD} ` }, 401],
    ['empty', { password: '' }, 400],
    ['no text', { password: { $ne: '' } }, 400],
    ['missing', {}, 400],
    ['huge', { password: 'x'.repeat(20_000) }, 413],
  ])('a password that is %s', async (_what, body, status) => {
    const answer = await ask({ method: 'POST', path: '/api/v1/login', body })
    expect([answer.statusCode, answer.cookies]).toEqual([status, []])
  })

  test('five wrong passwords of one address, then also the right one has to wait a minute', async () => {
    const statuses: number[] = []
    for (let i = 0; i < 6; i++) statuses.push((await login('wrong', '198.51.100.1')).statusCode)
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
    const refused = await login(PASSWORD, '198.51.100.1')
    expect([refused.statusCode, refused.json(), refused.headers['retry-after']]).toEqual([
      429,
      { error: 'too-many', message: 'Too many wrong passwords; try again in 60 s.' },
      '60',
    ])
    expect((await login(PASSWORD, '198.51.100.2')).statusCode).toBe(200)
    time += 60_000
    expect((await login(PASSWORD, '198.51.100.1')).statusCode).toBe(200)
  })

  test('one IPv6 /64 is one address', async () => {
    for (let i = 1; i <= 5; i++) await login('wrong', `2001:db8::${i}`)
    expect((await login('wrong', '2001:db8::6')).statusCode).toBe(429)
    expect((await login('wrong', '2001:db8:0:1::6')).statusCode).toBe(401)
  })

  test('strangers from everywhere are limited together, and cannot lock out who has logged in before', async () => {
    await login(PASSWORD, '192.0.2.1')
    for (let i = 0; i < 60; i++) await login('wrong', `198.51.100.${i}`)
    expect((await login(PASSWORD, '203.0.113.1')).statusCode).toBe(429)
    expect((await login(PASSWORD, '192.0.2.1')).statusCode).toBe(200)
  })
})

describe('a session', () => {
  test('ends with a logout', async () => {
    const headers = await loggedIn()
    const answer = await ask({ method: 'POST', path: '/api/v1/logout', headers })
    expect(answer.statusCode).toBe(200)
    expect(answer.cookies[0]).toMatchObject({ name: 'ringfence_session', value: '' })
    expect((await ask({ path: '/api/v1/status', headers })).statusCode).toBe(401)
  })

  test('ends after twelve hours', async () => {
    const headers = await loggedIn()
    time += 12 * 3600_000 - 1
    expect((await ask({ path: '/api/v1/status', headers })).statusCode).toBe(200)
    time += 1
    expect((await ask({ path: '/api/v1/status', headers })).statusCode).toBe(401)
  })

  test('orders by the name of the dashboard, whatever the request says', async () => {
    const headers = { ...(await loggedIn()), 'x-ringfence-by': 'root@cli' }
    await ask({ method: 'POST', path: '/api/v1/off', headers })
    expect(plane.orders).toEqual([{ order: 'off', by: 'admin@dashboard' }])
  })
})

describe('what another site makes the browser ask', () => {
  const own = `http://${HOST}`
  test.each<[string, Record<string, string>, number]>([
    ['nothing tells whose it is', {}, 403],
    ['the own header', { 'x-ringfence': '1' }, 200],
    ['the own origin', { origin: own }, 200],
    ['the browser says so', { 'sec-fetch-site': 'same-origin' }, 200],
    ['a strange origin', { origin: 'http://evil.example', 'x-ringfence': '1' }, 403],
    ['another port', { origin: 'http://127.0.0.1:9000', 'sec-fetch-site': 'same-site' }, 403],
    ['no origin to name', { origin: 'null' }, 403],
    ['cross-site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['same-site', { 'sec-fetch-site': 'same-site', 'x-ringfence': '1' }, 403],
    ['typed by hand', { 'sec-fetch-site': 'none' }, 403],
  ])('a change: %s', async (_what, marks, status) => {
    const { cookie } = await loggedIn()
    const answer = await app.inject({
      method: 'POST',
      url: '/api/v1/on',
      headers: { host: HOST, cookie: cookie!, ...marks },
    })
    expect([answer.statusCode, plane.orders.length]).toEqual([status, status === 200 ? 1 : 0])
  })

  test.each<[string, Record<string, string>, number]>([
    ['a program', {}, 200],
    ['typed by hand', { 'sec-fetch-site': 'none' }, 200],
    ['the page', { 'sec-fetch-site': 'same-origin' }, 200],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['another port', { 'sec-fetch-site': 'same-site' }, 403],
  ])('a look: %s', async (_what, marks, status) => {
    const headers = { ...(await loggedIn()), ...marks }
    expect((await ask({ path: '/api/v1/status', headers })).statusCode).toBe(status)
  })

  test('a login of another site is refused too', async () => {
    const answer = await app.inject({
      method: 'POST',
      url: '/api/v1/login',
      headers: { host: HOST, origin: 'http://evil.example' },
      payload: { password: PASSWORD },
    })
    expect([answer.statusCode, answer.cookies]).toEqual([403, []])
  })
})

test.each([
  ['127.0.0.1:8560', 200],
  ['192.0.2.5', 200],
  ['[::1]:8560', 200],
  ['localhost:8560', 200],
  ['pbx.example.org:8560', 200],
  ['PBX.example.org', 200],
  ['evil.example:8560', 403],
  ['127.0.0.1.evil.example', 403],
  ['localhost.evil.example', 403],
  ['pbx.example.org@evil.example', 403],
])('the host %j is answered with %i', async (host, status) => {
  expect((await ask({ path: '/', headers: { host } })).statusCode).toBe(status)
})

describe('answers', () => {
  test('of the API are kept by nobody', async () => {
    const answer = await ask({ path: '/api/v1/status', headers: await loggedIn() })
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  test('of the page forbid everything that is not its own', async () => {
    const { headers, statusCode } = await ask({ path: '/' })
    expect(statusCode).toBe(200)
    expect(headers).toMatchObject({
      'content-security-policy':
        "default-src 'none';script-src 'self';style-src 'self';img-src 'self';connect-src 'self';base-uri 'none';form-action 'self';frame-ancestors 'none'",
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    })
    expect(headers['access-control-allow-origin']).toBeUndefined()
  })

  test.each(['/../../etc/passwd', '/..%2f..%2fetc%2fpasswd', '/%2e%2e/%2e%2e/etc/passwd', '/nothing.js'])(
    '%s is not there',
    async (path) => {
      expect((await ask({ path })).statusCode).toBe(404)
    },
  )
})

test('one address cannot ask without end', async () => {
  let refused = 0
  for (let i = 0; i < 1210; i++) {
    if ((await ask({ path: '/', from: '198.51.100.9' })).statusCode === 429) refused++
  }
  expect(refused).toBe(10)
  expect((await ask({ path: '/', from: '198.51.100.10' })).statusCode).toBe(200)
})

test('says what to do where the page has not been built', async () => {
  const bare = await buildApi({
    plane,
    door: { kind: 'web', password: PASSWORD, webRoot: join(webRoot, 'nowhere') },
    version: '0.1.0',
  })
  const answer = await bare.inject({ url: '/', headers: { host: HOST } })
  expect([answer.statusCode, answer.body]).toEqual([
    503,
    'The page has not been built yet: run "npm run build".\n',
  ])
  await bare.close()
})
