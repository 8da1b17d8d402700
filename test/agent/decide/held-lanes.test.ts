import { expect, it } from 'vitest'
import { heldLanes } from '../../../agent/decide/held-lanes.ts'
import { Lanes } from '../../../agent/decide/lanes.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import type { ObservedSet } from '../../../rules/kernel.ts'

const NOW = 1_699_999_200_000
const DAY = 86_400_000
const PHONE: Source = { address: '203.0.113.7' as Address, port: 5062 }

function sets(elements: Readonly<Record<string, Readonly<Record<string, number>>>>) {
  return new Map(
    Object.entries(elements).map(([name, timeouts]): [string, ObservedSet] => {
      const held = Object.entries(timeouts).map(
        ([text, timeout]) => [text, { timeout, packets: 0, bytes: 0 }] as const,
      )
      return [name, { form: '', size: held.length, elements: new Map(held) }]
    }),
  )
}

const held = (elements: Parameters<typeof sets>[0]) => heldLanes(sets(elements), NOW)

function lanesWith({
  kernel,
  journal = [],
}: {
  readonly kernel: Parameters<typeof sets>[0]
  readonly journal?: readonly { readonly account: string; readonly until: number }[]
}) {
  const lanes = new Lanes({ maxBindings: 10, capacity: 1_000 })
  const proven = journal.map((entry) => ({ ...PHONE, ...entry }))
  lanes.restore({ proven, returning: [], held: held(kernel) }, NOW)
  return lanes
}

const provenUntil = (lanes: Lanes) =>
  lanes
    .parts()
    .flat()
    .flatMap((member) => (member.lane === 'proven' ? [member.until - NOW] : []))

it('reads who is in a lane, and until when, out of the sets of both families', () => {
  const found = held({
    'rf-pvn4': { '203.0.113.7,udp:5062': 300 },
    'rf-pvn6': { '2001:db8::7,udp:5060': 60 },
    'rf-ret14': { '203.0.113.7': 604_800 },
    'rf-ret16': { '2001:db8::/64': 86_400 },
    'rf-ret34': { '198.51.100.9': 604_800 + 3_600 },
  })
  expect(found.proven).toEqual([
    { ...PHONE, until: NOW + 300_000 },
    { address: '2001:db8::7', port: 5060, until: NOW + 60_000 },
  ])
  expect(found.returning).toEqual([
    { source: '2001:db8::/64', at: NOW - 6 * DAY, accounts: 1 },
    { source: '203.0.113.7/32', at: NOW, accounts: 1 },
    { source: '198.51.100.9/32', at: NOW, accounts: 51 },
  ])
})

it('takes nothing from elements that no daemon of ours writes, and nothing where there are no sets', () => {
  expect(
    held({ 'rf-pvn4': { '203.0.113.7,udp:5062': 0, '203.0.113.7,tcp:5062': 300, nonsense: 300 } }),
  ).toEqual({
    proven: [],
    returning: [],
  })
  expect(held({})).toEqual({ proven: [], returning: [] })
})

it('a port that only the kernel knows stays proven for as long as the kernel would have kept it', () => {
  const lanes = lanesWith({
    kernel: { 'rf-pvn4': { '203.0.113.7,udp:5062': 300 }, 'rf-ret14': { '203.0.113.7': 9 } },
  })
  expect(provenUntil(lanes)).toEqual([300_000])
  expect(lanes.returns(PHONE.address)).toBe(true)
  for (let i = 0; i < 32; i++) lanes.sweep(NOW + 300_001)
  expect(provenUntil(lanes)).toEqual([])
})

it.each([
  { what: 'the journal knows as much', journal: 299_500, kernel: 300, until: 299_500 },
  { what: 'the last renewal was not written down', journal: 60_000, kernel: 300, until: 300_000 },
  { what: 'the last renewal did not reach the kernel', journal: 600_000, kernel: 300, until: 600_000 },
])('where $what the later end counts', ({ journal, kernel, until }) => {
  const lanes = lanesWith({
    kernel: { 'rf-pvn4': { '203.0.113.7,udp:5062': kernel } },
    journal: [{ account: '1001@a', until: NOW + journal }],
  })
  expect(provenUntil(lanes)).toEqual([until])
})

it.each(['registered', 'unregistered'] as const)('and gives way to what is seen of it: %s', (kind) => {
  const lanes = lanesWith({ kernel: { 'rf-pvn4': { '203.0.113.7,udp:5062': 3_600 } } })
  const until = NOW + 120_000
  lanes.take({ kind, at: NOW, account: '1001@a', source: PHONE, transport: 'udp', until }, NOW)
  expect(provenUntil(lanes)).toEqual(kind === 'registered' ? [120_000] : [])
})

it('what the journal should hold names no account that nobody knows', () => {
  const lanes = lanesWith({ kernel: { 'rf-pvn4': { '203.0.113.7,udp:5062': 300 } } })
  expect(lanes.takeChanges()).toEqual({ proven: [], unproven: [], returning: [] })
})
