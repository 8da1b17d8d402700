import { expect, it } from 'vitest'
import { tellStory } from '../../../agent/control/source-story.ts'
import { address, desired, prefix } from '../../rules/desired.ts'

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
      clock: () => 1_800_000_000_000,
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
