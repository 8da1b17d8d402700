import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AllowedView, AllowView, DecisionView } from '../../../dashboard/api/decisions.ts'
import { answering, listen, NOW, newPlace, type Place, run } from './command-line.ts'

const BLOCK: DecisionView = {
  id: 7,
  kind: 'block',
  target: '203.0.113.7',
  scope: 'sip',
  since: NOW,
  until: NOW + 599_000,
  secondsLeft: 599,
  by: 'operator',
  grade: null,
  reason: 'guesses passwords',
  evidence: {},
  packetsDropped: 12_345,
  bytesDropped: 5_000_000,
}
const SUSPENSION: DecisionView = {
  ...BLOCK,
  id: 8,
  kind: 'suspend',
  target: '198.51.100.20:5062',
  scope: 'register',
  until: null,
  secondsLeft: null,
  by: 'retry-limit',
  grade: 'path',
  reason: 'six failures \u001b[2J\u202etxt.exe\r\nfaked line',
  packetsDropped: null,
  bytesDropped: null,
}
const ALLOWED: AllowView = { target: '198.51.100.0/24', since: NOW, by: 'operator', reason: 'our trunk' }

const NONE: AllowedView['lifted'] = { count: 0, first: [] }

let place: Place
let close: (() => Promise<void>) | undefined

beforeEach(() => {
  process.env.TZ = 'UTC'
  place = newPlace()
})

afterEach(async () => {
  await close?.()
  close = undefined
  place.remove()
})

async function serve(status: number, body: unknown) {
  const server = await listen(place.socket, answering(status, body))
  close = server.close
  return server.heard
}

describe('an order', () => {
  test.each([
    {
      args: ['block', ' 203.0.113.7', '--for', '10m', '--reason', 'guesses passwords'],
      status: 201,
      answer: { ...BLOCK, notice: null },
      sent: {
        method: 'POST',
        url: '/api/v1/blocks',
        body: { target: '203.0.113.7', seconds: 600, reason: 'guesses passwords' },
      },
      out: '203.0.113.7 is blocked on the SIP ports for 9m 59s\n',
    },
    {
      args: ['block', '2001:DB8:0::/48'],
      status: 201,
      answer: { ...BLOCK, target: '2001:db8::/48', until: null, secondsLeft: null, notice: null },
      sent: { method: 'POST', url: '/api/v1/blocks', body: { target: '2001:db8::/48' } },
      out: '2001:db8::/48 is blocked on the SIP ports until it is unblocked\n',
    },
    {
      args: ['unblock', '[2001:db8::7]:5062'],
      status: 200,
      answer: { removed: [BLOCK, SUSPENSION] },
      sent: { method: 'POST', url: '/api/v1/unblock', body: { target: '[2001:db8::7]:5062' } },
      out: '203.0.113.7: the block of scope sip is taken back\n198.51.100.20:5062: the suspension is taken back\n',
    },
    {
      args: ['allow', '198.51.100.9/24', '--reason', 'our trunk'],
      status: 201,
      answer: { ...ALLOWED, lifted: NONE, wider: NONE },
      sent: {
        method: 'POST',
        url: '/api/v1/allow',
        body: { target: '198.51.100.0/24', reason: 'our trunk' },
      },
      out: '198.51.100.0/24 is allowed\n',
    },
    {
      args: ['allow', '198.51.100.0/28'],
      status: 201,
      answer: {
        ...ALLOWED,
        target: '198.51.100.0/28',
        lifted: { count: 12, first: ['198.51.100.7', '198.51.100.9:5062'] },
        wider: { count: 1, first: ['198.51.100.0/24'] },
      },
      sent: { method: 'POST', url: '/api/v1/allow', body: { target: '198.51.100.0/28' } },
      out: '198.51.100.0/28 is allowed\ntaken back: 12 blocks and suspensions (198.51.100.7, 198.51.100.9:5062 and 10 more)\n198.51.100.0/24 goes on for the rest of it: only 198.51.100.0/28 is let through (`ringfence unblock` takes a block back)\n',
    },
    {
      args: ['disallow', '198.51.100.0/24'],
      status: 200,
      answer: { removed: [ALLOWED] },
      sent: { method: 'POST', url: '/api/v1/disallow', body: { target: '198.51.100.0/24' } },
      out: '198.51.100.0/24 is no longer allowed\n',
    },
    {
      args: ['enforce', 'sip'],
      status: 200,
      answer: { enforced: true, notice: null },
      sent: { method: 'POST', url: '/api/v1/enforce-sip', body: { enforced: true } },
      out: 'the SIP limit is enforced: what is over it is dropped\n',
    },
    {
      args: ['block', '192.0.2.10'],
      status: 201,
      answer: { ...BLOCK, target: '192.0.2.10', notice: 'it cuts off the configured gateway carrier' },
      sent: { method: 'POST', url: '/api/v1/blocks', body: { target: '192.0.2.10' } },
      out: '192.0.2.10 is on the blocklist for 9m 59s: it cuts off the configured gateway carrier\n',
    },
    // What nothing comes of is not called done.
    {
      args: ['block', '203.0.113.7'],
      status: 201,
      answer: { ...BLOCK, notice: 'noted; nothing is dropped while the configuration says mode: observe' },
      sent: { method: 'POST', url: '/api/v1/blocks', body: { target: '203.0.113.7' } },
      out: '203.0.113.7 is on the blocklist for 9m 59s: noted; nothing is dropped while the configuration says mode: observe\n',
    },
    {
      args: ['enforce', 'sip'],
      status: 200,
      answer: { enforced: true, notice: 'noted; nothing is dropped while the rules are off' },
      sent: { method: 'POST', url: '/api/v1/enforce-sip', body: { enforced: true } },
      out: 'the SIP limit is enforced: noted; nothing is dropped while the rules are off\n',
    },
    {
      args: ['on'],
      status: 200,
      answer: { on: true, notice: 'noted; nothing is dropped while the configuration says mode: observe' },
      sent: { method: 'POST', url: '/api/v1/on' },
      out: 'noted; nothing is dropped while the configuration says mode: observe\n',
    },
    {
      args: ['strict', 'on'],
      status: 200,
      answer: {
        state: 'strict',
        since: NOW,
        why: 'The operator ordered the strict limits.',
        order: 'on',
        notice: null,
      },
      sent: { method: 'POST', url: '/api/v1/strict', body: { order: 'on' } },
      out: 'the strict limits decide: The operator ordered the strict limits.\n',
    },
    {
      args: ['strict', 'auto'],
      status: 200,
      answer: {
        state: 'peace',
        since: NOW,
        why: 'Unknown sources are within their limit.',
        order: 'auto',
        notice: null,
      },
      sent: { method: 'POST', url: '/api/v1/strict', body: { order: 'auto' } },
      out: 'the limits of peace decide: Unknown sources are within their limit.\n',
    },
    {
      args: ['enforce', 'sip', '--observe'],
      status: 200,
      answer: { enforced: false, notice: null },
      sent: { method: 'POST', url: '/api/v1/enforce-sip', body: { enforced: false } },
      out: 'the SIP limit is only observed: `ringfence status` lists whom it would limit\n',
    },
    {
      args: ['off'],
      status: 200,
      answer: { removed: ['RINGFENCE (IPv4)', 'rf-block4'] },
      sent: { method: 'POST', url: '/api/v1/off' },
      out: 'removed from the kernel: 1 chain and 1 set (`--json` names them)\nthe daemon goes on observing; `ringfence on` or a restart of it puts the rules back\n',
    },
    {
      args: ['on'],
      status: 200,
      answer: { on: true, notice: null },
      sent: { method: 'POST', url: '/api/v1/on' },
      out: 'the rules are on\n',
    },
    {
      args: ['account', 'remove', 'alice+1'],
      status: 200,
      answer: { aor: 'alice+1', origin: 'added', bindings: 0 },
      sent: { method: 'DELETE', url: '/api/v1/accounts/alice%2B1' },
      out: 'the account alice+1 is removed\n',
    },
  ])('$args', async ({ args, status, answer, sent, out }) => {
    const heard = await serve(status, answer)
    expect(await run(place, args)).toEqual({ code: 0, out, err: '' })
    expect(heard).toEqual([{ body: undefined, ...sent, by: 'alice@cli' }])
    expect(await run(place, [...args, '--json'])).toEqual({
      code: 0,
      out: `${JSON.stringify(answer)}\n`.replaceAll('\u202e', '\\u202e'),
      err: '',
    })
  })

  test.each([
    { args: ['unblock', '203.0.113.7'], says: '203.0.113.7 is neither blocked nor suspended' },
    { args: ['disallow', '203.0.113.7'], says: '203.0.113.7 is not on the allowlist' },
  ])('$args that finds nothing is 4', async ({ args, says }) => {
    await serve(200, { removed: [] })
    expect(await run(place, args)).toEqual({ code: 4, out: '', err: `ringfence: ${says}\n` })
    expect(await run(place, [...args, '--json'])).toEqual({
      code: 4,
      out: `{"error":"not-found","message":"${says}"}\n`,
      err: `ringfence: ${says}\n`,
    })
  })
})

describe('a table', () => {
  test('of decisions is aligned, and nothing hostile in it reaches the terminal', async () => {
    await serve(200, [BLOCK, SUSPENSION])
    expect(await run(place, ['blocked'])).toEqual({
      code: 0,
      err: '',
      out: [
        'TARGET              KIND     SCOPE       LEFT  DROPPED  BY           REASON',
        '203.0.113.7         block    sip       9m 59s   12,345  operator     guesses passwords',
        '198.51.100.20:5062  suspend  register  stands        -  retry-limit  six failures \\u001b[2J\\u202etxt.exe\\u000d\\u000afaked line',
        '',
      ].join('\n'),
    })
    const { out } = await run(place, ['blocked', '--json'])
    expect(out).toMatch(/^[\x20-\x7e]*\n$/)
    expect(JSON.parse(out)).toEqual([BLOCK, SUSPENSION])
  })

  test('of decisions marks what the allowlist lets through', async () => {
    await serve(200, [{ ...BLOCK, allowedBy: '203.0.113.0/24' }])
    expect((await run(place, ['blocked'])).out).toContain(
      'operator  NOT BLOCKED, allowed by 203.0.113.0/24; guesses passwords\n',
    )
  })

  test('has colours only where they are welcome', async () => {
    await serve(200, [ALLOWED])
    const { out } = await run(place, ['allowed'], { colours: true })
    expect(out).toBe(
      '\u001b[1mTARGET           SINCE                BY        REASON\u001b[0m\n198.51.100.0/24  2026-01-02 03:04:05  operator  our trunk\n',
    )
  })

  test.each([
    { args: ['blocked'], out: 'nothing is blocked or suspended\n' },
    { args: ['allowed'], out: 'the allowlist is empty\n' },
    { args: ['bindings'], out: 'nobody is registered\n' },
    { args: ['account', 'list'], out: 'there is no account\n' },
  ])('$args that is empty says so', async ({ args, out }) => {
    await serve(200, [])
    expect(await run(place, args)).toEqual({ code: 0, out, err: '' })
  })

  test('of accounts and bindings', async () => {
    const heard = await serve(200, [
      {
        aor: '1001',
        origin: 'added',
        bindings: 2,
        contact: 'sip:1001@192.0.2.7:5062',
        source: '192.0.2.7:5062',
        transport: 'udp',
        userAgent: 'evil\u009b31m',
        registeredAt: NOW,
        secondsLeft: 3_599,
        online: 'online',
      },
    ])
    expect((await run(place, ['account', 'list'])).out).toBe(
      'ACCOUNT  ORIGIN  BINDINGS\n1001     added          2\n',
    )
    expect((await run(place, ['bindings'])).out).toBe(
      [
        'ACCOUNT  CONTACT                  SOURCE          VIA  SINCE                   LEFT  ONLINE  USER AGENT',
        '1001     sip:1001@192.0.2.7:5062  192.0.2.7:5062  udp  2026-01-02 03:04:05  59m 59s  yes     evil\\u009b31m',
        '',
      ].join('\n'),
    )
    expect(heard.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /api/v1/accounts',
      'GET /api/v1/bindings',
    ])
  })
})

describe('wrong usage is 2, and the daemon is not asked', () => {
  test.each([
    { args: [], err: /^Usage: ringfence \[options\] \[command\]/ },
    { args: ['blok', '203.0.113.7'], err: /^error: unknown command 'blok'\n\(Did you mean block\?\)\n$/ },
    { args: ['block'], err: /^error: missing required argument 'target'\n$/ },
    {
      args: ['block', '203.0.113.7', '--fro', '10m'],
      err: /^error: unknown option '--fro'\n\(Did you mean --for\?\)\n$/,
    },
    {
      args: ['block', '203.0.113.300'],
      err: /^ringfence: "203\.0\.113\.300" is no address or prefix; write it like 203\.0\.113\.7 or 203\.0\.113\.0\/24\n$/,
    },
    {
      args: ['block', '203.0.113.7', '--for', '10 minutes'],
      err: /^ringfence: --for "10 minutes" is no duration; write it like 90s, 10m, 1h30m or 7d\n$/,
    },
    { args: ['block', '203.0.113.7', '--for', '0'], err: /is no duration/ },
    {
      args: ['explain', '203.0.113.0/24'],
      err: /is no address; write it like 203\.0\.113\.7, 2001:db8::7 or 203\.0\.113\.7:5060\n$/,
    },
    { args: ['enforce', 'everything'], err: /Allowed choices are sip/ },
    { args: ['strict', 'perhaps'], err: /Allowed choices are on, off, auto/ },
    { args: ['block', '\u001b[31m'], err: /^ringfence: "\\u001b\[31m" is no address/ },
    { args: ['account', 'add', 'alice@example.org'], err: /is no account; write the user part alone/ },
  ])('$args', async ({ args, err }) => {
    const heard = await serve(200, {})
    const ran = await run(place, args)
    expect(ran).toEqual({ code: 2, out: '', err: expect.stringMatching(err) })
    expect(heard).toEqual([])
  })
})

describe('account add', () => {
  const added = { aor: '1001', origin: 'added', bindings: 0 }
  const typing = (...lines: string[]) => ({ askSecret: async () => lines.shift()! })

  test('asks twice on a terminal', async () => {
    const heard = await serve(201, added)
    const asked: string[] = []
    const ran = await run(place, ['account', 'add', '1001'], {
      askSecret: async (question) => {
        asked.push(question)
        return 'correct horse'
      },
    })
    expect(ran).toEqual({ code: 0, out: 'the account 1001 is added\n', err: '' })
    expect(asked).toEqual(['Password: ', 'Password again: '])
    expect(heard.map(({ body }) => body)).toEqual([{ aor: '1001', password: 'correct horse' }])
  })

  test.each([
    { input: 'correct horse\n', password: 'correct horse' },
    { input: 'correct horse\r\n', password: 'correct horse' },
    { input: ' p ', password: ' p ' },
  ])('reads $input from standard input', async ({ input, password }) => {
    const heard = await serve(201, added)
    const ran = await run(place, ['account', 'add', '1001', '--password-stdin'], {
      readInput: async () => input,
    })
    expect(ran.code).toBe(0)
    expect(heard.map(({ body }) => body)).toEqual([{ aor: '1001', password }])
  })

  const stdin = (text: string | undefined) => ({ readInput: async () => text })
  test.each([
    { flags: [], world: {}, says: 'there is no terminal to ask for the password; use --password-stdin' },
    { flags: [], world: typing('hunter2', 'hunter3'), says: 'the two passwords differ' },
    { flags: [], world: typing(''), says: 'the password is empty' },
    { flags: ['--password-stdin'], world: stdin('\n'), says: 'the password is empty' },
    {
      flags: ['--password-stdin'],
      world: stdin('hunter2\nsecond\n'),
      says: 'the password must be a single line without control characters',
    },
    {
      flags: ['--password-stdin'],
      world: stdin(undefined),
      says: 'standard input holds more than a password',
    },
    {
      flags: ['--password-stdin'],
      world: stdin('x'.repeat(129)),
      says: 'the password is longer than 128 characters',
    },
  ])('$says', async ({ flags, world, says }) => {
    const heard = await serve(201, added)
    const ran = await run(place, ['account', 'add', '1001', ...flags], world)
    expect(ran).toEqual({ code: 2, out: '', err: `ringfence: ${says}\n` })
    expect(heard).toEqual([])
  })
})
