import { expect, test } from 'vitest'
import { DropTotals, readCounters } from '../../rules/count.ts'
import type { ObservedState } from '../../rules/kernel.ts'
import { block, desired, suspension } from './desired.ts'

const NOW = Date.UTC(2026, 0, 1)

function observed(
  rules: Readonly<Record<string, number>>,
  sets: ObservedState['sets'] = new Map(),
): ObservedState {
  const own = new Map([
    ['ANY', Object.entries(rules).map(([text, packets]) => ({ text, packets, bytes: 0 }))],
  ])
  return { chains: { 4: { own, prerouting: [] }, 6: { own: new Map(), prerouting: [] } }, sets }
}

test('what the kernel counted, for what is desired', () => {
  const element = (timeout: number, packets: number) => ({ timeout, packets, bytes: packets * 100 })
  const set = (...elements: [string, ReturnType<typeof element>][]) => ({
    form: '',
    size: elements.length,
    elements: new Map(elements),
  })
  const blocks = [
    block('192.0.2.1', 'sip', NOW + 60_000),
    block('2001:db8::/64', 'register'),
    block('192.0.2.9', 'sip', NOW - 1),
    block('192.0.2.8'),
  ]
  const suspensions = [suspension('192.0.2.3', 5060, NOW + 9_000), suspension('2001:db8::7', 0, NOW + 9_000)]
  const sets = new Map([
    ['rf-sip4', set(['192.0.2.1', element(59, 7)], ['192.0.2.9', element(1, 1)])],
    ['rf-reg6', set(['2001:db8::/64', element(0, 3)])],
    ['rf-susp4', set(['192.0.2.3,udp:5060', element(8, 2)])],
    ['rf-susa6', set(['2001:db8::/64', element(8, 1)])],
    ['rf-wsip4', set(['192.0.2.50', element(500, 10)])],
    ['rf-wsip6', set(['2001:db8:5::', element(500, 20)])],
  ])
  expect(readCounters(desired({ blocks, suspensions }), observed({}, sets), NOW)).toEqual({
    blocks: [
      { block: blocks[0], packets: 7, bytes: 700, remaining: 59 },
      { block: blocks[1], packets: 3, bytes: 300, remaining: null },
    ],
    suspensions: [
      { suspension: suspensions[0], packets: 2, bytes: 200, remaining: 8 },
      { suspension: suspensions[1], packets: 1, bytes: 100, remaining: 8 },
    ],
    wouldLimit: [
      { source: '2001:db8:5::/64', packets: 20, bytes: 2000 },
      { source: '192.0.2.50/32', packets: 10, bytes: 1000 },
    ],
  })
})

test('drops are summed across rules that start anew', () => {
  const totals = new DropTotals()
  const rules = (sip: number, register: number) => ({
    '-A RINGFENCE-UDP -m set --match-set rf-allow4 src -j RETURN': 1_000_000,
    '-A RINGFENCE-UDP -m set --match-set rf-sip4 src -j DROP': sip,
    '-A RINGFENCE-TCP -m set --match-set rf-reg4 src -j DROP': 1,
    '-A RINGFENCE-REGISTER -m set --match-set rf-susp4 src,src -j DROP': sip,
    '-A RINGFENCE-REGISTER -m hashlimit --hashlimit-above 5/sec --hashlimit-name rf-reg4-5sec-10 -j DROP':
      register,
    '-A RINGFENCE-OVER -m set --match-set rf-wsip4 src -j RETURN': 500,
    '-A RINGFENCE-OVER -j DROP': register,
  })
  for (const [sip, register] of [
    [100, 5],
    [110, 5],
    [3, 0],
    [3, 4],
  ] as const)
    totals.observe(observed(rules(sip, register)))
  expect(totals.total).toEqual({ blocks: 14, suspensions: 13, registerLimit: 4, sipLimit: 4 })
})
