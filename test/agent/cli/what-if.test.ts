import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CliFailure } from '../../../agent/cli/outcome.ts'
import type { AppliedView, PlanView, TraceView } from '../../../dashboard/api/what-if.ts'
import { answering, listen, NOW, newPlace, type Place, type Reply, run } from './command-line.ts'

let place: Place
let close: (() => Promise<void>) | undefined
let candidate: string

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

async function serve(reply: Reply) {
  const server = await listen(place.socket, reply)
  close = server.close
  return server.heard
}

const TRIAL = { file: '/root/new.yaml', by: 'alice@cli', until: NOW + 60_000, secondsLeft: 60 }
const ON_TRIAL: AppliedView = {
  state: 'trial',
  trial: TRIAL,
  file: '/etc/ringfence/ringfence.yaml',
  previous: null,
  warnings: [],
  notice: null,
}
const KEPT: AppliedView = {
  ...ON_TRIAL,
  state: 'kept',
  trial: null,
  previous: '/etc/ringfence/ringfence.yaml.previous',
}
const SAYS_KEPT =
  'the configuration is in force and written to /etc/ringfence/ringfence.yaml; the one before is in /etc/ringfence/ringfence.yaml.previous\n'

describe('apply', () => {
  test('sends the text and the full name, and says where the one before is', async () => {
    const heard = await serve(answering(200, { ...KEPT, warnings: ['new.yaml:1:1: allow: much'] }))
    expect(await run(place, ['apply', candidate])).toEqual({
      code: 0,
      out: `warning: new.yaml:1:1: allow: much\n${SAYS_KEPT}`,
      err: '',
    })
    expect(heard).toEqual([
      {
        method: 'POST',
        url: '/api/v1/apply',
        by: 'alice@cli',
        body: { text: 'protect: { interfaces: [eth0] }\n', file: candidate },
      },
    ])
  })

  test('without a terminal says what to run', async () => {
    const heard = await serve(
      answering(200, { ...ON_TRIAL, notice: 'noted; nothing is dropped while the rules are off' }),
    )
    expect(await run(place, ['apply', candidate, '--confirm', '60s'])).toEqual({
      code: 0,
      out: '/root/new.yaml is in force for 1m. To keep it: ringfence confirm; to take it back now: ringfence revert\nnoted; nothing is dropped while the rules are off\n',
      err: '',
    })
    expect(heard[0]?.body).toMatchObject({ confirmWithin: 60 })
  })

  /** The daemon, and a person at a terminal who answers. */
  const asking = (answer: string | undefined) => {
    const asked: unknown[] = []
    return {
      asked,
      askLine: async (question: string, options: { within: number }) => {
        asked.push([question, options.within])
        return answer
      },
    }
  }
  const daemon: Reply = (heard, response, request) =>
    answering(
      200,
      {
        '/api/v1/apply': ON_TRIAL,
        '/api/v1/confirm': KEPT,
        '/api/v1/revert': { reverted: '/root/new.yaml' },
      }[heard.url],
    )(heard, response, request)

  test.each([
    { answer: 'yes', next: 'confirm', code: 0, out: SAYS_KEPT, err: '' },
    { answer: ' Yes ', next: 'confirm', code: 0, out: SAYS_KEPT, err: '' },
    {
      answer: 'y',
      next: 'revert',
      code: 1,
      out: '',
      err: 'ringfence: /root/new.yaml is taken back: the configuration is as before\n',
    },
    {
      answer: '',
      next: 'revert',
      code: 1,
      out: '',
      err: 'ringfence: /root/new.yaml is taken back: the configuration is as before\n',
    },
    {
      answer: undefined,
      next: undefined,
      code: 1,
      out: '',
      err: 'ringfence: nobody confirmed /root/new.yaml in time: the daemon takes it back\n',
    },
  ])('on a terminal waits and asks: $answer', async ({ answer, next, code, out, err }) => {
    const heard = await serve(daemon)
    const { asked, askLine } = asking(answer)
    expect(await run(place, ['apply', candidate, '--confirm', '60s'], { askLine })).toEqual({
      code,
      out: `/root/new.yaml is in force for 1m.\n${out}`,
      err,
    })
    expect(asked).toEqual([['Keep it? Type yes: ', 60_000]])
    expect(heard.map(({ url }) => url.replace('/api/v1/', ''))).toEqual(next ? ['apply', next] : ['apply'])
  })

  test('asks nobody who wants JSON', async () => {
    await serve(daemon)
    const { asked, askLine } = asking('yes')
    const ran = await run(place, ['apply', candidate, '--confirm', '60s', '--json'], { askLine })
    expect([JSON.parse(ran.out), asked]).toEqual([ON_TRIAL, []])
  })

  test('a bad candidate is 1, with a line for each problem', async () => {
    await serve(
      answering(422, { error: 'bad-config', message: 'new.yaml:1:1: no\u001b[2J\nnew.yaml:2:1: nor this' }),
    )
    expect(await run(place, ['apply', candidate])).toEqual({
      code: 1,
      out: '',
      err: 'ringfence: new.yaml:1:1: no\\u001b[2J\nnew.yaml:2:1: nor this\n',
    })
  })

  test.each(['9s', '61m', '10.5', 'soon', '-60'])('--confirm %s is wrong usage', async (window) => {
    const heard = await serve(answering(200, ON_TRIAL))
    const { code, err } = await run(place, ['apply', candidate, `--confirm=${window}`])
    expect([code, err]).toEqual([
      2,
      `ringfence: --confirm "${window}" is no duration from 10s to 1h; write it like 60s or 5m\n`,
    ])
    expect(heard).toEqual([])
  })

  test('a file that cannot be read is 1, and the daemon is not asked', async () => {
    const heard = await serve(answering(200, KEPT))
    mkdirSync(join(place.folder, 'folder'))
    writeFileSync(join(place.folder, 'latin1'), Buffer.from([0xe4]))
    const sentences = ['missing', 'folder', 'latin1'].map(async (name) => {
      const { code, err } = await run(place, ['apply', join(place.folder, name)])
      return [code, err.replace(place.folder, '')]
    })
    expect(await Promise.all(sentences)).toEqual([
      [1, 'ringfence: /missing does not exist\n'],
      [1, 'ringfence: /folder is no regular file; expected a YAML file\n'],
      [1, 'ringfence: /latin1 cannot be read (ERR_ENCODING_INVALID_ENCODED_DATA)\n'],
    ])
    expect(heard).toEqual([])
  })
})

test.each([
  { args: ['confirm'], answer: KEPT, out: SAYS_KEPT },
  {
    args: ['revert'],
    answer: { reverted: '/root/new.yaml' },
    out: '/root/new.yaml is taken back: the configuration is as before\n',
  },
])('$args', async ({ args, answer, out }) => {
  const heard = await serve(answering(200, answer))
  expect(await run(place, args)).toEqual({ code: 0, out, err: '' })
  expect(heard.map(({ method, url }) => `${method} ${url}`)).toEqual([`POST /api/v1/${args[0]}`])
})

const NONE = { count: 0, first: [] }
const SAME: PlanView = {
  file: '/etc/ringfence/ringfence.yaml',
  same: true,
  needsRestart: [],
  limits: [],
  warmed: false,
  chains: [],
  sets: [],
  elements: { added: NONE, removed: NONE },
  phones: { proven: 12, traced: 12, worse: 0, first: [] },
  warnings: [],
  notes: [],
}

describe('plan', () => {
  test('of the configuration file, when nothing would change, is 0', async () => {
    const heard = await serve(answering(200, SAME))
    expect(await run(place, ['plan'])).toEqual({
      code: 0,
      out: '/etc/ringfence/ringfence.yaml would change nothing in the kernel\n',
      err: '',
    })
    expect(heard[0]?.body).toEqual({})
  })

  test('of a candidate that would change something is 2, in words and in JSON', async () => {
    const plan: PlanView = {
      ...SAME,
      file: candidate,
      same: false,
      needsRestart: ['dashboard.listen'],
      limits: ['limits.proven: 10/s burst 50 → 3/s burst 9'],
      warmed: true,
      chains: [{ family: 4, chain: 'RINGFENCE-PROVEN', removed: ['-A old'], added: ['-A new', '-A newer'] }],
      sets: ['rf-seen4, rf-seen6: 65536 → 131072 elements'],
      elements: {
        added: { count: 22, first: ['rf-allow4 198.51.100.7', 'rf-allow4 198.51.100.8'] },
        removed: NONE,
      },
      phones: {
        proven: 30_000,
        traced: 20_000,
        worse: 3,
        first: [{ source: '198.51.100.9:5060', says: 'proven 10/s burst 50 → proven 3/s burst 9' }],
      },
      warnings: ['new.yaml:1:1: allow: much'],
      notes: ['the rules are off'],
    }
    const heard = await serve(answering(200, plan))
    expect(await run(place, ['plan', candidate])).toEqual({
      code: 2,
      out: `warning: new.yaml:1:1: allow: much
note: the rules are off
${candidate} would change:

Only after a restart:
  dashboard.listen

Limits (buckets are warmed before they decide):
  limits.proven: 10/s burst 50 → 3/s burst 9

Chain RINGFENCE-PROVEN (IPv4):
  - -A old
  + -A new
  + -A newer

Sets:
  rf-seen4, rf-seen6: 65536 → 131072 elements

Elements added (22):
  + rf-allow4 198.51.100.7
  + rf-allow4 198.51.100.8
  and 20 more

3 of 30,000 registered phones (20,000 of them were traced) would fare worse:
  198.51.100.9:5060: proven 10/s burst 50 → proven 3/s burst 9
  and 2 more
`,
      err: '',
    })
    expect(heard[0]?.body).toEqual({
      candidate: { text: 'protect: { interfaces: [eth0] }\n', file: candidate },
    })
    const inJson = await run(place, ['plan', candidate, '--json'])
    expect([inJson.code, JSON.parse(inJson.out)]).toEqual([2, plan])
  })

  test('of a bad candidate is 1', async () => {
    await serve(answering(422, { error: 'bad-config', message: 'new.yaml:1:1: no' }))
    expect(await run(place, ['plan', candidate])).toEqual({
      code: 1,
      out: '',
      err: 'ringfence: new.yaml:1:1: no\n',
    })
  })
})

describe('trace', () => {
  const trace: TraceView = {
    packet: 'UDP, REGISTER, from 203.0.113.7:5060 to 192.0.2.1:5060, arriving on eth0',
    verdict: 'drop',
    says: 'A REGISTER from 203.0.113.7:5060 is dropped: 203.0.113.7 is blocked.',
    notice: null,
    lane: 'blocked',
    rule: '-A RINGFENCE-UDP -m set --match-set rf-deny4 src -j DROP',
    steps: [
      { rule: '-A RINGFENCE-UDP -m set --match-set rf-deny4 src -j DROP', says: '203.0.113.7 is blocked' },
    ],
    assumptions: ['every bucket is full'],
  }

  test('says the verdict, why, the lane and the rules, in order', async () => {
    const heard = await serve(answering(200, trace))
    expect(await run(place, ['trace', '--src', '203.0.113.7:5060'])).toEqual({
      code: 0,
      out: `drop: A REGISTER from 203.0.113.7:5060 is dropped: 203.0.113.7 is blocked.
packet  UDP, REGISTER, from 203.0.113.7:5060 to 192.0.2.1:5060, arriving on eth0
lane    blocked

Rules that match, in order:
  -A RINGFENCE-UDP -m set --match-set rf-deny4 src -j DROP
      203.0.113.7 is blocked

Assumed:
  every bucket is full
`,
      err: '',
    })
    expect(heard[0]?.body).toEqual({ source: '203.0.113.7:5060', protocol: 'udp' })
  })

  test('says why the kernel does not do so', async () => {
    await serve(answering(200, { ...trace, notice: 'nothing is dropped while the rules are off' }))
    const { out } = await run(place, ['trace', '--src', '203.0.113.7:5060'])
    expect(out.split('\n').slice(1, 3)).toEqual([
      'but     nothing is dropped while the rules are off',
      'packet  UDP, REGISTER, from 203.0.113.7:5060 to 192.0.2.1:5060, arriving on eth0',
    ])
  })

  test('sends a payload as base64 and never prints it', async () => {
    const payload = join(place.folder, 'packet')
    writeFileSync(payload, 'REGISTER \u001b[2J')
    const heard = await serve(answering(200, { ...trace, says: 'A REGISTER \u001b[2J is dropped' }))
    const ran = await run(place, [
      ...['trace', '--src', '[2001:db8::7]:5060', '--dst', '[2001:db8::1]:5070', '--payload', payload],
      ...['--interface', 'eth1', '--proto', 'udp'],
    ])
    expect(ran.out.split('\n')[0]).toBe('drop: A REGISTER \\u001b[2J is dropped')
    expect(heard[0]?.body).toEqual({
      source: '[2001:db8::7]:5060',
      destination: '[2001:db8::1]:5070',
      protocol: 'udp',
      payload: Buffer.from('REGISTER \u001b[2J').toString('base64'),
      interface: 'eth1',
    })
  })

  test.each([
    { args: ['trace'], err: /required option '--src/ },
    { args: ['trace', '--src', '203.0.113.7:5060', '--proto', 'sctp'], err: /Allowed choices are udp, tcp/ },
    {
      args: ['trace', '--src', '203.0.113.7:5060', '--method', 'INVITE', '--payload', '/dev/null'],
      err: /cannot be used with option/,
    },
    {
      args: ['trace', '--src', '203.0.113.7:5060', '--payload', '/dev/zero'],
      err: /--payload \/dev\/zero is no regular file of at most 65507 bytes/,
    },
  ])('$args is wrong usage', async ({ args, err }) => {
    const heard = await serve(answering(200, trace))
    expect(await run(place, args)).toEqual({ code: 2, out: '', err: expect.stringMatching(err) })
    expect(heard).toEqual([])
  })
})

describe('restore', () => {
  test('works without a daemon, by the configuration that was named', async () => {
    const asked: unknown[] = []
    const restoreRules = async (options: unknown) => {
      asked.push(options)
      return { outcome: 'restored' as const, says: 'the rules are in the kernel' }
    }
    expect(await run(place, ['restore'], { restoreRules })).toEqual({
      code: 0,
      out: 'the rules are in the kernel\n',
      err: '',
    })
    expect(asked).toEqual([{ configFile: place.configFile, socket: place.socket }])
  })

  test('passes on why it failed', async () => {
    const restoreRules = () => Promise.reject(new CliFailure(1, 'config', 'a line\nand another'))
    expect(await run(place, ['restore'], { restoreRules })).toEqual({
      code: 1,
      out: '',
      err: 'ringfence: a line\nand another\n',
    })
  })
})
