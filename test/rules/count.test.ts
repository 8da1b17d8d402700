import { expect, test } from 'vitest'
import { readCounters } from '../../rules/count.ts'
import { NO_CHAINS } from '../../rules/plan-chains.ts'
import { block, denied, desired, suspension } from './desired.ts'

const NOW = Date.UTC(2026, 0, 1)

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
    denied('203.0.113.0/24'),
    block('192.0.2.9', 'sip', NOW - 1),
    block('192.0.2.8'),
  ]
  const suspensions = [suspension('192.0.2.3', 5060, NOW + 9_000), suspension('2001:db8::7', 0, NOW + 9_000)]
  const sets = new Map([
    ['rf-sip4', set(['192.0.2.1', element(59, 7)], ['192.0.2.9', element(1, 1)])],
    ['rf-deny4', set(['203.0.113.0/24', element(0, 9)])],
    ['rf-reg6', set(['2001:db8::/64', element(0, 3)])],
    ['rf-susp4', set(['192.0.2.3,udp:5060', element(8, 2)])],
    ['rf-susa6', set(['2001:db8::/64', element(8, 1)])],
    ['rf-wsip4', set(['192.0.2.50', element(500, 10)])],
    ['rf-wsip6', set(['2001:db8:5::', element(500, 20)])],
  ])
  expect(
    readCounters(
      desired({ blocks, suspensions }),
      { chains: { 4: NO_CHAINS, 6: NO_CHAINS }, sets, straySets: [] },
      NOW,
    ),
  ).toEqual({
    blocks: [
      { block: blocks[0], packets: 7, bytes: 700, remaining: 59 },
      { block: blocks[1], packets: 3, bytes: 300, remaining: null },
      { block: blocks[2], packets: 9, bytes: 900, remaining: null },
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
