import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gateway, prefix, proven, returning } from '../rules/desired.ts'
import { BACKENDS } from '../stage/load-rules.ts'
import { datagram } from './frames.ts'
import { LATER, slow, sourceOf, TELLING } from './lanes-limits.ts'
import { ACK, BYE, INVITE, OPTIONS, REGISTER, sip, times } from './lanes-texts.ts'
import { type Family, RulesStage } from './rules-stage.ts'

const FORGED = 2_000
const P = 40_001
/** Five times as much inside calls, as for a source. */
const SIP = { ...slow(11), prefix: slow(30), total: slow(100), enforced: true }
const INSIDE = { prefix: 5 * 30, total: 5 * 100 }
const GAINED = 5
const LIMITS = { ...TELLING, sip: SIP }

const OPENING = ['INVITE', 'OPTIONS', 'SUBSCRIBE', 'NOTIFY', 'MESSAGE', 'REFER', 'PUBLISH']
const INSIDE_CALLS = ['ACK', 'BYE', 'CANCEL', 'PRACK', 'UPDATE', 'INFO']

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`SIP of forged sources by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    /** Each in a prefix of its own. */
    const scattered = (i: number) =>
      family === 4 ? `10.${100 + (i >> 8)}.${i & 255}.7` : `fd01:0:${i.toString(16)}::7`
    /** All in one. */
    const neighbours = (i: number) => (family === 4 ? `10.90.1.${i}` : `fd01:1:1:${i.toString(16)}::7`)
    const flood = async (text: string, sourceOfOne = scattered, amount = FORGED) => {
      const frames = Array.from({ length: amount }, (_, i) => datagram({ source: sourceOfOne(i), text }))
      return (await stage.inject(frames.flat())).length
    }
    const passed = (from: string, amount: number, text: string) =>
      stage.passed({ from, port: P, texts: times(amount, text) })
    const request = (method: string) => sip(`${method} sip:1@pbx.example SIP/2.0`)

    test('ends at a total, which requests inside calls do not share, nor anybody who is known', async () => {
      const [port, back, trunk, allowed, peer] = times(5, '').map(() => stage.fresh(family)) as [
        string,
        string,
        string,
        string,
        string,
      ]
      await stage.hold({
        limits: LIMITS,
        allow: [prefix(allowed)],
        gateways: [gateway('trunk', [trunk], slow(6))],
        members: [[proven(port, P, LATER), returning(sourceOf(back), 1, LATER)]],
      })
      await stage.reply({ to: peer, texts: [OPTIONS] })
      expect(await flood(INVITE)).toBe(SIP.total.burst)
      const caller = stage.fresh(family)
      expect({
        proven: await passed(port, 20, INVITE),
        returning: await passed(back, 20, INVITE),
        trunk: (await passed(trunk, 10, INVITE)) + (await passed(trunk, 20, OPTIONS)),
        allowed: await passed(allowed, 20, INVITE),
        peer: await passed(peer, 20, INVITE),
        // Who nothing is known of goes on with the calls that are there, and can register.
        unknown: [
          await passed(caller, 5, INVITE),
          await passed(caller, 20, BYE),
          await passed(caller, 5, REGISTER),
        ],
      }).toEqual({ proven: 20, returning: 20, trunk: 26, allowed: 20, peer: 20, unknown: [0, 20, 5] })
      // On a busy machine the bucket, which gains five packets a minute, gains one or two while it is emptied.
      const inside = await flood(ACK)
      expect(inside).toBeGreaterThanOrEqual(INSIDE.total - 20)
      expect(inside).toBeLessThanOrEqual(INSIDE.total - 20 + GAINED)
      expect(await passed(caller, 20, BYE)).toBeLessThanOrEqual(GAINED)
      expect([await passed(port, 20, BYE), await passed(back, 20, BYE)]).toEqual([20, 20])
      expect(await stage.elements('wsip', family)).toEqual([])
    })

    test('of one prefix ends sooner, and costs no other prefix anything', async () => {
      await stage.hold({ limits: LIMITS })
      expect(await flood(INVITE, neighbours, 200)).toBe(SIP.prefix.burst)
      expect(await flood(BYE, neighbours, 200)).toBe(INSIDE.prefix)
      const other = stage.fresh(family)
      expect([await passed(other, 20, OPTIONS), await passed(other, 20, BYE)]).toEqual([11, 20])
    })

    test('is not dropped while the limit is only observed', async () => {
      await stage.hold({ limits: { ...LIMITS, sip: { ...SIP, enforced: false } } })
      expect([await flood(INVITE, scattered, 600), await flood(ACK, neighbours, 255)]).toEqual([600, 255])
    })

    test('is of two kinds: every method that opens something, and every one inside calls', async () => {
      const total = slow(7)
      await stage.hold({ limits: { ...TELLING, sip: { ...SIP, total } } })
      const opening = []
      for (const method of OPENING) opening.push(await passed(stage.fresh(family), 1, request(method)))
      expect(opening).toEqual(OPENING.map(() => 1))
      expect(await passed(stage.fresh(family), 5, INVITE)).toBe(0)
      const inside = []
      for (const method of INSIDE_CALLS) inside.push(await passed(stage.fresh(family), 5, request(method)))
      expect(inside).toEqual(INSIDE_CALLS.map(() => 5))
      expect(await passed(stage.fresh(family), 30, BYE)).toBe(5)
      // Not one of them was taken for a REGISTER.
      expect((await stage.counts('RINGFENCE-UNKNOWN', family)).map(({ packets }) => packets)).toEqual(
        (await stage.counts('RINGFENCE-UNKNOWN', family)).map(() => 0),
      )
    })
  })
}
