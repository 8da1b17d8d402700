import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ReplayRequest } from '../../../agent/cli/deps.ts'
import { CliFailure, EXIT } from '../../../agent/cli/outcome.ts'
import type { ComparisonView, SourceJudgement } from '../../../dashboard/api/comparison.ts'
import type { SourceStory } from '../../../dashboard/api/source-story.ts'
import { answering, listen, NOW, newPlace, type Place, run } from './command-line.ts'

let place: Place
let candidate: string
let close: (() => Promise<void>) | undefined

beforeEach(() => {
  place = newPlace()
  candidate = join(place.folder, 'new.yaml')
  writeFileSync(candidate, 'protect: { interfaces: [eth0] }\n')
})
afterEach(async () => {
  await close?.()
  close = undefined
  place.remove()
})

async function serve(answer: unknown, status = 200) {
  const server = await listen(place.socket, answering(status, answer))
  close = server.close
  return server.heard
}

const JUDGED: SourceJudgement = {
  verdict: 'retry-limit',
  action: 'suspend',
  scope: 'register',
  target: '198.51.100.7:5060',
  targets: 1,
  first: NOW - 3_600_000,
  count: 2,
  seconds: 360,
  grade: 'path',
  reason: '3 failed registrations in a row for 1001\u001b[2J',
}
const NONE = { count: 0, first: [] }
const QUIET: ComparisonView = {
  from: NOW - 86_400_000,
  to: NOW,
  before: {
    name: 'the present policy',
    blocks: 1,
    suspensions: 0,
    informing: 0,
    sources: 1,
    phonesTouched: 0,
  },
  after: { name: '/root/new.yaml', blocks: 1, suspensions: 0, informing: 0, sources: 1, phonesTouched: 0 },
  phones: { registered: 120, touched: NONE, relieved: NONE, spared: 0 },
  changes: { new: NONE, gone: NONE, harder: NONE, softer: NONE, other: NONE },
  same: 1,
  notes: ['REGISTERs are sums'],
}
const LOUD: ComparisonView = {
  ...QUIET,
  after: { ...QUIET.after, suspensions: 2, sources: 2, phonesTouched: 1 },
  phones: {
    registered: 120,
    touched: {
      count: 1,
      first: [
        {
          account: '1001@example.com',
          source: '198.51.100.7:5060',
          time: NOW - 3_600_000,
          by: 'suspend of 198.51.100.7:5060 (retry-limit): 3 failed',
        },
      ],
    },
    relieved: NONE,
    spared: 4,
  },
  changes: {
    new: { count: 1, first: [{ source: '198.51.100.7', before: [], after: [JUDGED], phonesTouched: 1 }] },
    gone: NONE,
    harder: NONE,
    softer: {
      count: 1,
      first: [
        {
          source: '203.0.113.9',
          before: [
            { ...JUDGED, verdict: 'lockout', action: 'block', scope: 'sip', target: '203.0.113.9' },
            { ...JUDGED, target: '203.0.113.9:6000', targets: 3, count: 6 },
          ],
          after: [
            { ...JUDGED, target: '203.0.113.9:7000', count: 1 },
            {
              ...JUDGED,
              verdict: 'account-scan',
              action: 'alert',
              target: '203.0.113.9',
              count: 3,
              seconds: 0,
            },
          ],
          phonesTouched: 0,
        },
      ],
    },
    other: NONE,
  },
}

describe('backtest', () => {
  test('sends the candidate and the time, and says that no phone would be cut off', async () => {
    const heard = await serve(QUIET)
    expect(await run(place, ['backtest', '--config', candidate])).toEqual({
      code: 0,
      err: '',
      out: `of 120 registered phones none would be cut off that is not now

2026-01-01 03:04:05 to 2026-01-02 03:04:05 (1d)
  the present policy: 1 block, 0 suspensions, 0 that inform, of 1 source; 0 registered phones cut off
  /root/new.yaml: 1 block, 0 suspensions, 0 that inform, of 1 source; 0 registered phones cut off

Every source would be judged alike (1 with a verdict).

What this does not know:
  REGISTERs are sums
`,
    })
    expect(heard).toEqual([
      {
        method: 'POST',
        url: '/api/v1/backtest',
        by: 'alice@cli',
        body: {
          candidate: { text: 'protect: { interfaces: [eth0] }\n', file: candidate },
          seconds: 86_400,
        },
      },
    ])
  })

  test('says first and loud which phones would be cut off, and ends with 1', async () => {
    await serve(LOUD)
    const { code, out } = await run(place, ['backtest', candidate, '--since', '7d'])
    expect(code).toBe(1)
    expect(
      out,
    ).toBe(`1 of 120 registered phones would be CUT OFF by /root/new.yaml; 4 more are behind addresses that it punishes, and served all the same (proven ports)

Cut off, and not now:
  2026-01-02 02:04:05  1001@example.com at 198.51.100.7:5060: suspend of 198.51.100.7:5060 (retry-limit): 3 failed

2026-01-01 03:04:05 to 2026-01-02 03:04:05 (1d)
  the present policy: 1 block, 0 suspensions, 0 that inform, of 1 source; 0 registered phones cut off
  /root/new.yaml: 1 block, 2 suspensions, 0 that inform, of 2 sources; 1 registered phone cut off

1 source judged alike, 2 otherwise:

New (1):
  198.51.100.7  suspend of 198.51.100.7:5060 (retry-limit, scope register) 2 times, 6m in all, cuts off 1 registered phone
      2026-01-02 02:04:05  grade path: 3 failed registrations in a row for 1001\\u001b[2J

Softer (1):
  203.0.113.9  suspend of 203.0.113.9:7000 (retry-limit, scope register) once, 6m in all
      2026-01-02 02:04:05  grade path: 3 failed registrations in a row for 1001\\u001b[2J
      and alert of 203.0.113.9 (account-scan, scope register) 3 times, first 2026-01-02 02:04:05
      instead of block of 203.0.113.9 (lockout, scope sip) 2 times, 6m in all, first 2026-01-02 02:04:05
      and suspend of 3 ports, 203.0.113.9:6000 first (retry-limit, scope register) 6 times, 6m in all, first 2026-01-02 02:04:05

What this does not know:
  REGISTERs are sums
`)
  })

  test('as JSON is the whole answer', async () => {
    await serve(LOUD)
    const { code, out } = await run(place, ['backtest', candidate, '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toEqual(LOUD)
  })

  test.each([
    { args: [], err: 'ringfence: --config FILE is missing: the configuration to try\n' },
    {
      args: ['new.yaml', '--since', '5s'],
      err: 'ringfence: --since 5s is no duration from 1m to 90d; write it like 24h\n',
    },
  ])('$args is wrong usage', async ({ args, err }) => {
    expect(await run(place, ['backtest', ...args])).toEqual({ code: 2, out: '', err })
  })

  test('a configuration that is refused is told line by line', async () => {
    await serve({ error: 'bad-config', message: 'new.yaml:1:1: unknown key' }, 422)
    const { code, err } = await run(place, ['backtest', candidate])
    expect([code, err]).toEqual([1, 'ringfence: new.yaml:1:1: unknown key\n'])
  })
})

describe('replay against another configuration', () => {
  const replaying = (comparison: ComparisonView) => {
    const requests: ReplayRequest[] = []
    return {
      requests,
      replayCaptures: async (request: ReplayRequest) => {
        requests.push(request)
        request.write('10 frames')
        return { exitCode: 0, comparison }
      },
    }
  }

  test('hands both over and shows the comparison', async () => {
    writeFileSync(candidate, 'protect: { interfaces: [eth0] }\npolicy: { registerRetry: 3 }\n')
    const { requests, replayCaptures } = replaying(LOUD)
    const args = ['replay', 'a.pcap', '--against', candidate]
    const { code, out } = await run(place, args, { replayCaptures })
    expect(code).toBe(1)
    expect(out).toContain('10 frames\n1 of 120 registered phones would be CUT OFF')
    expect(requests[0]?.against).toMatchObject({
      names: ['the defaults', candidate],
      config: { policy: { registerRetry: 3 } },
    })
  })

  test('ends quietly where standard output is closed', async () => {
    const { replayCaptures } = replaying(QUIET)
    const out = () => {
      throw new CliFailure(EXIT.done, 'broken-pipe', '')
    }
    const args = ['replay', 'a.pcap', '--against', candidate, '--json']
    expect(await run(place, args, { replayCaptures, out })).toEqual({ code: 0, out: '', err: '' })
  })

  test('ends with 0 where nobody is cut off, and is one line of JSON', async () => {
    const { replayCaptures } = replaying(QUIET)
    const args = ['replay', 'a.pcap', '--against', candidate, '--json']
    const { code, out } = await run(place, args, { replayCaptures })
    expect(code).toBe(0)
    expect(JSON.parse(out.split('\n')[1]!)).toEqual({ type: 'comparison', ...QUIET })
  })
})

describe('explain', () => {
  const PHONE: SourceStory = {
    address: '198.51.100.7',
    source: '198.51.100.7',
    lane: 'proven',
    laneReason: 'It is registered from port 5060, which the kernel serves apart.',
    notice: null,
    overSipLimit: null,
    firstSeen: NOW - 86_400_000,
    lastSeen: NOW,
    registers: 48,
    challenges: 24,
    successes: 24,
    failures: 0,
    registersInWindow: 2,
    accounts: ['1001@example.com'],
    userAgents: ['Yealink SIP-T46S'],
    aggregator: false,
    accountsBehind: 1,
    evidence: [
      { grade: 'packet', holds: true, says: 'REGISTERs carry this address, which anybody can write' },
      { grade: 'path', holds: true, says: 'it used a nonce that was sent to it alone, 1m ago' },
      { grade: 'account', holds: true, says: 'it registered 1m ago, and that lasts another 59m' },
    ],
    exchanges: Array.from({ length: 20 }, (_, i) => ({
      time: NOW - i * 60_000,
      source: '198.51.100.7:5060',
      transport: 'udp' as const,
      account: '1001@example.com',
      outcome: i % 2 === 0 ? 'success' : 'challenge',
      status: i % 2 === 0 ? 200 : 401,
      grade: i % 2 === 0 ? ('account' as const) : ('packet' as const),
    })),
    registeredPorts: {
      count: 1,
      first: [{ source: '198.51.100.7:5060', accounts: ['1001@example.com'], secondsLeft: 3_540 }],
    },
    wouldChange: [
      'each port stays proven until its registration ends',
      '6 failed registrations would suspend it',
    ],
    decisions: [],
    verdicts: [],
    pastDecisions: [],
  }

  test('says when the sensor did not answer, and that is exit code 3', async () => {
    const unanswered = 'The sensor did not answer.'
    const unseen = { firstSeen: null, lastSeen: null, registers: 0, challenges: 0, successes: 0 }
    await serve({ ...PHONE, ...unseen, lane: 'unknown', unanswered })
    const { code, out, err } = await run(place, ['explain', '198.51.100.7'])
    expect([code, err]).toEqual([3, 'ringfence: The sensor did not answer.\n'])
    expect(out).toContain('seen         not known: the sensor did not answer\n')
    expect(out).not.toMatch(/never|REGISTERs {3}/)
  })

  test('of an ordinary phone fits a small screen', async () => {
    await serve(PHONE)
    const { code, out } = await run(place, ['explain', '198.51.100.7'])
    expect(code).toBe(0)
    expect(out).toBe(`address      198.51.100.7
lane         proven: It is registered from port 5060, which the kernel serves apart.
seen         first 2026-01-01 03:04:05, last 2026-01-02 03:04:05
REGISTERs    48 (2 in the flood window)
answers      24 challenges, 24 successes, 0 failures
accounts     1001@example.com
behind it    1 account registered within a day
user agents  Yealink SIP-T46S

Proven of it:
  packet       REGISTERs carry this address, which anybody can write
  path         it used a nonce that was sent to it alone, 1m ago
  account      it registered 1m ago, and that lasts another 59m

Registered from there now:
  198.51.100.7:5060  1001@example.com, 59m left

Of its last 20 exchanges the newest of each kind:
  2026-01-02 03:04:05  198.51.100.7:5060 udp 1001@example.com: success (200, grade account), 10 times
  2026-01-02 03:03:05  198.51.100.7:5060 udp 1001@example.com: challenge (401, grade packet), 10 times

What would change that:
  each port stays proven until its registration ends
  6 failed registrations would suspend it
`)
    expect(out.split('\n').length).toBeLessThanOrEqual(26)
  })
})
