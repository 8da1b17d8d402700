import { expect, it } from 'vitest'
import { tellStory } from '../../../agent/control/source-story.ts'
import { address, desired, prefix } from '../../rules/desired.ts'

const NOW = 1_800_000_000_000
const POLICY = { registerRetry: 6, registerSuspend: true, registerSuspendTime: 180 }
const OVER = [
  { source: prefix('203.0.113.7/32'), packets: 12, bytes: 900 },
  { source: prefix('2001:db8::/64'), packets: 3, bytes: 90 },
]
const OFF = 'nothing is dropped while the rules are off'

it.each<{ of: string; enforced?: true; notice?: string; over: unknown }>([
  { of: '203.0.113.7', over: { packets: 12, limited: false } },
  { of: '203.0.113.7', enforced: true, over: { packets: 12, limited: true } },
  { of: '203.0.113.7', enforced: true, notice: OFF, over: { packets: 12, limited: false } },
  { of: '2001:db8::7', over: { packets: 3, limited: false } },
  { of: '203.0.113.8', enforced: true, over: null },
])(
  'the story of $of, enforced: $enforced, $notice',
  async ({ of, enforced = false, notice = null, over }) => {
    const story = await tellStory(address(of), {
      clock: () => NOW,
      config: () => ({ policy: POLICY }) as never,
      decisions: { about: () => [], isAllowed: () => false, configuredAllow: [] } as never,
      desired: () => desired({}),
      explainSource: async () => null,
      journal: { decisionsOf: () => [], verdictsOf: () => [], provenAt: () => [] } as never,
      drops: undefined,
      overSipLimit: OVER,
      sipEnforced: () => enforced,
      port: null,
      notice,
    })
    expect(story).toMatchObject({ lane: 'unknown', notice, overSipLimit: over })
  },
)

it('the story says that the sensor did not answer, and nothing of what was seen', async () => {
  const story = await tellStory(address('203.0.113.7'), {
    clock: () => NOW,
    config: () => ({ policy: POLICY }) as never,
    decisions: { about: () => [], isAllowed: () => false, configuredAllow: [] } as never,
    desired: () => desired({}),
    explainSource: async () => undefined,
    journal: { decisionsOf: () => [], verdictsOf: () => [], provenAt: () => [] } as never,
    drops: undefined,
    overSipLimit: [],
    sipEnforced: () => false,
    port: null,
    notice: null,
  })
  expect(story).toMatchObject({
    unanswered: expect.stringMatching(/^The sensor did not answer/),
    laneReason: expect.stringContaining('the sensor did not answer'),
    evidence: [],
  })
})

it('the story of a port is what of the address is about it, and says who ended what', async () => {
  const source = (port: number) => ({ kind: 'source', address: address('203.0.113.7'), port })
  const decision = (id: number, port: number, ended: object = {}) => ({
    id,
    kind: 'suspend',
    target: source(port),
    scope: 'register',
    since: NOW - 1_000,
    until: NOW + 9_000,
    by: 'retry-limit',
    who: null,
    grade: 'path',
    reason: 'R',
    evidence: {},
    endedAt: null,
    endedBy: null,
    ...ended,
  })
  const verdict = (port: number | null) => ({ time: NOW, port, action: 'suspend', reason: 'R', evidence: {} })
  const standing = [decision(2, 5062), decision(3, 5064)]
  const past = [decision(1, 5062, { endedAt: NOW - 500, endedBy: 'root@cli' }), decision(0, 5064)]
  const story = await tellStory(address('203.0.113.7'), {
    clock: () => NOW,
    config: () => ({ policy: POLICY }) as never,
    decisions: { about: () => standing, isAllowed: () => false, configuredAllow: [] } as never,
    desired: () => desired({}),
    explainSource: async () => null,
    journal: {
      decisionsOf: () => [...standing, ...past],
      verdictsOf: () => [verdict(5062), verdict(null), verdict(5064)],
      provenAt: () => [],
    } as never,
    drops: undefined,
    overSipLimit: [],
    sipEnforced: () => false,
    notice: null,
    port: 5062,
  })
  expect(story.port).toMatchObject({
    source: '203.0.113.7:5062',
    lane: 'suspended',
    laneReason: '203.0.113.7:5062 is suspended: R',
    registered: null,
    decisions: [{ id: 2 }],
    verdicts: [{ port: 5062 }],
    pastDecisions: [{ id: 1, until: NOW + 9_000, endedAt: NOW - 500, endedBy: 'root@cli' }],
    exchanges: [],
  })
  expect([story.decisions, story.verdicts, story.pastDecisions].map(({ length }) => length)).toEqual([
    2, 3, 2,
  ])
  expect(story.pastDecisions[1]).not.toHaveProperty('endedAt')
})
