import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import {
  answered,
  block,
  denied,
  desired,
  gateway,
  ignoring,
  limit,
  limits,
  prefix,
  proven,
  returning,
  suspension,
} from '../rules/desired.ts'
import { BACKENDS } from '../stage/load-rules.ts'
import { LATER, slow, sourceOf, TELLING, TOLD } from './lanes-limits.ts'
import { BYE, INVITE, OK, OPTIONS, REGISTER, sip, times } from './lanes-texts.ts'
import { type Family, RulesStage } from './rules-stage.ts'

const KEEPALIVE = '\r\n\r\n'
/** The same with something in front that hides the method. */
const HIDDEN = ` ${REGISTER}`

type Parts = Pick<Partial<DesiredState>, 'allow' | 'blocks' | 'suspensions' | 'members' | 'gateways'>

/** A source, what is known of it, and how many of so many packets at once the kernel serves. */
interface Row {
  readonly says: string
  readonly of: (source: string) => Parts
  /** Text, port and how many are sent and pass, one after the other. */
  readonly sends: readonly (readonly [text: string, port: number, sent: number, pass: number])[]
}

const member = (...members: NonNullable<Parts['members']>[number][number][]): Parts => ({
  members: [members],
})
const P = 40_001
const OTHER = 40_002

const ROWS: readonly Row[] = [
  { says: 'unknown', of: () => ({}), sends: [[REGISTER, P, 30, 5]] },
  {
    says: 'unknown, over two ports',
    of: () => ({}),
    sends: [
      [REGISTER, P, 3, 3],
      [REGISTER, OTHER, 30, 2],
    ],
  },
  {
    says: 'unknown, hidden and open together',
    of: () => ({}),
    sends: [
      [HIDDEN, P, 3, 3],
      [REGISTER, P, 30, 2],
    ],
  },
  {
    says: 'ignoring',
    of: (s) => member(ignoring(sourceOf(s), LATER)),
    sends: [
      [REGISTER, P, 30, 2],
      [REGISTER, OTHER, 30, 0],
    ],
  },
  {
    says: 'returning with one account',
    of: (s) => member(returning(sourceOf(s), 1, LATER)),
    sends: [
      [REGISTER, P, 7, 7],
      [REGISTER, OTHER, 30, 2],
    ],
  },
  {
    says: 'returning with 5 accounts',
    of: (s) => member(returning(sourceOf(s), 5, LATER)),
    sends: [[REGISTER, P, 30, 9]],
  },
  {
    says: 'returning with 6 accounts',
    of: (s) => member(returning(sourceOf(s), 6, LATER)),
    sends: [[REGISTER, P, 130, TOLD.returning2]],
  },
  {
    says: 'returning with 51 accounts',
    of: (s) => member(returning(sourceOf(s), 51, LATER)),
    sends: [[REGISTER, P, 1_000, TOLD.returning3]],
  },
  {
    says: 'returning that ignores challenges now',
    of: (s) => member(returning(sourceOf(s), 1, LATER), ignoring(sourceOf(s), LATER)),
    sends: [[REGISTER, P, 30, 9]],
  },
  {
    says: 'answered',
    of: (s) => member(answered(s, P, LATER)),
    sends: [
      // Its own bucket, then that of an unknown source, which its other ports share.
      [REGISTER, P, 30, 7 + 5],
      [REGISTER, OTHER, 30, 0],
    ],
  },
  {
    says: 'answered, ignoring from other ports',
    of: (s) => member(answered(s, P, LATER), ignoring(sourceOf(s), LATER)),
    sends: [
      [REGISTER, OTHER, 30, 2],
      [REGISTER, P, 30, 7],
    ],
  },
  {
    says: 'proven by address and port',
    of: (s) => member(proven(s, P, LATER)),
    sends: [
      [REGISTER, OTHER, 30, 5],
      [REGISTER, P, 40, 20],
      [BYE, P, 80, 60],
    ],
  },
  {
    says: 'proven, and what it sends is not recognised',
    of: (s) => member(proven(s, P, LATER)),
    sends: [[HIDDEN, P, 40, 20]],
  },
  {
    says: 'proven, its calls have a ceiling',
    of: (s) => member(proven(s, P, LATER)),
    sends: [
      [INVITE, P, 50, 50],
      [KEEPALIVE, P, 5, 5],
      [OK, P, 20, 5],
    ],
  },
  {
    says: 'aggregator: proven, with many accounts at the address',
    of: (s) => member(proven(s, P, LATER), returning(sourceOf(s), 51, LATER)),
    sends: [[REGISTER, P, 450, 20 + TOLD.aggregator]],
  },
  {
    says: 'proven, several accounts are no aggregator',
    of: (s) => member(proven(s, P, LATER), returning(sourceOf(s), 50, LATER)),
    sends: [
      [REGISTER, P, 40, 20],
      [REGISTER, OTHER, 130, TOLD.returning2],
    ],
  },
  {
    says: 'blocked by the operator',
    of: (s) => ({ blocks: [denied(s)] }),
    sends: [REGISTER, HIDDEN, OPTIONS, INVITE, BYE, OK, KEEPALIVE].map((text) => [text, P, 3, 0] as const),
  },
  {
    says: 'blocked by the operator, though proven, answered and returning',
    of: (s) => ({
      blocks: [denied(s)],
      ...member(proven(s, P, LATER), answered(s, P, LATER), returning(sourceOf(s), 60, LATER)),
    }),
    sends: [REGISTER, HIDDEN, OPTIONS, INVITE, BYE, OK, KEEPALIVE].map((text) => [text, P, 3, 0] as const),
  },
  {
    says: 'blocked by a verdict, scope sip',
    of: (s) => ({ blocks: [block(s)], ...member(answered(s, P, LATER), returning(sourceOf(s), 60, LATER)) }),
    sends: [REGISTER, HIDDEN, OPTIONS, INVITE, BYE, OK, KEEPALIVE].map((text) => [text, P, 3, 0] as const),
  },
  {
    says: 'blocked by a verdict, scope sip, a proven port behind it',
    of: (s) => ({ blocks: [block(s)], ...member(proven(s, P, LATER)) }),
    sends: [
      [REGISTER, P, 10, 10],
      [HIDDEN, P, 20, 10],
      [OPTIONS, P, 5, 5],
      [INVITE, P, 5, 5],
      [BYE, P, 5, 5],
      [OK, P, 5, 5],
      [KEEPALIVE, P, 5, 5],
      [REGISTER, OTHER, 5, 0],
      [INVITE, OTHER, 5, 0],
      [OK, OTHER, 5, 0],
      [KEEPALIVE, OTHER, 5, 0],
    ],
  },
  {
    says: 'blocked by a verdict, scope register',
    of: (s) => ({
      blocks: [block(s, 'register')],
      ...member(answered(s, P, LATER), returning(sourceOf(s), 60, LATER)),
    }),
    sends: [
      [REGISTER, P, 5, 0],
      [HIDDEN, P, 5, 0],
      [OPTIONS, P, 3, 3],
      [INVITE, P, 3, 3],
      [BYE, P, 5, 5],
      [OK, P, 2, 2],
      [KEEPALIVE, P, 2, 2],
    ],
  },
  {
    says: 'blocked by a verdict, scope register, a proven port behind it',
    of: (s) => ({ blocks: [block(s, 'register')], ...member(proven(s, P, LATER)) }),
    sends: [
      [REGISTER, P, 30, 20],
      [REGISTER, OTHER, 5, 0],
    ],
  },
  {
    says: 'suspended port',
    of: (s) => ({ suspensions: [suspension(s, P, LATER)] }),
    sends: [
      [REGISTER, P, 5, 0],
      [HIDDEN, P, 5, 0],
      [INVITE, P, 3, 3],
      [BYE, P, 3, 3],
      [REGISTER, OTHER, 30, 5],
    ],
  },
  {
    says: 'suspended port, though proven, answered and returning',
    of: (s) => ({
      suspensions: [suspension(s, P, LATER)],
      ...member(proven(s, P, LATER), answered(s, P, LATER), returning(sourceOf(s), 1, LATER)),
    }),
    sends: [
      [REGISTER, P, 5, 0],
      [HIDDEN, P, 5, 0],
      [BYE, P, 5, 5],
      [REGISTER, OTHER, 30, 9],
    ],
  },
  {
    says: 'suspended port of scope sip, though proven',
    of: (s) => ({
      suspensions: [{ ...suspension(s, P, LATER), scope: 'sip' }],
      ...member(proven(s, P, LATER)),
    }),
    sends: [
      [REGISTER, P, 5, 0],
      [INVITE, P, 5, 0],
      [BYE, P, 5, 0],
      [INVITE, OTHER, 3, 3],
      [REGISTER, OTHER, 30, 5],
    ],
  },
  {
    says: 'suspended address',
    of: (s) => ({
      suspensions: [suspension(s, 0, LATER)],
      ...member(answered(s, P, LATER), returning(sourceOf(s), 1, LATER)),
    }),
    sends: [
      [REGISTER, P, 5, 0],
      [REGISTER, OTHER, 5, 0],
      [HIDDEN, P, 5, 0],
      [INVITE, P, 3, 3],
    ],
  },
  {
    says: 'suspended address, a proven port behind it',
    of: (s) => ({ suspensions: [suspension(s, 0, LATER)], ...member(proven(s, P, LATER)) }),
    sends: [
      [REGISTER, P, 30, 20],
      [REGISTER, OTHER, 5, 0],
    ],
  },
  {
    says: 'allowed, under a ceiling of its own for all it sends',
    of: (s) => ({ allow: [prefix(s)] }),
    sends: [
      [REGISTER, P, 20, 20],
      [HIDDEN, OTHER, 10, 10],
      [INVITE, P, 10, 10],
      [OK, P, 10, 10],
      [KEEPALIVE, P, 5, 5],
      [REGISTER, OTHER, 20, 5],
    ],
  },
  {
    says: 'allowed, whatever else is said of it',
    of: (s) => ({
      allow: [prefix(s)],
      blocks: [denied(s), block(s), block(s, 'register')],
      suspensions: [suspension(s, P, LATER), suspension(s, 0, LATER)],
      ...member(ignoring(sourceOf(s), LATER)),
    }),
    sends: [[REGISTER, P, 60, 60]],
  },
  {
    says: 'gateway: INVITE, REGISTER and what is not recognised count together, the rest under the ceiling',
    of: (s) => ({ gateways: [gateway(nameOf(s), [s], slow(6))] }),
    sends: [
      [INVITE, P, 2, 2],
      [REGISTER, OTHER, 2, 2],
      [HIDDEN, P, 10, 2],
      [INVITE, P, 5, 0],
      [REGISTER, P, 5, 0],
      [OPTIONS, P, 20, 20],
      [BYE, P, 20, 20],
      [OK, P, 10, 10],
      [KEEPALIVE, P, 20, 10],
    ],
  },
  {
    says: 'gateway that a verdict meant to block',
    of: (s) => ({
      gateways: [gateway(nameOf(s), [s], slow(6))],
      blocks: [block(s), block(s, 'register')],
      suspensions: [suspension(s, 0, LATER)],
    }),
    sends: [
      [INVITE, P, 10, 6],
      [BYE, P, 10, 10],
    ],
  },
  {
    says: 'gateway that the operator blocked',
    of: (s) => ({ gateways: [gateway(nameOf(s), [s], slow(6))], blocks: [denied(s)] }),
    sends: [
      [INVITE, P, 5, 0],
      [BYE, P, 5, 0],
      [OK, P, 5, 0],
    ],
  },
]

const nameOf = (source: string) => `gw-${source.replaceAll(/[^0-9a-f]+/g, '-')}`.slice(0, 20)

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`lanes of UDP by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    /** Addresses of one /24 or /48 each: their numbers are those of /24s (or /48s) and of sources in them. */
    const at = (network: number, source: number, host = 7) =>
      family === 4
        ? `10.70.${network}.${source}`
        : `fd64:70:${network}:${source.toString(16).padStart(2, '0')}00::${host}`
    const ofNetwork = (network: number) =>
      family === 4 ? `10.70.${network}.0/24` : `fd64:70:${network}::/48`

    describe('each source by what is known of it', () => {
      const sources = ROWS.map(() => stage.fresh(family))
      beforeAll(async () => {
        const parts = ROWS.map((row, i) => row.of(sources[i]!))
        await stage.hold({
          limits: TELLING,
          allow: parts.flatMap(({ allow = [] }) => allow),
          gateways: parts.flatMap(({ gateways = [] }) => gateways),
          blocks: parts.flatMap(({ blocks = [] }) => blocks),
          suspensions: parts.flatMap(({ suspensions = [] }) => suspensions),
          members: parts.flatMap(({ members = [] }) => members),
        })
      })

      test.each(ROWS.map((row, i) => [row.says, row, sources[i]!] as const))(
        '%s',
        async (_says, { sends }, from) => {
          const passed: number[] = []
          for (const [text, port, sent] of sends) {
            passed.push(await stage.passed({ from, port, texts: times(sent, text) }))
          }
          expect(passed).toEqual(sends.map(([, , , pass]) => pass))
        },
      )
    })

    test('unknown sources: each has a bucket, so has their prefix, so have all together', async () => {
      await stage.hold({
        limits: { ...TELLING, unknown: { source: slow(5), prefix: slow(12), total: slow(20) } },
      })
      const register = (from: string) => stage.passed({ from, texts: times(30, REGISTER) })
      expect(await register(at(1, 1))).toBe(5)
      expect(await register(at(1, 2))).toBe(5)
      expect(await register(at(1, 3))).toBe(2)
      expect(await register(at(2, 1))).toBe(5)
      expect(await register(at(3, 1))).toBe(3)
      expect(await register(at(4, 1))).toBe(0)
    })

    test('who has a bucket of their own do not need that of the unknown', async () => {
      const members = [
        [proven(at(1, 1), P, LATER), answered(at(1, 2), P, LATER), returning(sourceOf(at(1, 3)), 1, LATER)],
      ]
      await stage.hold({
        limits: { ...TELLING, unknown: { source: slow(5), prefix: slow(6), total: slow(6) } },
        allow: [prefix(at(1, 4))],
        gateways: [gateway('trunk', [at(1, 5)], slow(6))],
        members,
      })
      const register = (source: number) =>
        stage.passed({ from: at(1, source), port: P, texts: times(100, REGISTER) })
      expect(await register(6)).toBe(5)
      expect(await register(7)).toBe(1)
      expect(await register(8)).toBe(0)
      const served = []
      for (const source of [1, 2, 3, 4, 5]) served.push(await register(source))
      expect(served).toEqual([20, 7, 9, 60, 6])
    })

    test('the ceiling of what is allowed is one a prefix, and not one in all', async () => {
      await stage.hold({ limits: TELLING, allow: [prefix(ofNetwork(1)), prefix(ofNetwork(2))] })
      const register = (from: string) => stage.passed({ from, texts: times(50, REGISTER) })
      expect([await register(at(1, 1)), await register(at(1, 2)), await register(at(2, 1))]).toEqual([
        50, 10, 50,
      ])
    })

    test('all may be allowed, though ipset has no /0', async () => {
      await stage.hold({
        limits: TELLING,
        allow: [prefix('0.0.0.0/0'), prefix('::/0')],
        blocks: [denied(at(1, 1))],
      })
      expect(await stage.passed({ from: at(1, 1), texts: times(30, REGISTER) })).toBe(30)
      expect(await stage.passed({ from: stage.fresh(family), texts: times(30, REGISTER) })).toBe(30)
    })

    test('a gateway has one bucket for all its prefixes, the inner of two nested ones has its own', async () => {
      const outer = gateway(
        'outer',
        [family === 4 ? '10.70.0.0/16' : 'fd64:70::/32', stage.fresh(family)],
        slow(7),
      )
      const inner = gateway('inner', [ofNetwork(5), stage.fresh(family)], slow(4))
      // Whatever order they are configured in.
      for (const gateways of [
        [outer, inner],
        [inner, outer],
      ]) {
        await stage.hold({ limits: TELLING, gateways })
        const invite = (from: string, amount: number) => stage.passed({ from, texts: times(amount, INVITE) })
        expect(await invite(at(5, 1), 3)).toBe(3)
        expect(await invite(at(6, 1), 5)).toBe(5)
        expect(await invite(gateways[0]!.prefixes[1]!.split('/')[0]!, 9)).toBe(gateways[0] === outer ? 2 : 1)
        expect(await invite(gateways[1]!.prefixes[1]!.split('/')[0]!, 9)).toBe(gateways[1] === outer ? 2 : 1)
        expect(await invite(at(5, 2), 9)).toBe(0)
        expect(await invite(at(7, 2), 9)).toBe(0)
      }
    })

    test('a busy trunk inside its profile loses nothing', async () => {
      const [trunk, other] = [at(1, 1), at(1, 2)]
      await stage.hold({ gateways: [gateway('call-center', [trunk, other], limit(80, 160))] })
      // A call: INVITE, ACK and BYE, and the responses to the softswitch's own requests.
      const call = [INVITE, sip('ACK sip:1@pbx.example SIP/2.0'), OK, OPTIONS, BYE]
      let arrived = 0
      const begun = performance.now()
      let calls = 0
      for (; calls < 240 && performance.now() - begun < 6_000; calls += 12) {
        const from = (calls / 12) % 2 ? trunk : other
        arrived += await stage.passed({ from, texts: times(12, '').flatMap(() => call) })
        const ahead = (calls + 12) / 75 - (performance.now() - begun) / 1_000
        if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead * 1_000))
      }
      expect(calls).toBeGreaterThan(100)
      expect(arrived).toBe(calls * call.length)
    })

    test('a bucket fills at its rate', async () => {
      await stage.hold({
        limits: limits({ unknown: { source: limit(20, 10), prefix: slow(900), total: slow(900) } }),
      })
      const from = stage.fresh(family)
      const begun = performance.now()
      let passed = 0
      while (performance.now() - begun < 1_000)
        passed += await stage.passed({ from, texts: times(10, REGISTER) })
      const seconds = (performance.now() - begun) / 1_000
      expect(passed).toBeGreaterThanOrEqual(10 + 20 * (seconds - 0.6))
      expect(passed).toBeLessThanOrEqual(10 + 20 * seconds * 1.05 + 1)
    })

    if (family === 6) {
      test('whoever has a /64 has one source, and /64s of one /56 share another bucket', async () => {
        const host = (site: number, subnet: number, id: number) =>
          `fd64:71:1:${((site << 8) | subnet).toString(16)}::${id.toString(16)}`
        await stage.hold({
          limits: { ...TELLING, unknown: { source: slow(5), prefix: slow(30), total: slow(900) } },
        })
        const register = (from: string) => stage.passed({ from, texts: times(9, REGISTER) })
        expect([await register(host(1, 1, 1)), await register(host(1, 1, 2))]).toEqual([5, 0])
        expect(await register(host(1, 2, 1))).toBe(5)
        expect(await register(host(1, 3, 1))).toBe(5)
        expect(await register(host(1, 4, 1))).toBe(5)
        expect(await register(host(1, 5, 1))).toBe(0)
        // The /48 has given 20.
        expect(await register(host(2, 1, 1))).toBe(5)
        expect(await register(host(2, 2, 1))).toBe(5)
        expect(await register(host(3, 1, 1))).toBe(0)
      })

      test('proven, answered and suspended is the whole address, returning and ignoring the /64', async () => {
        const [one, two] = ['fd64:72:1:1::1', 'fd64:72:1:1::2']
        const [three, four] = ['fd64:72:2:1::1', 'fd64:72:2:1::2']
        const [five, six] = ['fd64:72:3:1::1', 'fd64:72:3:1::2']
        await stage.hold({
          limits: TELLING,
          suspensions: [suspension(three, P, LATER), suspension(five, 0, LATER)],
          members: [
            [
              proven(one, P, LATER),
              returning(sourceOf(one), 1, LATER),
              answered(four, P, LATER),
              ignoring(sourceOf(three), LATER),
            ],
          ],
        })
        const register = (from: string) => stage.passed({ from, port: P, texts: times(30, REGISTER) })
        expect([await register(one), await register(two)]).toEqual([20, 9])
        expect([await register(three), await register(four)]).toEqual([0, 7 + 2])
        expect([await register(five), await register(six)]).toEqual([0, 0])
      })
    }

    test('what ends is over without anybody doing anything', async () => {
      const [blocked, suspended, known] = [stage.fresh(family), stage.fresh(family), stage.fresh(family)]
      const until = Date.now() + 2_000
      const state = desired({
        limits: TELLING,
        blocks: [denied(blocked, until)],
        suspensions: [suspension(suspended, 0, until)],
        members: [[proven(known, P, until)]],
      })
      await stage.hold(state)
      const register = (from: string) => stage.passed({ from, port: P, texts: [REGISTER] })
      expect([await register(blocked), await register(suspended)]).toEqual([0, 0])
      expect(await stage.elements('pvn', family)).toHaveLength(1)
      while ((await register(blocked)) === 0 && Date.now() < until + 5_000);
      while ((await register(suspended)) === 0 && Date.now() < until + 5_000);
      expect([await register(blocked), await register(suspended)]).toEqual([1, 1])
      expect(await stage.elements('pvn', family)).toHaveLength(0)
    })
  })
}
