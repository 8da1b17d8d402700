import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import { SEEN_FOR } from '../../rules/names.ts'
import {
  answered,
  block,
  gateway,
  ignoring,
  limit,
  prefix,
  proven,
  returning,
  sizes,
  suspension,
} from '../rules/desired.ts'
import { BACKENDS } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { LATER, slow, sourceOf, TELLING, TOLD } from './lanes-limits.ts'
import { INVITE, OPTIONS, REGISTER, times } from './lanes-texts.ts'
import { type Family, RulesStage } from './rules-stage.ts'

const P = 40_001

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`under attack, by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    const strict = (parts: Partial<DesiredState> = {}) =>
      stage.hold({ limits: TELLING, strictUntil: LATER, ...parts })
    const register = (from: string, port: number, amount: number) =>
      stage.passed({ from, port, texts: times(amount, REGISTER) })
    const at = (network: number, source: number) =>
      family === 4 ? `10.70.${network}.${source}` : `fd64:70:${network}:${source.toString(16)}00::7`

    test('the first packet of an address and port is noted and not served, the second is', async () => {
      await strict()
      const from = stage.fresh(family)
      expect([await register(from, P, 1), await register(from, P, 1)]).toEqual([0, 1])
      expect([await register(from, P + 1, 1), await register(from, P + 1, 1)]).toEqual([0, 1])
      const noted = (await stage.elements('seen', family)).map((element) => element.split(' ')[0])
      expect(noted.sort()).toEqual([`${from},udp:${P}`, `${from},udp:${P + 1}`])
    })

    test('a packet that hides its method is noted like any', async () => {
      await strict()
      const from = stage.fresh(family)
      expect(await stage.passed({ from, port: P, texts: [` ${REGISTER}`] })).toBe(0)
      expect(await stage.passed({ from, port: P, texts: [` ${REGISTER}`] })).toBe(1)
    })

    test('a port, a source, a prefix and all together have their buckets', async () => {
      await strict({
        limits: { ...TELLING, strict: { port: slow(3), source: slow(8), prefix: slow(14), total: slow(17) } },
      })
      const served = async (from: string, ports: number) => {
        const each: number[] = []
        for (let i = 0; i < ports; i++) each.push(await register(from, P + i, 4))
        return each
      }
      expect(await served(at(1, 1), 4)).toEqual([3, 3, 2, 0])
      expect(await served(at(1, 2), 3)).toEqual([3, 3, 0])
      expect(await served(at(2, 1), 3)).toEqual([3, 0, 0])
      expect(await served(at(3, 1), 1)).toEqual([0])
    })

    test('an unproven port is served six times at once by default, and not more in the next seconds', async () => {
      await stage.hold({ strictUntil: LATER })
      const from = stage.fresh(family)
      expect(await register(from, P, 30)).toBe(6)
      expect(await register(from, P, 30)).toBeLessThanOrEqual(1)
    })

    test('who is known needs no second packet; a returning address with a new port does', async () => {
      const source = () => stage.fresh(family)
      const [known, asked, back, backWithMany, mute, allowed, trunk] = [
        source(),
        source(),
        source(),
        source(),
        source(),
        source(),
        source(),
      ]
      await strict({
        allow: [prefix(allowed)],
        gateways: [gateway('trunk', [trunk], slow(6))],
        members: [
          [
            proven(known, P, LATER),
            answered(asked, P, LATER),
            returning(sourceOf(back), 1, LATER),
            returning(sourceOf(backWithMany), 6, LATER),
            ignoring(sourceOf(mute), LATER),
          ],
        ],
      })
      expect(await register(known, P, 30)).toBe(20)
      // Its own bucket, then one packet that is only noted, then what an unknown port has.
      expect(await register(asked, P, 30)).toBe(7 + 3)
      expect(await register(allowed, P, 30)).toBe(30)
      expect(await register(trunk, P, 30)).toBe(6)
      // A port has as little as that of an unknown source, out of the bucket of its address. That is asked first, so that
      // nobody who forges one returning address fills the table of ports that all of them share.
      expect([await register(back, P, 1), await register(back, P, 4)]).toEqual([0, 3])
      expect([await register(back, P + 1, 30), await register(back, P + 2, 30)]).toEqual([3, 0])
      expect([await register(backWithMany, P, 1), await register(backWithMany, P, 130)]).toEqual([0, 3])
      expect([await register(mute, P, 1), await register(mute, P, 30)]).toEqual([0, 2])
    })

    test('who is blocked or suspended is not even noted', async () => {
      const [one, two, three] = [stage.fresh(family), stage.fresh(family), stage.fresh(family)]
      await strict({
        blocks: [block(one), block(two, 'register')],
        suspensions: [suspension(three, P, LATER)],
      })
      for (const from of [one, two, three]) expect(await register(from, P, 5)).toBe(0)
      expect(await stage.elements('seen', family)).toEqual([])
    })

    test('other SIP and keepalives are served from the first packet on', async () => {
      await strict()
      const from = stage.fresh(family)
      expect(await stage.passed({ from, texts: [INVITE, OPTIONS, '\r\n\r\n'] })).toBe(3)
    })

    test('what was noted is forgotten after five seconds', async () => {
      await strict()
      const from = stage.fresh(family)
      expect(await register(from, P, 1)).toBe(0)
      await eventually(
        async () => (await stage.elements('seen', family)).length === 0,
        (SEEN_FOR + 3) * 1_000,
      )
      expect([await register(from, P, 1), await register(from, P, 1)]).toEqual([0, 1])
    })

    test('so few are noted that the memory cannot fill, and who was not noted is when he tries again', async () => {
      // 80 % of 25 within 5 s: 4 a second, 4 at once.
      await strict({ sizes: sizes({ seen: 25 }) })
      const from = stage.fresh(family)
      for (let i = 0; i < 40; i++) expect(await register(from, P + i, 1)).toBe(0)
      expect((await stage.elements('seen', family)).length).toBeLessThan(25)
      const late = stage.fresh(family)
      await eventually(async () => (await register(late, P, 1)) === 1, 5_000, 'the retransmission')
      expect((await stage.elements('seen', family)).length).toBeLessThan(25)
    })

    test('the switch ends by itself, and the limits of peace decide again', async () => {
      const until = Date.now() + 2_500
      await strict({ strictUntil: until })
      const from = stage.fresh(family)
      expect([await register(from, P, 1), await register(from, P, 1)]).toEqual([0, 1])
      await eventually(async () => (await stage.elements('strict', family)).length === 0, 6_000)
      expect(Date.now()).toBeGreaterThan(until - 1_500)
      expect(await register(stage.fresh(family), P, 30)).toBe(5)
      await stage.change({ limits: TELLING, strictUntil: LATER })
      expect(await register(stage.fresh(family), P, 30)).toBe(3)
    })

    test('has buckets of its own: what filled those of peace keeps nobody out who comes twice', async () => {
      await stage.hold({ limits: TELLING })
      const [bot, phone] = [stage.fresh(family), stage.fresh(family)]
      expect(await register(bot, P, 30)).toBe(5)
      await stage.change({ limits: TELLING, strictUntil: LATER })
      expect(await register(bot, P, 30)).toBe(3)
      expect(await register(phone, P, 30)).toBe(3)
    })

    test('holds the source, the prefix and all together', async () => {
      const limits = {
        ...TELLING,
        strict: { port: slow(50), source: slow(6), prefix: slow(11), total: slow(13) },
      }
      await stage.hold({ limits })
      expect(await register(at(1, 1), P, 4)).toBe(4)
      await stage.change({ limits, strictUntil: LATER })
      expect(await register(at(1, 1), P + 1, 30)).toBe(6)
      expect(await register(at(1, 2), P + 1, 30)).toBe(5)
      expect(await register(at(2, 2), P + 1, 30)).toBe(2)
    })

    if (family === 6) {
      test('/64s of one /56 share a bucket', async () => {
        const limits = {
          ...TELLING,
          strict: { port: slow(50), source: slow(8), prefix: slow(60), total: slow(900) },
        }
        await strict({ limits })
        const served: number[] = []
        for (let subnet = 1; subnet <= 5; subnet++)
          served.push(await register(`fd64:71:1:10${subnet}::7`, P, 30))
        expect(served).toEqual([8, 8, 8, 8, 0])
        expect(TOLD.strictSite).toBe(32)
        expect(await register('fd64:71:1:201::7', P, 30)).toBe(8)
      })
    }

    test('a phone registers in two packets at the default limits', async () => {
      await stage.hold({
        strictUntil: LATER,
        limits: {
          ...TELLING,
          strict: {
            port: limit(6 / 60, 6),
            source: limit(5, 10),
            prefix: limit(100, 200),
            total: limit(1_500, 1_500),
          },
        },
      })
      // Its REGISTER, again after half a second without an answer; then with credentials.
      const from = stage.fresh(family)
      expect([await register(from, P, 1), await register(from, P, 1), await register(from, P, 1)]).toEqual([
        0, 1, 1,
      ])
    })
  })
}
