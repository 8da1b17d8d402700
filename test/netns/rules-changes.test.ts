import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { denied, desired, limit, limits, proven, sizes } from '../rules/desired.ts'
import { BACKENDS } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { datagram } from './frames.ts'
import { LATER, slow, TELLING } from './lanes-limits.ts'
import { REGISTER, times } from './lanes-texts.ts'
import { RulesStage } from './rules-stage.ts'

const P = 40_001

describe.each(BACKENDS)('changes under traffic, by %s', (backend) => {
  const stage = new RulesStage(backend)
  let engine: RulesEngine

  beforeAll(() => stage.open())
  afterAll(() => stage.close())
  beforeEach(() => {
    const kernel = new IptablesKernel({ iptables: backend, netns: stage.host.name })
    engine = new RulesEngine({ kernel, clock: Date.now })
  })
  afterEach(async () => {
    await engine.off()
    await engine.close()
  })

  const apply = async (state: DesiredState) => {
    engine.setDesired(state)
    await eventually(() => engine.status().state === 'applied', 15_000, 'the state')
  }
  const passed = (from: string, amount: number, port = P) =>
    stage.passed({ from, port, texts: times(amount, REGISTER) })
  /** Many packets of some sources, one after the other, and what arrives of each. */
  const during = async (sources: readonly string[], rounds: number, act: () => Promise<void>) => {
    const frames = Array.from({ length: rounds }, () =>
      sources.flatMap((source) => datagram({ source, port: P, text: REGISTER })),
    ).flat()
    const perSecond = 100 * sources.length
    const arrived = await stage.arrivals(async () => {
      await Promise.all([stage.transmit(frames, { perSecond }), act()])
    })
    return sources.map((source) => arrived.filter((one) => one.source === source).length)
  }

  test.each([
    ['looser', slow(10), slow(40)],
    ['tighter', slow(40), slow(4)],
  ])(
    'a %s limit gives nobody a fresh burst, lets nobody through and drops nobody else',
    async (_name, before, after) => {
      const [exhausted, blocked, known, other] = [4, 4, 4, 4].map((family) => stage.fresh(family as 4))
      const withLimit = (source: typeof before) =>
        desired({
          limits: {
            ...TELLING,
            proven: limit(1_000, 1_000),
            unknown: { ...TELLING.unknown, source, prefix: slow(500) },
          },
          blocks: [denied(blocked!)],
          members: [[proven(known!, P, LATER)]],
        })
      await apply(withLimit(before))
      expect(await passed(exhausted!, 60)).toBe(before.burst)
      const rounds = 400
      const arrived = await during([exhausted!, blocked!, known!], rounds, async () => {
        engine.setDesired(withLimit(after))
        await engine.settled()
        expect(engine.status().state).toBe('pending')
        await eventually(() => engine.status().state === 'applied', 15_000, 'the new limit')
      })
      // A bucket that gains one packet a minute may have gained one.
      expect(arrived[0]).toBeLessThanOrEqual(1)
      expect(arrived.slice(1)).toEqual([0, rounds])
      expect(await passed(exhausted!, 60)).toBeLessThanOrEqual(1)
      // The new limit is in charge.
      expect(await passed(other!, 60)).toBe(after.burst)
    },
  )

  test('other sizes lose nothing that sets hold, under traffic', async () => {
    const [blocked, known] = [stage.fresh(4), stage.fresh(4)]
    const state = desired({
      limits: { ...TELLING, proven: limit(1_000, 1_000) },
      blocks: [denied(blocked)],
      members: [[proven(known, P, LATER)]],
    })
    await apply(state)
    const rounds = 300
    const arrived = await during([blocked, known], rounds, () =>
      apply({ ...state, sizes: sizes({ elements: 200_000, buckets: 100_000, seen: 1_000 }) }),
    )
    // A packet that were not found in its set would have been let through, or been dropped as of an unknown source.
    expect(arrived).toEqual([0, rounds])
    expect(await engine.check()).toEqual([])
  })

  test('a list that is replaced in bulk blocks all the while who is in both', async () => {
    const blocked = stage.fresh(4)
    const many = (first: number) => [
      denied(blocked),
      ...Array.from({ length: 21_000 }, (_, i) => denied(`${first}.0.${i >> 8}.${i & 255}`)),
    ]
    const state = desired({ limits: TELLING, blocks: many(20) })
    await apply(state)
    const arrived = await during([blocked], 300, () => apply({ ...state, blocks: many(21) }))
    expect(arrived).toEqual([0])
    const { blocks } = await engine.counters()
    // What a block has dropped is told on in the new set.
    expect(blocks.find(({ block }) => block.target === `${blocked}/32`)!.packets).toBeGreaterThan(150)
  })

  test('a table that is full is said, with what that means, and who is known is served', async () => {
    const known = stage.fresh(4)
    await apply(
      desired({
        limits: limits({ unknown: { source: slow(5), prefix: slow(1_000), total: limit(100_000, 100_000) } }),
        sizes: sizes({ buckets: 64 }),
        members: [[proven(known, P, LATER)]],
      }),
    )
    await engine.check()
    const frames = Array.from({ length: 2_000 }, (_, i) =>
      datagram({ source: `10.90.${i >> 8}.${i & 255}`, port: P, text: REGISTER }),
    ).flat()
    await stage.arrivals(() => stage.transmit(frames, { perSecond: 5_000 }))
    await engine.check()
    expect(engine.status().full.join('\n')).toMatch(
      /The table rf-\w+4-\S+ is full \(\d+ packets dropped since the last look\): .*REGISTERs of new unknown .* are dropped; proven, returning, gateway and allowed ones are not touched\. Raise kernel\.buckets\./,
    )
    expect((await engine.counters()).dropped.full).toBeGreaterThan(1_000)
    expect(await passed(known, 5)).toBe(5)
    await engine.check()
    expect(engine.status().full).toEqual([])
  })
})
