import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { DecisionView } from '../../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../../dashboard/api/source-story.ts'
import type { StatusSnapshot } from '../../../dashboard/api/status.ts'
import { answering, listen, NOW, newPlace, type Place, run } from './command-line.ts'

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

const RATES = { time: NOW, registers: 1_200.25, sipMessages: 1_300, successes: 7, failures: 0, cpu: 12.34 }

const STATUS: StatusSnapshot = {
  version: '1.2.3',
  time: NOW,
  startedAt: NOW - 3 * 3_600_000 - 120_000,
  mode: 'enforce',
  state: 'attack',
  sentence: 'one source is blocked',
  traffic: { interfaces: ['eth0', 'eth1'], udpPorts: [5060, 5080], tcpPorts: [], destinations: ['local'] },
  rates: RATES,
  history: [RATES],
  sensor: {
    state: 'running',
    engine: 'pcap',
    framesSeen: 1_234_567,
    framesLost: 3,
    malformed: 0,
    sourcesTracked: 1,
    learntBindings: 3,
    detail: '',
  },
  rules: {
    state: 'applied',
    backend: 'iptables-nft',
    lastAppliedAt: NOW,
    pendingChanges: 0,
    lastError: null,
    repairs: 1,
    lastRepair: 'IPv4: the jump from PREROUTING was gone',
    contestedUntil: null,
    full: [],
    notInPath: null,
    judged: { udp: 1_300_000, tcp: 42 },
    dropped: { blocks: 90_000, suspensions: 0, registerLimit: 8_000, firstPackets: 1_000, rest: 7 },
    registerPacketsDropped: 99_000,
    wouldHaveDone: [],
  },
  logs: [],
  strict: {
    state: 'strict',
    since: NOW - 60_000,
    why: 'Unknown sources sent over 2,000 REGISTERs a second for two seconds.',
    order: 'auto',
  },
  sight: [],
  nonces: [],
  lanes: { proven: 1_500, answered: 2, returning: 1_400, ignoring: 0, letGo: {} },
  weather: {
    state: 'attack',
    since: NOW - 60_000,
    why: '1,200 REGISTERs a second (usual at this hour: 40, up to 120), and 2 % of them succeed.',
    baseline: {
      state: 'learnt',
      hours: 300,
      hoursNeeded: 24,
      usual: { registers: 40, successes: 19, share: 0.48, endpoints: 1_480, newSources: 2 },
      bound: 120,
    },
    capacity: {
      perSecond: 4_000,
      how: 'measured',
      why: 'Beyond that its answers came late, or not at all.',
      leftForUnknown: 3_500,
    },
    anomalies: [
      { since: NOW - 50_000, sentence: '1,200 REGISTERs a second; usual at this hour: 40, up to 120.' },
    ],
    policy: { registerRetry: 3, registerSuspendTime: 900 },
    outage: null,
    changes: [
      { time: NOW - 60_000, what: 'weather', state: 'attack', why: 'Far too many\u001b[31m.', figures: {} },
    ],
  },
  gateways: [],
  trial: null,
  limits: {
    register: { perSecond: 5, burst: 10 },
    sip: {
      perSecond: 20,
      burst: 50,
      prefix: { perSecond: 200, burst: 400 },
      total: { perSecond: 1_000, burst: 2_000 },
      enforced: false,
    },
    sipWouldLimit: [],
  },
  host: { cpu: 12.34, memoryUsed: 1_288_490_189, memoryTotal: 4_294_967_296 },
  counts: { blocks: 1, suspensions: 0, allowed: 2 },
  looks: { count: 0, first: [] },
  registrar: { state: 'off', accounts: 0, bindings: 0, detail: '' },
}

const QUIET = `attack: one source is blocked
Ringfence 1.2.3, mode enforce, running for 3h 2m

traffic    to local on eth0, eth1
ports      udp 5060,5080, tcp none
rates      1200.3 REGISTER/s, 1,300 SIP/s, 7 successes/s, 0 failures/s
sensor     running (pcap), 1,234,567 frames, 3 lost, 0 malformed, 1 source
rules      applied (iptables-nft), 0 changes pending, 1 repair, 99,000 REGISTERs dropped
packets    1,300,000 UDP and 42 TCP judged, dropped: 90,000 by blocks, 8,000 over REGISTER limits, 1,000 first packets under attack, 7 unasked keepalives and responses
limits     strict since 2026-01-02 03:03:05: Unknown sources sent over 2,000 REGISTERs a second for two seconds.
           REGISTER 5/s burst 10 a source
           SIP 20/s burst 50 a source, only observed: none of it is dropped
lanes      1,500 proven, 2 answered, 1,400 returning, 0 ignoring
bindings   3 learnt from the softswitch's answers
weather    attack since 2026-01-02 03:03:05: 1,200 REGISTERs a second (usual at this hour: 40, up to 120), and 2 % of them succeed.
           3 failures suspend for 15m
usual      at this hour 40 REGISTER/s (over 120 is far more), 48 % successful, 1,480 endpoints, 2 new sources a minute; from 300 hours
           unusual since 2026-01-02 03:03:15: 1,200 REGISTERs a second; usual at this hour: 40, up to 120.
capacity   4,000 REGISTER/s, measured: Beyond that its answers came late, or not at all. Unknown sources may send 3,500/s.
decisions  1 block, 0 suspensions, 2 allowed
registrar  off
host       CPU 12.3 %, memory 1.2 of 4.0 GiB

Last changes, newest first:
  2026-01-02 03:03:05  weather: attack: Far too many\\u001b[31m.
`

describe('status', () => {
  test('in words', async () => {
    await serve(200, STATUS)
    expect(await run(place, ['status'])).toEqual({ code: 0, out: QUIET, err: '' })
    expect((await run(place, ['status'], { colours: true })).out).toBe(
      QUIET.replace('attack', '\u001b[31mattack\u001b[0m'),
    )
  })

  test('says what of each port is seen, and what follows from shared nonces', async () => {
    const port = { transport: 'tcp', since: NOW, detail: 'why' } as const
    await serve(200, {
      ...STATUS,
      sight: [
        { ...port, transport: 'udp', port: 5060, state: 'sighted' },
        { ...port, port: 5060, state: 'quiet' },
        { ...port, port: 5061, state: 'blind', detail: 'its connections are encrypted\u001b[31m' },
        { ...port, transport: 'udp', port: 5080, state: 'half-sighted' },
      ],
      nonces: [
        { server: '198.51.100.1:5060', state: 'shared', since: NOW, shared: 9, unique: 0, detail: 'mend it' },
      ],
    } satisfies StatusSnapshot)
    const { out } = await run(place, ['status'])
    expect(out).toMatch(
      /^sight {6}sighted: udp 5060\n {11}quiet: tcp 5060\n {11}blind: tcp 5061 since [^\n]+, its connections are encrypted[^\u001b\n]*\n {11}half-sighted: udp 5080 since [^\n]+, why$/m,
    )
    expect(out).toContain('nonces     198.51.100.1:5060 shared: mend it\n')
  })

  test.each([
    { countedAt: NOW - 9_000, says: null },
    {
      countedAt: NOW - 203_000,
      says: 'these figures are 3m 23s old: the kernel is slow to tell its counters',
    },
    { countedAt: null, says: 'the kernel has not told its counters yet' },
  ])('says how old the figures of the kernel are: $countedAt', async ({ countedAt, says }) => {
    await serve(200, { ...STATUS, rules: { ...STATUS.rules, countedAt } } satisfies StatusSnapshot)
    const { out } = await run(place, ['status'])
    const [line] = /(?<=^packets .*\n) {11}.*$/m.exec(out) ?? [null]
    expect(line?.trim() ?? null).toBe(says)
  })

  test('shows each log that is followed', async () => {
    const counts = {
      linesRead: 1_200,
      linesUnderstood: 900,
      linesLetGo: 2,
      linesDoubtful: 0,
      eventsUsed: 800,
    }
    await serve(200, {
      ...STATUS,
      logs: [
        { log: 'asterisk', path: '/var/log/asterisk/security', state: 'following', reason: '', ...counts },
        {
          log: 'vos3000',
          path: '/mbx.log',
          state: 'waiting',
          reason: 'there is no such file yet',
          ...counts,
          linesRead: 1,
          linesDoubtful: 3,
        },
      ],
    } satisfies StatusSnapshot)
    const { out } = await run(place, ['status'])
    expect(out).toContain(
      `logs       asterisk /var/log/asterisk/security: following; 1,200 lines, 900 understood, 2 let go, 800 used
           vos3000 /mbx.log: waiting, there is no such file yet; 1 line, 900 understood, 2 let go, 3 not believed, 800 used
`,
    )
  })

  const sampling = { state: 'loud', group: 5060, since: NOW, detail: '' } as const
  test.each<[string, Partial<StatusSnapshot['sensor']>, string[]]>([
    [
      'from the kernel’s log',
      { sampling, lowerBounds: true },
      [
        "so much arrives that requests are read from the kernel's log (NFLOG group 5060)",
        'not all that comes is seen: the rates say so much or more',
      ],
    ],
    [
      'by captures alone',
      { sampling: { ...sampling, state: 'off', group: null, detail: 'sensor.nflog is off' } },
      ['under a flood everything is captured: sensor.nflog is off'],
    ],
    ['as ever', { sampling: { ...sampling, state: 'quiet' }, lowerBounds: false }, []],
  ])('says how requests are read: %s', async (_name, parts, says) => {
    await serve(200, { ...STATUS, sensor: { ...STATUS.sensor, ...parts } } satisfies StatusSnapshot)
    const { out } = await run(place, ['status'])
    const said = out.split('\n').filter((line) => /NFLOG|or more|everything is captured/.test(line))
    expect(said.length).toBe(says.length)
    for (const sentence of says) expect(out).toContain(sentence)
  })

  test('says a dead softswitch, and the most that came while a state stood', async () => {
    const why = 'Unknown sources sent over 2,000 REGISTERs a second for two seconds.'
    const change = { time: NOW - 60_000, what: 'strict', state: 'strict', why } as const
    const sentence =
      'The softswitch has answered nobody for 31 s, though 160 registered phones ask: look whether it runs.'
    await serve(200, {
      ...STATUS,
      weather: {
        ...STATUS.weather,
        outage: { since: NOW - 31_000, phones: 160, sentence },
        changes: [
          { ...change, figures: { peakRegisters: 6_537, peakAtLeast: true, peakArrivals: 10_012 } },
          { ...change, figures: { peakRegisters: 4_000, peakAtLeast: false, endedAt: NOW } },
        ],
      },
    } satisfies StatusSnapshot)
    const { out } = await run(place, ['status'])
    expect(out).toContain(`\n           ${sentence}\n`)
    expect(out).toContain(`${why} Most: at least 6,537 REGISTER/s, 10,012 packets/s in the kernel.\n`)
    expect(out).toContain(`${why} Most until 2026-01-02 03:04:05: 4,000 REGISTER/s.\n`)
  })

  test('lists whom the SIP limit would limit, errors, and what would have been done', async () => {
    await serve(200, {
      ...STATUS,
      sensor: {
        ...STATUS.sensor,
        detail: 'eth1: it is down',
        notRead: { datagrams: 1, segments: 20, gaps: 0, connections: 3, transactions: 0 },
      },
      rules: {
        ...STATUS.rules,
        notInPath: 'Not in the path: 20 REGISTERs were seen and no rule judged one packet.',
        full: ['rf-pvn4 is full: no other phone is served as proven.'],
        judged: { udp: 0, tcp: 0 },
        dropped: { blocks: 0, firstPackets: 1, rest: 1, connections: 1 },
        lastError: 'iptables-restore: line 3 failed\n\u001b[31m',
        wouldHaveDone: ['add rf-block4 203.0.113.7'],
      },
      limits: {
        ...STATUS.limits,
        sipWouldLimit: Array.from({ length: 12 }, (_, i) => ({ address: `192.0.2.${i}`, packets: i + 1 })),
      },
      registrar: { state: 'running', accounts: 1, bindings: 2, detail: 'two phones' },
      strict: { state: 'peace', since: NOW, why: 'The operator ordered the limits of peace.', order: 'off' },
      lanes: {
        ...STATUS.lanes,
        letGo: { provenOfAccount: 3, returning: 0, answered: 1_591 },
        letGoLast: { answered: NOW - 60_000 },
      },
      weather: {
        ...STATUS.weather,
        state: 'peace',
        why: 'All is well.',
        baseline: { state: 'learning', hours: 3, hoursNeeded: 24, usual: null, bound: null },
        capacity: { perSecond: null, how: 'unknown', why: 'Too few were answered.', leftForUnknown: null },
        anomalies: [],
        policy: { registerRetry: 6, registerSuspendTime: 180 },
        changes: [],
      },
      gateways: [
        { name: 'trunk-a', prefixes: ['192.0.2.0/24', '2001:db8::/48'], cps: 80, burst: 160 },
        { name: 'trunk-b', prefixes: ['198.51.100.7'], cps: 5, burst: 10 },
      ],
    })
    const { out } = await run(place, ['status'])
    expect(out.split('\n').slice(6)).toEqual([
      'sensor     running (pcap), 1,234,567 frames, 3 lost, 0 malformed, 1 source',
      '           since the sensor started not read: 1 datagram with a wrong checksum, 20 TCP segments that nobody can have taken, 3 TCP connections that could not be followed',
      '           eth1: it is down',
      'rules      applied (iptables-nft), 0 changes pending, 1 repair, 99,000 REGISTERs dropped',
      '           last error: iptables-restore: line 3 failed\\u000a\\u001b[31m',
      '           Not in the path: 20 REGISTERs were seen and no rule judged one packet.',
      '           rf-pvn4 is full: no other phone is served as proven.',
      'packets    0 UDP and 0 TCP judged, dropped: 1 first packet under attack, 1 unasked keepalive or response, 1 new connection',
      'limits     peace since 2026-01-02 03:04:05 (ordered: strict off): The operator ordered the limits of peace.',
      '           REGISTER 5/s burst 10 a source',
      '           SIP 20/s burst 50 a source, only observed: none of it is dropped',
      'lanes      1,500 proven, 2 answered, 1,400 returning, 0 ignoring; let go for lack of room: 3 proven of one account, 1,591 answered (last 2026-01-02 03:03:05)',
      "bindings   3 learnt from the softswitch's answers",
      'weather    peace since 2026-01-02 03:03:05: All is well.',
      '           6 failures suspend for 3m',
      'usual      not learnt yet (3 of 24 hours); nothing is decided by it',
      'capacity   not known yet: Too few were answered.',
      'gateways   trunk-a: 80 calls/s burst 160 (192.0.2.0/24, 2001:db8::/48)',
      '           trunk-b: 5 calls/s burst 10 (198.51.100.7)',
      'decisions  1 block, 0 suspensions, 2 allowed',
      'registrar  running, 1 account, 2 bindings: two phones',
      'host       CPU 12.3 %, memory 1.2 of 4.0 GiB',
      '',
      'The SIP limit would limit (`ringfence enforce sip` to do so, `ringfence allow` to spare one):',
      '  192.0.2.0  1 packet over the limit',
      ...Array.from({ length: 9 }, (_, i) => `  192.0.2.${i + 1}  ${i + 2} packets over the limit`),
      '  and 2 more',
      '',
      'Would have been done, newest last:',
      '  add rf-block4 203.0.113.7',
      '',
    ])
  })

  test('lists whom the SIP limit limits while it is enforced', async () => {
    await serve(200, {
      ...STATUS,
      limits: {
        ...STATUS.limits,
        sip: { ...STATUS.limits.sip, enforced: true },
        sipWouldLimit: [{ address: '192.0.2.1', packets: 7 }],
      },
    })
    expect((await run(place, ['status'])).out.split('\n').slice(-4)).toEqual([
      '',
      'Limited by the SIP limit (`ringfence allow` to spare one, `ringfence enforce sip --observe` to stop):',
      '  192.0.2.1  7 packets over the limit',
      '',
    ])
  })

  test('says who contests the rules, and what is on trial', async () => {
    await serve(200, {
      ...STATUS,
      rules: { ...STATUS.rules, dropped: { blocks: 0 }, state: 'contested', contestedUntil: NOW + 59_500 },
      trial: { file: '/root/new.yaml', by: 'bob@cli', until: NOW + 42_000, secondsLeft: 42 },
    })
    const lines = (await run(place, ['status'])).out.split('\n')
    expect(lines[2]).toBe(
      'On trial for another 42s: /root/new.yaml of bob@cli (`ringfence confirm` keeps it, `ringfence revert` takes it back)',
    )
    expect(lines).toContain('packets    1,300,000 UDP and 42 TCP judged, none dropped')
    expect(lines).toContain(
      '           another program keeps changing the rules; found last: IPv4: the jump from PREROUTING was gone; next repair in 60 s, at once with `ringfence on`',
    )
  })

  test('as JSON it is what the daemon said', async () => {
    await serve(200, STATUS)
    const { out } = await run(place, ['status', '--json'])
    expect(JSON.parse(out)).toEqual(STATUS)
  })
})

const DECISION: DecisionView = {
  id: 7,
  kind: 'block',
  target: '203.0.113.7',
  scope: 'register',
  since: NOW - 1_000,
  until: NOW + 599_000,
  secondsLeft: 599,
  by: 'register-flood',
  grade: 'packet',
  reason: '100 REGISTERs in 10 s, none led to a success',
  evidence: { registers: 100, userAgent: 'friendly-scanner\u0007' },
  packetsDropped: 5,
  bytesDropped: 2_500,
}

const STORY: SourceStory = {
  address: '203.0.113.7',
  source: '203.0.113.7',
  lane: 'blocked',
  laneReason: 'a block of scope register stands',
  notice: null,
  overSipLimit: null,
  firstSeen: NOW - 60_000,
  lastSeen: NOW,
  registers: 1_200,
  challenges: 1_100,
  successes: 0,
  failures: 3,
  registersInWindow: 120,
  accounts: ['1001', '1002'],
  userAgents: ['friendly-scanner\u001b[2J'],
  decisions: [DECISION],
  aggregator: true,
  accountsBehind: 40,
  verdicts: [
    {
      time: NOW - 1_000,
      name: 'register-flood',
      action: 'block',
      scope: 'register',
      grade: 'packet',
      reason: DECISION.reason,
      evidence: { registers: 100, proven: false },
    },
  ],
  pastDecisions: [{ ...DECISION, id: 3, since: NOW - 7_200_000, until: NOW - 3_600_000, secondsLeft: null }],
}

test('status lists the latest alerts and the guessers that are only limited', async () => {
  const look = (i: number) => ({
    time: NOW - i * 1_000,
    source: `203.0.113.${i}`,
    name: i === 0 ? 'account-guessed' : 'slow-guessing',
    action: i === 0 ? ('alert' as const) : ('limit' as const),
    times: i + 1,
    reason: '60 failures over 20 accounts\u001b[2J',
  })
  await serve(200, { ...STATUS, looks: { count: 12, first: [0, 1, 2, 3, 4, 5, 6].map(look) } })
  const { out } = await run(place, ['status'])
  const [, told = ''] = out.split('\nLook at these of the last hour')
  expect(told.split('\n\n')[0]?.split('\n')).toEqual([
    ', which nothing blocks (`ringfence explain` tells more):',
    '  2026-01-02 03:04:05  203.0.113.0  account-guessed (alert): 60 failures over 20 accounts\\u001b[2J',
    '  2026-01-02 03:04:04  203.0.113.1  slow-guessing (limit, 2 times): 60 failures over 20 accounts\\u001b[2J',
    '  2026-01-02 03:04:03  203.0.113.2  slow-guessing (limit, 3 times): 60 failures over 20 accounts\\u001b[2J',
    '  2026-01-02 03:04:02  203.0.113.3  slow-guessing (limit, 4 times): 60 failures over 20 accounts\\u001b[2J',
    '  2026-01-02 03:04:01  203.0.113.4  slow-guessing (limit, 5 times): 60 failures over 20 accounts\\u001b[2J',
    '  and 7 more',
  ])
})

describe('explain', () => {
  test('tells the lane, the counts, and each verdict with its evidence', async () => {
    const heard = await serve(200, STORY)
    expect(await run(place, ['explain', '203.0.113.7'])).toEqual({
      code: 0,
      err: '',
      out: `address      203.0.113.7
lane         blocked: a block of scope register stands
seen         first 2026-01-02 03:03:05, last 2026-01-02 03:04:05
REGISTERs    1,200 (120 in the flood window)
answers      1,100 challenges, 0 successes, 3 failures
accounts     1001, 1002
behind it    40 accounts registered within a day, brought by an SBC or proxy: never punished as an address
user agents  friendly-scanner\\u001b[2J

Standing decisions:
  2026-01-02 03:04:04  block of 203.0.113.7, scope register, by register-flood, 9m 59s left: 100 REGISTERs in 10 s, none led to a success
      registers=100 userAgent=friendly-scanner\\u0007

Verdicts, newest first:
  2026-01-02 03:04:04  register-flood: block, scope register, grade packet: 100 REGISTERs in 10 s, none led to a success
      registers=100 proven=false

Past decisions:
  2026-01-02 01:04:05 until 2026-01-02 02:04:05  block of 203.0.113.7, scope register, by register-flood: 100 REGISTERs in 10 s, none led to a success
`,
    })
    expect(heard.map(({ url }) => url)).toEqual(['/api/v1/sources/203.0.113.7'])
  })

  test.each([
    { limited: true, says: 'it is limited' },
    { limited: false, says: 'it would be limited if that were enforced' },
  ])('says that the source is over the SIP limit, and $says', async ({ limited, says }) => {
    const notice = limited ? null : 'nothing is dropped while the rules are off'
    await serve(200, {
      ...STORY,
      lane: 'unknown',
      firstSeen: null,
      notice,
      overSipLimit: { packets: 12, limited },
    })
    const { code, out } = await run(place, ['explain', '203.0.113.7'])
    expect(code).toBe(0)
    expect(out).toContain(`SIP limit    12 packets over it in the last ten minutes: ${says}\n`)
    if (notice === null) expect(out).not.toContain('\nbut')
    else expect(out).toContain(`\nbut          ${notice}\n`)
  })

  test('asks for an IPv6 address in its normal form and shows what it is judged as', async () => {
    const heard = await serve(200, {
      ...STORY,
      address: '2001:db8::7',
      source: '2001:db8::/64',
      accounts: [],
      userAgents: [],
      decisions: [],
      verdicts: [],
      pastDecisions: [],
    })
    const { out } = await run(place, ['explain', '2001:DB8::0007'])
    expect(out.split('\n')[0]).toBe('address    2001:db8::7, judged as 2001:db8::/64')
    expect(heard.map(({ url }) => url)).toEqual(['/api/v1/sources/2001%3Adb8%3A%3A7'])
  })

  test('says when a block was taken back, and by whom', async () => {
    const ended = { ...DECISION, by: 'operator', since: NOW - 60_000, until: NOW + 600_000, secondsLeft: 600 }
    const pastDecisions = [{ ...ended, endedAt: NOW - 30_000, endedBy: 'alice\u0007@cli' }]
    await serve(200, { ...STORY, pastDecisions })
    const { out } = await run(place, ['explain', '203.0.113.7'])
    expect(out).toContain(
      '  2026-01-02 03:03:05 until 2026-01-02 03:03:35 (ended by alice\\u0007@cli)  block of 203.0.113.7, scope register, by operator',
    )
  })

  test.each([
    { asked: '203.0.113.7:5062', shown: '203.0.113.7:5062', url: '203.0.113.7%3A5062' },
    { asked: '[2001:DB8::7]:5062', shown: '[2001:db8::7]:5062', url: '%5B2001%3Adb8%3A%3A7%5D%3A5062' },
  ])('tells the story of $asked first, then that of its address', async ({ asked, shown, url }) => {
    const suspension = { ...DECISION, kind: 'suspend', target: shown, by: 'retry-limit', reason: 'R' }
    const exchange = {
      time: NOW,
      source: shown,
      transport: 'udp',
      account: '1001',
      outcome: 'failure',
      status: 403,
      grade: 'path',
    }
    const port = {
      source: shown,
      lane: 'suspended',
      laneReason: `${shown} is suspended: R`,
      registered: { source: shown, accounts: ['1001', '1002'], secondsLeft: 90 },
      decisions: [suspension],
      verdicts: [],
      pastDecisions: [{ ...suspension, endedAt: NOW - 60_000, endedBy: 'root@cli' }],
      exchanges: [exchange, exchange],
    }
    const heard = await serve(200, { ...STORY, port })
    const { code, out } = await run(place, ['explain', asked])
    expect(code).toBe(0)
    expect(heard.map(({ url: asked }) => asked)).toEqual([`/api/v1/sources/${url}`])
    const [ofPort = '', ofAddress = ''] = out.split('\nAll of its address:\n\n')
    expect(ofPort).toBe(`port        ${shown}
lane        suspended: ${shown} is suspended: R
registered  1001, 1002, 1m 30s left

Of its last 2 exchanges the newest of each kind:
  2026-01-02 03:04:05  ${shown} udp 1001: failure (403, grade path), 2 times

Standing decisions:
  2026-01-02 03:04:04  suspend of ${shown}, scope register, by retry-limit, 9m 59s left: R
      registers=100 userAgent=friendly-scanner\\u0007

Past decisions:
  2026-01-02 03:04:04 until 2026-01-02 03:03:05 (ended by root@cli)  suspend of ${shown}, scope register, by retry-limit: R
`)
    expect(ofAddress).toMatch(/^address +203\.0\.113\.7\n/)
  })

  test('an address that nobody has heard of is 4', async () => {
    await serve(200, {
      ...STORY,
      lane: 'unknown',
      firstSeen: null,
      lastSeen: null,
      decisions: [],
      verdicts: [],
      pastDecisions: [],
    })
    expect(await run(place, ['explain', '203.0.113.7'])).toEqual({
      code: 4,
      out: '',
      err: 'ringfence: 203.0.113.7 was never seen to register, blocked or allowed\n',
    })
  })
})
