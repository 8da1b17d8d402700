import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Limits } from '../../rules/desired-state.ts'
import { block, denied, gateway, limits, prefix, returning, sizes, suspension } from '../rules/desired.ts'
import { BACKENDS } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { syn } from './frames.ts'
import { LATER, slow, sourceOf, TELLING } from './lanes-limits.ts'
import { REGISTER } from './lanes-texts.ts'
import { type Family, FREE_PORT, RulesStage } from './rules-stage.ts'

const connections = (parts: Partial<Limits['connections']>): { limits: Limits } => ({
  limits: { ...TELLING, connections: { source: slow(900), prefix: slow(900), most: null, ...parts } },
})

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`TCP by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    const at = (network: number, source: number, host = 7) =>
      family === 4 ? `10.70.${network}.${source}` : `fd64:70:${network}:${source.toString(16)}00::${host}`

    test('connected lives on, whatever it carries and whatever becomes of its source', async () => {
      const [blocked, suspended, other] = [stage.fresh(family), stage.fresh(family), stage.fresh(family)]
      await stage.hold({ limits: TELLING })
      for (const from of [blocked, suspended]) {
        expect(await stage.connect({ from, name: from })).toBe('connected')
      }
      await stage.change({
        limits: { ...TELLING, connections: { source: slow(1), prefix: slow(1), most: 1 } },
        blocks: [block(blocked, 'register')],
        suspensions: [suspension(suspended, 0, LATER)],
        strictUntil: LATER,
      })
      for (const from of [blocked, suspended]) {
        await stage.write(from, `${REGISTER.repeat(50)} all of it, from ${from}`)
        expect(await stage.connect({ from, name: 'another' })).toBe('silence')
      }
      expect(await stage.connect({ from: other, name: 'another' })).toBe('connected')
    })

    test('a block of scope sip ends what is connected too, whoever made it', async () => {
      const [one, two] = [stage.fresh(family), stage.fresh(family)]
      await stage.hold({ limits: TELLING })
      for (const from of [one, two]) expect(await stage.connect({ from, name: from })).toBe('connected')
      await stage.change({ limits: TELLING, blocks: [block(one), denied(two)] })
      for (const from of [one, two]) {
        expect(await stage.connect({ from, name: 'another' })).toBe('silence')
      }
      const before = (await stage.counts('RINGFENCE-TCP', family)).map(({ packets }) => packets)
      for (const from of [one, two]) await stage.say(from, 'is lost')
      await eventually(async () => {
        const now = (await stage.counts('RINGFENCE-TCP', family)).map(({ packets }) => packets)
        return now[1]! > before[1]! && now[3]! > before[3]!
      }, 5_000)
      expect(await stage.arrivals(async () => {})).toEqual([])
    })

    test('the suspension of one port refuses no connection, since TCP ports mean nothing', async () => {
      const from = stage.fresh(family)
      await stage.hold({ limits: TELLING, suspensions: [suspension(from, 40_000, LATER)] })
      expect(await stage.connect({ from, name: from })).toBe('connected')
    })

    test('new connections are counted by source and by prefix', async () => {
      await stage.hold({ limits: TELLING })
      expect(await stage.connectMany(at(1, 1), 6)).toBe(4)
      expect(await stage.connectMany(at(1, 2), 4)).toBe(4)
      expect(await stage.connectMany(at(1, 3), 3)).toBe(2)
      expect(await stage.connectMany(at(2, 1), 2)).toBe(2)
    })

    test('a returning address has a bucket of its own, and a larger one with more accounts', async () => {
      const [few, several, many, unknown] = [at(1, 1), at(1, 2), at(1, 3), at(1, 4)]
      const members = [few, several, many].map((from, i) => returning(sourceOf(from), [1, 6, 51][i]!, LATER))
      const { limits } = connections({ source: slow(2), prefix: slow(1) })
      await stage.hold({ limits, members: [members] })
      expect(await stage.connectMany(unknown, 2)).toBe(1)
      expect(await stage.connectMany(few, 3)).toBe(2)
      expect(await stage.connectMany(several, 21)).toBe(20)
      expect(await stage.connectMany(many, 60)).toBe(60)
    })

    test('so many may stand at once; one that is closed makes room', async () => {
      const [unknown, back, other] = [at(1, 1), at(1, 2), at(1, 3)]
      const { limits } = connections({ most: 3 })
      await stage.hold({ limits, members: [[returning(sourceOf(back), 6, LATER)]] })
      expect(await stage.connectMany(unknown, 5)).toBe(3)
      expect(await stage.connectMany(back, 13)).toBe(12)
      expect(await stage.connectMany(other, 1)).toBe(1)
      await stage.hangUp(`${unknown} 0`)
      await eventually(
        async () => (await stage.connect({ from: unknown, name: 'one more' })) === 'connected',
        6_000,
      )
      expect(await stage.connect({ from: unknown, name: 'one too many' })).toBe('silence')
    })

    if (family === 6) {
      test('a source is the /64 for all of these', async () => {
        await stage.hold({ limits: TELLING })
        expect(await stage.connectMany(at(1, 1, 1), 2)).toBe(2)
        expect(await stage.connectMany(at(1, 1, 2), 3)).toBe(2)
        await stage.hold(connections({ most: 3 }))
        expect(await stage.connectMany(at(2, 1, 1), 2)).toBe(2)
        expect(await stage.connectMany(at(2, 1, 2), 2)).toBe(1)
      })
    }

    test('the allowed and gateways connect up to a ceiling, whatever else is said of them', async () => {
      const [allowed, trunk] = [at(1, 1), at(2, 1)]
      await stage.hold({
        limits: { ...TELLING, ceiling: slow(9), connections: { source: slow(1), prefix: slow(1), most: 1 } },
        allow: [prefix(allowed)],
        gateways: [gateway('trunk', [trunk])],
        blocks: [block(allowed), block(trunk), block(allowed, 'register')],
        suspensions: [suspension(allowed, 0, LATER), suspension(trunk, 0, LATER)],
      })
      expect(await stage.connectMany(allowed, 10)).toBe(9)
      expect(await stage.connectMany(trunk, 10)).toBe(9)
    })

    test('another port is none of ours', async () => {
      const from = stage.fresh(family)
      await stage.hold({ limits: TELLING, blocks: [denied(from)] })
      expect(await stage.connect({ from, name: 'free', toPort: FREE_PORT })).toBe('connected')
      expect(await stage.connect({ from, name: 'not free' })).toBe('silence')
    })

    test.each([
      ['without', null],
      ['with', 50],
    ] as const)('forged SYNs starve no returning address, %s a bound on connections', async (_says, most) => {
      const back = stage.fresh(family)
      await stage.hold({
        limits: limits({ connections: { source: slow(4), prefix: slow(8), most } }),
        sizes: sizes({ buckets: 500 }),
        members: [[returning(sourceOf(back), 1, LATER)]],
      })
      const forged = Array.from({ length: 3_000 }, (_, i) =>
        syn({
          source:
            family === 4
              ? `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`
              : `fd01:0:${i.toString(16)}::1`,
        }),
      )
      await stage.transmit(forged, { perSecond: 5_000 })
      expect(await stage.connectMany(back, 4)).toBe(4)
      // What the full table took is what came to it, less what the limit dropped, less what came out.
      const [into, limited, out] = (await stage.counts('RINGFENCE-CONNECT', family))
        .slice(-5 - (most ? 1 : 0))
        .map(({ packets }) => packets)
      expect(into).toBe(3_000)
      expect(into! - limited! - out!).toBeGreaterThan(2_000)
    })
  })
}
