import { expect, it } from 'vitest'
import { laneOf, laneOfPort } from '../../../agent/control/source-lane.ts'
import type { Decision } from '../../../agent/journal/entries.ts'
import type { SourceKnowledge } from '../../../agent/sensor/messages.ts'
import { parsePrefix } from '../../../registrar/net/address.ts'
import type { DesiredState } from '../../../rules/desired-state.ts'
import {
  address,
  answered,
  desired,
  gateway,
  ignoring,
  limit,
  proven,
  returning,
} from '../../rules/desired.ts'

const NOW = 1_800_000_000_000
const LATER = NOW + 60_000
const PHONE = '198.51.100.7'
const KNOWLEDGE = { provenUntil: 0, lastOwnNonce: 0 } as SourceKnowledge

it.each<{
  of?: string
  state?: Partial<DesiredState>
  allowed?: true
  known?: Partial<SourceKnowledge>
  lane: string
  reason: string
}>([
  { allowed: true, lane: 'allowed', reason: 'It is on the allowlist.' },
  {
    state: {
      gateways: [gateway('trunk', ['198.51.100.0/24'], limit(80, 160))],
      members: [[proven(PHONE, 5060, LATER)]],
    },
    lane: 'gateway',
    reason: 'It is of the gateway trunk: 80 calls a second, 160 at once.',
  },
  {
    state: {
      members: [
        [proven(PHONE, 5062, LATER)],
        [
          proven(PHONE, 5060, LATER),
          proven('198.51.100.8', 5070, LATER),
          returning('198.51.100.7/32', 2, LATER),
        ],
      ],
    },
    lane: 'proven',
    reason: 'It is registered from ports 5060, 5062, which the kernel serves apart.',
  },
  {
    state: { members: [[proven(PHONE, 5060, NOW), answered(PHONE, 5061, LATER)]] },
    lane: 'answered',
    reason: 'It answered a challenge of its own from port 5061 within the last minute.',
  },
  {
    // It is in the largest class, whatever their number.
    state: { members: [[returning('198.51.100.7/32', 51, LATER)]] },
    known: { aggregator: true, accountsBehind: 20 },
    lane: 'returning',
    reason: 'It registered 20 accounts within the last days.',
  },
  {
    of: '2001:db8::7',
    state: { members: [[returning('2001:db8::/64', 1, LATER)]] },
    lane: 'returning',
    reason: 'It registered one account within the last days.',
  },
  {
    state: { members: [[ignoring('198.51.100.7/32', LATER)]] },
    lane: 'ignoring',
    reason: 'It got several challenges and never answered one.',
  },
  {
    known: { provenUntil: LATER },
    lane: 'unknown',
    reason:
      'It registered, and the registration still lasts, but the kernel holds none of its ports apart: it was let go for lack of room, or speaks TCP.',
  },
  {
    state: { members: [[returning('198.51.100.7/32', 1, LATER)]] },
    known: { bound: [{ address: address(PHONE), port: 40_123, transport: 'tcp', until: LATER }] },
    lane: 'returning',
    reason:
      'It is registered over TCP from port 40123; connections that stand are left alone, and for new ones it counts that it registered one account within the last days.',
  },
  {
    // Its ports were evicted, and its address was not.
    state: { members: [[returning('198.51.100.7/32', 1, LATER)]] },
    known: { provenUntil: LATER },
    lane: 'returning',
    reason: 'It registered one account within the last days.',
  },
  {
    known: { lastOwnNonce: NOW - 1_000 },
    lane: 'unknown',
    reason:
      'It answered a challenge of its own within the last minute, but the kernel holds none of its ports apart: it was let go for lack of room, or speaks TCP.',
  },
  { known: {}, lane: 'unknown', reason: 'It has no registration that lasts.' },
  { lane: 'unknown', reason: 'Nothing was seen of it lately.' },
])('$lane: $reason', ({ of = PHONE, state = {}, allowed = false, known, lane, reason }) => {
  const knowledge = known ? { ...KNOWLEDGE, ...known } : null
  const facts = { address: address(of), allowed, standing: [], desired: desired(state), knowledge, now: NOW }
  expect(laneOf(facts)).toEqual({ lane, laneReason: reason })
})

function suspended(of: string, who: Partial<Decision> = {}): Decision {
  return {
    id: 1,
    kind: 'suspend',
    target:
      of === 'all'
        ? { kind: 'prefix', prefix: parsePrefix('198.51.100.7/32')! }
        : { kind: 'source', address: address(PHONE), port: Number(of) },
    scope: 'register',
    since: NOW,
    until: LATER,
    by: 'retry-limit',
    who: null,
    grade: 'path',
    reason: 'six failures',
    evidence: {},
    endedAt: null,
    endedBy: null,
    ...who,
  }
}

it('one suspended port does not hide the registered ones beside it', () => {
  const lane = (standing: Decision[], state: Partial<DesiredState>) =>
    laneOf({
      address: address(PHONE),
      allowed: false,
      standing,
      desired: desired(state),
      knowledge: null,
      now: NOW,
    })
  const registered = { members: [[proven(PHONE, 5060, LATER)]] }
  expect(lane([suspended('5090')], registered)).toEqual({
    lane: 'proven',
    laneReason:
      'It is registered from port 5060, which the kernel serves apart. But 198.51.100.7:5090 is suspended: six failures',
  })
  expect(
    lane(
      ['5090', '5091', '5092', '5093'].map((port) => suspended(port)),
      registered,
    ).laneReason,
  ).toBe(
    'It is registered from port 5060, which the kernel serves apart. But 198.51.100.7:5090 is suspended: six failures; ' +
      '198.51.100.7:5091 is suspended: six failures; 198.51.100.7:5092 is suspended: six failures (and 1 more)',
  )
  expect(lane([suspended('5090')], {}).lane).toBe('suspended')
  expect(lane([suspended('5090'), suspended('all')], registered).lane).toBe('suspended')
})

it.each<{ says: string; standing?: Decision[]; allowed?: true; state?: Partial<DesiredState>; lane: string }>(
  [
    { says: 'nothing of it', lane: 'unknown' },
    { says: 'another port', state: { members: [[proven(PHONE, 5060, LATER)]] }, lane: 'unknown' },
    { says: 'registered', state: { members: [[proven(PHONE, 5062, LATER)]] }, lane: 'proven' },
    { says: 'answered', state: { members: [[answered(PHONE, 5062, LATER)]] }, lane: 'answered' },
    {
      says: 'its address returns',
      state: { members: [[returning('198.51.100.7/32', 1, LATER)]] },
      lane: 'returning',
    },
    { says: 'suspended', standing: [suspended('5062')], lane: 'suspended' },
    { says: 'another one suspended', standing: [suspended('5060')], lane: 'unknown' },
    {
      says: 'registered, and suspended since',
      standing: [suspended('5062')],
      state: { members: [[proven(PHONE, 5062, LATER)]] },
      lane: 'suspended',
    },
    {
      says: 'registered behind a blocked address',
      standing: [suspended('all', { kind: 'block' })],
      state: { members: [[proven(PHONE, 5062, LATER)]] },
      lane: 'proven',
    },
    {
      says: 'registered, and the operator blocks the address',
      standing: [suspended('all', { kind: 'block', by: 'operator' })],
      state: { members: [[proven(PHONE, 5062, LATER)]] },
      lane: 'blocked',
    },
    { says: 'a blocked address', standing: [suspended('all', { kind: 'block' })], lane: 'blocked' },
    { says: 'allowed', allowed: true, standing: [suspended('5062')], lane: 'allowed' },
  ],
)('the lane of one port, $says: $lane', ({ standing = [], allowed = false, state = {}, lane }) => {
  const facts = {
    address: address(PHONE),
    allowed,
    standing,
    desired: desired(state),
    knowledge: null,
    now: NOW,
  }
  expect(laneOfPort(5062, facts).lane).toBe(lane)
})
