import { describe, expect, test } from 'vitest'
import { DropTotals } from '../../rules/drop-totals.ts'
import {
  KernelError,
  type ObservedChains,
  type ObservedRule,
  type ObservedState,
} from '../../rules/kernel.ts'
import { NO_CHAINS } from '../../rules/plan-chains.ts'
import { type ChainInput, renderChains } from '../../rules/render-chains.ts'
import type { DropCause } from '../../rules/status.ts'
import { DEFAULTS, gateway, limits } from './desired.ts'

const INPUT = {
  ...DEFAULTS,
  gateways: [gateway('carrier', ['192.0.2.0/24', '2001:db8::/32'])],
  limits: limits({ sip: { ...DEFAULTS.limits.sip, enforced: true } }),
}

const LOGGED: ChainInput = { ...INPUT, traffic: { ...INPUT.traffic, logGroup: 5060 } }

function observed(
  packetsOf: (rule: string, index: number, family: 4 | 6) => number,
  unreadable?: ObservedState['unreadable'],
  input: ChainInput = INPUT,
): ObservedState {
  const chainsOf = (family: 4 | 6): ObservedChains => ({
    ...NO_CHAINS,
    own: new Map(
      [...renderChains(input, family)].map(([name, rules]) => [
        name,
        rules.map((text, i): ObservedRule => ({ text, packets: packetsOf(text, i, family), bytes: 0 })),
      ]),
    ),
  })
  return {
    chains: { 4: chainsOf(4), 6: chainsOf(6) },
    sets: new Map(),
    straySets: [],
    ...(unreadable ? { unreadable } : {}),
  }
}

const NOTHING: Record<DropCause, number> = {
  blocks: 0,
  suspensions: 0,
  registerLimit: 0,
  firstPackets: 0,
  sipLimit: 0,
  rest: 0,
  gateways: 0,
  ceiling: 0,
  connections: 0,
  full: 0,
}

test.each([
  ['', INPUT],
  [', what passes being logged', LOGGED],
])('what is dropped has one cause%s', (_name, input) => {
  const causes = new Map<string, DropCause | undefined>()
  for (const rule of [...renderChains(input, 4).values()].flat()) {
    const totals = new DropTotals()
    const counting = (packetsOf: Parameters<typeof observed>[0]) => observed(packetsOf, undefined, input)
    totals.observe(counting(() => 0))
    totals.observe(counting((text, _i, family) => (text === rule && family === 4 ? 3 : 0)))
    const { dropped, judged } = totals
    const grown = (Object.keys(dropped) as DropCause[]).filter((cause) => dropped[cause] > 0)
    if (rule.endsWith(' -j DROP')) {
      expect([rule, grown.length]).toEqual([rule, 1])
      causes.set(rule.replace(/ -m hashlimit .*--hashlimit-name rf-(\S+?)4-.*(?= -j)/, ' $1'), grown[0])
    } else if (!/^-A \S+$/.test(rule)) expect([rule, grown]).toEqual([rule, []])
    const entered = (judged.udp === 3 ? 'udp' : '') + (judged.tcp === 3 ? 'tcp' : '')
    // Whatever the entrance takes was judged, on the short way of the proven too.
    expect([rule, entered]).toEqual([rule, /^-A RINGFENCE -i \S+ -p (udp|tcp) /.exec(rule)?.[1] ?? ''])
  }
  const strict = [...causes].filter(([rule]) => rule.startsWith('-A RINGFENCE-STRICT '))
  expect([...new Set(strict.map(([, cause]) => cause))]).toEqual(['registerLimit'])
  expect(Object.fromEntries(causes)).toMatchObject({
    '-A RINGFENCE-UDP -m set --match-set rf-deny4 src -j DROP': 'blocks',
    '-A RINGFENCE-TCP -m set --match-set rf-sip4 src -j DROP': 'blocks',
    '-A RINGFENCE-REGISTER -m set --match-set rf-reg4 src -j DROP': 'blocks',
    '-A RINGFENCE-REGISTER -m set --match-set rf-susp4 src,src -j DROP': 'suspensions',
    '-A RINGFENCE-REGISTER -m set --match-set rf-susa4 src -j DROP': 'suspensions',
    '-A RINGFENCE-RETURN1 ret1 -j DROP': 'registerLimit',
    '-A RINGFENCE-UNKNOWN src -j DROP': 'registerLimit',
    '-A RINGFENCE-FIRST -j DROP': 'firstPackets',
    '-A RINGFENCE-OVER -j DROP': 'sipLimit',
    '-A RINGFENCE-KEEPALIVE kpa -j DROP': 'rest',
    '-A RINGFENCE-REST rest -j DROP': 'rest',
    '-A RINGFENCE-CPS -s 192.0.2.0/24 cps-carrier -j DROP': 'gateways',
    '-A RINGFENCE-ALLOWED alw -j DROP': 'ceiling',
    '-A RINGFENCE-PEER ask -j DROP': 'ceiling',
    '-A RINGFENCE-CONNECT con -j DROP': 'connections',
    '-A RINGFENCE-CONNECT conp -j DROP': 'connections',
  })
})

test('drops are summed across rules that start anew, each family for itself', () => {
  const totals = new DropTotals()
  const deny = (v4: number, v6: number) =>
    observed((rule) => (rule.includes('rf-deny4') ? v4 : rule.includes('rf-deny6') ? v6 : 0))
  // Two rules a family: one for UDP, one for TCP.
  for (const [v4, v6] of [
    [100, 1_000],
    [110, 1_000],
    // IPv4 began anew, IPv6 went on.
    [3, 2_000],
    [4, 2_000],
  ] as const) {
    totals.observe(deny(v4, v6))
  }
  expect(totals.dropped).toEqual({ ...NOTHING, blocks: 2 * (10 + 3 + 1 + 1_000) })
})

test('a family that cannot be read keeps what it had counted', () => {
  const totals = new DropTotals()
  const drops = (packets: number) => (rule: string) => (rule.includes('rf-reg4') ? packets : 0)
  totals.observe(observed(drops(5)))
  totals.observe(observed(drops(8)))
  totals.observe(observed(() => 0, new Map([[4, new KernelError('refused', 'broken')]])))
  totals.observe(observed(drops(9)))
  expect(totals.dropped.blocks).toBe(2 * 4)
})

describe('full tables', () => {
  /** What entered, what was over the limit, and what came out, of the first table of the chain of unknown sources. */
  const unknown = (entered: number, over: number, out: number) => {
    const rules = renderChains(INPUT, 4).get('RINGFENCE-UNKNOWN')!
    const deciding = rules.findIndex((rule) => rule.includes('--hashlimit-name rf-src4-'))
    return observed((rule, i, family) => {
      if (!rule.startsWith('-A RINGFENCE-UNKNOWN') || family === 6) return 0
      if (i === deciding) return over
      if (rule !== '-A RINGFENCE-UNKNOWN') return 0
      // The other tables let all that reaches them through.
      return i < deciding ? entered : out
    })
  }

  test('what a full table dropped is what is missing between two rules that count', () => {
    const totals = new DropTotals()
    totals.observe(unknown(0, 0, 0))
    totals.observe(unknown(1_000, 300, 700))
    expect(totals.dropped.full).toBe(0)
    totals.observe(unknown(2_000, 300, 900))
    expect(totals.dropped.full).toBe(800)
    // Packets went on while the rules were read, the later rule later.
    totals.observe(unknown(2_100, 300, 1_010))
    expect(totals.dropped.full).toBe(800)
    // The rules were written anew.
    totals.observe(unknown(0, 0, 0))
    totals.observe(unknown(50, 0, 20))
    expect(totals.dropped.full).toBe(830)
    expect([...totals.fullTables].filter(([, packets]) => packets > 0)).toEqual([
      [expect.stringMatching(/^rf-src4-/), 830],
    ])
  })
})
