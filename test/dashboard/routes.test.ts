import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildApi, readCaller } from '../../dashboard/api/app.ts'
import { type ImaginedControlPlane, imagineControlPlane } from './imagined-control-plane.ts'

type App = Awaited<ReturnType<typeof buildApi>>

let plane: ImaginedControlPlane
let app: App

beforeEach(async () => {
  plane = imagineControlPlane({ now: () => 1_000_000 })
  app = await buildApi({ plane, door: { kind: 'socket' }, version: '0.1.0' })
})
afterEach(() => app.close())

async function ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) {
  const answer = await app.inject({
    method,
    url: `/api/v1/${path}`,
    headers: { 'x-ringfence-by': 'root@cli' },
    ...(body === undefined ? {} : { payload: body }),
  })
  return { status: answer.statusCode, body: answer.json() }
}

describe('orders', () => {
  test('a block stands, is listed, and is taken back', async () => {
    const made = {
      id: 1,
      kind: 'block',
      target: '203.0.113.7',
      scope: 'sip',
      since: 1_000_000,
      until: 1_600_000,
      secondsLeft: 600,
      by: 'operator',
      grade: null,
      reason: 'calls our trunk',
      evidence: { by: 'root@cli' },
      packetsDropped: 0,
      bytesDropped: 0,
    }
    plane.scene.notice = 'noted; nothing is dropped while the rules are off'
    const order = { target: ' 203.0.113.7/32', seconds: 600, reason: 'calls our trunk' }
    expect(await ask('POST', 'blocks', order)).toEqual({
      status: 201,
      body: { ...made, notice: 'noted; nothing is dropped while the rules are off' },
    })
    expect(await ask('GET', 'blocked')).toEqual({ status: 200, body: [made] })
    expect(await ask('POST', 'unblock', { target: '203.0.113.7' })).toEqual({
      status: 200,
      body: { removed: [made] },
    })
    expect(await ask('GET', 'blocked')).toEqual({ status: 200, body: [] })
    expect(plane.orders).toEqual([
      { order: 'block 203.0.113.7', by: 'root@cli' },
      { order: 'unblock 203.0.113.7', by: 'root@cli' },
    ])
  })

  test('a block without seconds stands until it is taken back', async () => {
    const { body } = await ask('POST', 'blocks', { target: '2001:DB8::/32' })
    expect(body).toMatchObject({ target: '2001:db8::/32', until: null, secondsLeft: null })
  })

  test('the allowlist', async () => {
    const view = { target: '198.51.100.0/24', since: 1_000_000, by: 'operator', reason: 'our trunk' }
    expect(await ask('POST', 'allow', { target: '198.51.100.9/24', reason: 'our trunk' })).toEqual({
      status: 201,
      body: { ...view, lifted: { count: 0, first: [] }, wider: { count: 0, first: [] } },
    })
    expect(await ask('GET', 'allowed')).toEqual({ status: 200, body: [view] })
    expect(await ask('POST', 'blocks', { target: '198.51.100.0/24' })).toEqual({
      status: 409,
      body: {
        error: 'conflict',
        message: '198.51.100.0/24 is on the allowlist; take it off first: ringfence disallow 198.51.100.0/24',
      },
    })
    expect(await ask('POST', 'disallow', { target: '198.51.100.0/24' })).toEqual({
      status: 200,
      body: { removed: [view] },
    })
  })

  test('accounts', async () => {
    const view = { aor: 'sip:1001@pbx', origin: 'added', bindings: 0 }
    const order = { aor: 'sip:1001@pbx', password: 'secret' }
    expect(await ask('POST', 'accounts', order)).toEqual({ status: 201, body: view })
    expect((await ask('POST', 'accounts', order)).status).toBe(409)
    expect(await ask('GET', 'accounts')).toEqual({ status: 200, body: [view] })
    expect(await ask('DELETE', `accounts/${encodeURIComponent('sip:1001@pbx')}`)).toEqual({
      status: 200,
      body: view,
    })
    expect(await ask('DELETE', 'accounts/1001')).toEqual({
      status: 404,
      body: { error: 'not-found', message: 'There is no account 1001.' },
    })
    expect(await ask('GET', 'bindings')).toEqual({ status: 200, body: [] })
  })

  test('the switches', async () => {
    expect(await ask('POST', 'enforce-sip', { enforced: true })).toEqual({
      status: 200,
      body: { enforced: true, notice: null },
    })
    expect(await ask('POST', 'strict', { order: 'on' })).toEqual({
      status: 200,
      body: {
        state: 'strict',
        since: 1_000_000,
        why: 'The operator ordered it on.',
        order: 'on',
        notice: null,
      },
    })
    expect((await ask('POST', 'strict', { order: 'maybe' })).status).toBe(400)
    expect(await ask('POST', 'off')).toEqual({ status: 200, body: { removed: ['chain RINGFENCE'] } })
    expect((await ask('GET', 'status')).body).toMatchObject({ state: 'off', rules: { state: 'off' } })
    expect(await ask('POST', 'on')).toEqual({ status: 200, body: { on: true, notice: null } })
    expect(plane.orders.map(({ order }) => order)).toEqual(['enforce-sip true', 'strict on', 'off', 'on'])
  })

  test('a configuration is brought in on trial, and kept', async () => {
    const order = { text: 'protect: {}', file: '/root/new.yaml', confirmWithin: 60 }
    const trial = { file: '/root/new.yaml', by: 'root@cli', until: 1_060_000, secondsLeft: 60 }
    expect((await ask('POST', 'apply', order)).body).toMatchObject({ state: 'trial', trial })
    expect((await ask('GET', 'status')).body.trial).toEqual(trial)
    expect((await ask('POST', 'confirm')).body).toMatchObject({ state: 'kept', trial: null })
    expect(await ask('POST', 'revert')).toEqual({
      status: 404,
      body: { error: 'not-found', message: 'No configuration is on trial.' },
    })
    expect(plane.orders.map(({ order: what }) => what)).toEqual(['apply /root/new.yaml', 'confirm'])
  })

  test('a bad configuration is answered with all its problems', async () => {
    expect(await ask('POST', 'apply', { text: 'misspelt: 1', file: 'new.yaml' })).toEqual({
      status: 422,
      body: { error: 'bad-config', message: 'new.yaml:1:1: misspelt is not known\nnew.yaml:2:1: nor this' },
    })
  })

  test('a configuration may be as large as the file', async () => {
    const text = `# ${'x'.repeat(8 * 1024 * 1024 - 2)}`
    expect((await ask('POST', 'apply', { text, file: 'new.yaml' })).status).toBe(200)
    expect((await ask('POST', 'plan', { candidate: { text, file: 'new.yaml' } })).status).toBe(200)
  })

  test.each([9, 3_601, 10.5])('a trial of %s seconds is refused', async (confirmWithin) => {
    const order = { text: 'protect: {}', file: 'new.yaml', confirmWithin }
    expect((await ask('POST', 'apply', order)).status).toBe(400)
    expect(plane.orders).toEqual([])
  })

  test('a plan and a trace', async () => {
    expect((await ask('POST', 'plan', {})).body).toMatchObject({ file: '/etc/ringfence/ringfence.yaml' })
    expect((await ask('POST', 'trace', { source: '203.0.113.7:5060', method: 'INVITE' })).body).toMatchObject(
      {
        packet: 'INVITE from 203.0.113.7:5060',
      },
    )
    for (const wrong of [{ method: 'IN VITE' }, { payload: '<bytes>' }, { protocol: 'sctp' }]) {
      expect((await ask('POST', 'trace', { source: '203.0.113.7:5060', ...wrong })).status).toBe(400)
    }
  })

  test('the story of a source is asked for in the normal form', async () => {
    expect((await ask('GET', 'sources/::ffff:203.0.113.7')).body).toMatchObject({
      address: '203.0.113.7',
      lane: 'unknown',
    })
  })
})

describe('unblock takes the target as a decision shows it', () => {
  test.each([
    ['203.0.113.7:5060', '203.0.113.7:5060'],
    ['[2001:DB8::7]:5060', '[2001:db8::7]:5060'],
    ['2001:db8::7', '2001:db8::7'],
    ['203.0.113.7/24', '203.0.113.0/24'],
  ])('%s', async (written, asked) => {
    expect((await ask('POST', 'unblock', { target: written })).status).toBe(200)
    expect(plane.orders).toEqual([{ order: `unblock ${asked}`, by: 'root@cli' }])
  })
})

describe('a wrong order is refused in one clear sentence', () => {
  const how = '; write it like 203.0.113.7 or 203.0.113.0/24'
  const example = '; send for example {"target":"203.0.113.7","seconds":600,"reason":"guesses passwords"}.'
  test.each<[string, string, unknown, string]>([
    ['blocks', 'short address', { target: '1.2.3' }, `"1.2.3" is no address or prefix${how}`],
    ['blocks', 'leading zero', { target: '010.1.1.1' }, `"010.1.1.1" is no address or prefix${how}`],
    ['blocks', 'long prefix', { target: '1.2.3.4/33' }, `"1.2.3.4/33" is no address or prefix${how}`],
    ['blocks', 'a port', { target: '1.2.3.4:5060' }, `"1.2.3.4:5060" is no address or prefix${how}`],
    [
      'blocks',
      'terminal codes',
      { target: '\u001b[2J\u202e\u009b' },
      `"\\u001b[2J\\u202e\\u009b" is no address or prefix${how}`,
    ],
    ['blocks', 'nothing', {}, `"target" is missing${example}`],
    [
      'blocks',
      'text for a number',
      { target: '1.2.3.4', seconds: '60' },
      `"seconds" must be an integer${example}`,
    ],
    ['blocks', 'zero seconds', { target: '1.2.3.4', seconds: 0 }, `"seconds" must be at least 1${example}`],
    ['blocks', 'a misspelt key', { target: '1.2.3.4', second: 5 }, `"second" is not known here${example}`],
    [
      'blocks',
      'a reason of two lines',
      { target: '1.2.3.4', reason: 'a\nb' },
      `"reason" must not hold control characters${example}`,
    ],
    [
      'blocks',
      'a long reason',
      { target: '1.2.3.4', reason: 'x'.repeat(201) },
      `"reason" must not be longer than 200 characters${example}`,
    ],
    [
      'unblock',
      'a port too high',
      { target: '1.2.3.4:70000' },
      `"1.2.3.4:70000" is no address or prefix${how}`,
    ],
    [
      'enforce-sip',
      'text for a switch',
      { enforced: 'yes' },
      '"enforced" must be a boolean; send for example {"enforced":true}.',
    ],
    [
      'accounts',
      'an empty name',
      { aor: '', password: 'x' },
      '"aor" must not be empty; send for example {"aor":"1001","password":"a long secret"}.',
    ],
  ])('%s: %s', async (path, _what, body, message) => {
    expect(await ask('POST', path, body as object)).toEqual({
      status: 400,
      body: { error: 'bad-input', message },
    })
    expect(plane.orders).toEqual([])
  })

  test('an address for the story', async () => {
    expect(await ask('GET', 'sources/203.0.113.0%2F24')).toEqual({
      status: 400,
      body: {
        error: 'bad-input',
        message: '"203.0.113.0/24" is no address; write it like 203.0.113.7, 2001:db8::7 or 203.0.113.7:5060',
      },
    })
  })

  test.each<[string, { payload: string; headers: Record<string, string> }, number]>([
    ['not JSON', { payload: '{', headers: { 'content-type': 'application/json' } }, 400],
    ['no body', { payload: '', headers: { 'content-type': 'application/json' } }, 400],
    [
      'a form',
      { payload: 'target=1.2.3.4', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
    ],
    ['plain text', { payload: '{"target":"1.2.3.4"}', headers: { 'content-type': 'text/plain' } }, 415],
    [
      'too large',
      {
        payload: JSON.stringify({ target: 'x'.repeat(70_000) }),
        headers: { 'content-type': 'application/json' },
      },
      413,
    ],
    [
      'a prototype',
      { payload: '{"__proto__":{"target":"1.2.3.4"}}', headers: { 'content-type': 'application/json' } },
      400,
    ],
  ])('%s', async (_what, request, status) => {
    const answer = await app.inject({ method: 'POST', url: '/api/v1/blocks', ...request })
    expect([answer.statusCode, answer.json().error]).toEqual([status, 'bad-input'])
    expect(plane.orders).toEqual([])
  })

  test('an unknown path', async () => {
    expect(await ask('GET', 'nothing')).toEqual({
      status: 404,
      body: { error: 'not-found', message: 'There is nothing under this address.' },
    })
  })

  test('a failure of the control plane hides its cause from the caller', async () => {
    plane.status = () => Promise.reject(new Error('secret path'))
    const { status, body } = await ask('GET', 'status')
    expect([status, body.error]).toEqual([500, 'internal'])
    expect(JSON.stringify(body)).not.toContain('secret')
  })
})

test.each([
  ['root@cli', 'root@cli'],
  [undefined, 'unnamed@socket'],
  ['\u001b[31m<b>root</b>\n', '31mbrootb'],
  ['x'.repeat(100), 'x'.repeat(64)],
])('the caller %j is recorded as %s', (header, name) => {
  expect(readCaller(header)).toBe(name)
})

test('the OpenAPI document lists every route and the shape of each order', async () => {
  const { body } = await ask('GET', 'openapi.json')
  expect(Object.keys(body.paths).sort()).toEqual(
    [
      'accounts',
      'accounts/{aor}',
      'allow',
      'allowed',
      'apply',
      'backtest',
      'bindings',
      'blocked',
      'blocks',
      'confirm',
      'disallow',
      'enforce-sip',
      'live',
      'off',
      'on',
      'plan',
      'revert',
      'sources/{address}',
      'status',
      'strict',
      'trace',
      'unblock',
    ].map((path) => `/api/v1/${path}`),
  )
  const order = body.paths['/api/v1/blocks'].post.requestBody.content['application/json'].schema
  expect([order.required, Object.keys(order.properties)]).toEqual([
    ['target'],
    ['target', 'seconds', 'reason'],
  ])
})

test('the socket door has no login', async () => {
  expect((await ask('POST', 'login', { password: 'x' })).status).toBe(404)
})
