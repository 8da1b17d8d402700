import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import { desired, limit, limits, prefix, traffic } from '../rules/desired.ts'
import { GatewayStage, LAN4, LAN6, SWITCH4, SWITCH6 } from '../stage/gateway-stage.ts'
import { BACKENDS, judged, loadRules, membersOf } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { INVITE, OK, OPTIONS, REGISTER, times } from '../stage/sip-texts.ts'

/** 30 at once against a burst of 10 and 5 a second: what a slow machine may let through. */
const LIMITED = expect.toSatisfy((amount: number) => amount >= 10 && amount <= 16, 'the burst')
/** So few responses that nobody asked for pass that a peer who was asked can be told from one who was not. */
const FEW_RESPONSES = limits({ rest: limit(5, 10) })

const LISTED = traffic({ destinations: [prefix(SWITCH4), prefix(SWITCH6)] })

for (const backend of BACKENDS) {
  describe.each([
    [4, SWITCH4, LAN4],
    [6, SWITCH6, LAN6],
  ] as const)(`a routed gateway by ${backend}, IPv%i`, (family, softswitchAt, phoneAt) => {
    const stage = new GatewayStage()
    const { topology } = stage
    const apply = (parts: Partial<DesiredState>) => loadRules(stage.gateway, backend, desired(parts))

    beforeAll(async () => {
      await stage.open()
      await apply({ traffic: LISTED, limits: FEW_RESPONSES })
    })
    afterAll(() => topology.remove())

    test('REGISTERs for the softswitch are limited', async () => {
      const from = await stage.fresh(family)
      const arrived = await topology.arrivals({
        sender: stage.outside,
        at: stage.softswitch,
        from,
        to: softswitchAt,
        texts: times(30, REGISTER),
      })
      expect(arrived.length).toEqual(LIMITED)
    })

    test('the softswitch reaches the port 5060 of phones, outside and in the office, with whatever it sends', async () => {
      const phone = await stage.fresh(family)
      await stage.outside.open(phone)
      await stage.office.open(phoneAt)
      const before = await judged(stage.gateway, backend)
      for (const text of [OPTIONS, OK, REGISTER, '\r\n\r\n']) {
        const texts = times(40, text)
        const from = softswitchAt
        const out = await topology.arrivals({
          sender: stage.softswitch,
          at: stage.outside,
          from,
          to: phone,
          texts,
        })
        expect(out.map(({ to }) => to)).toEqual(times(40, phone))
        const inside = await topology.arrivals({
          sender: stage.softswitch,
          at: stage.office,
          from,
          to: phoneAt,
          texts,
        })
        expect(inside.length).toBe(40)
      }
      expect(await judged(stage.gateway, backend)).toBe(before)
    })

    test('the port 5060 of a phone behind the gateway is none of ours', async () => {
      const from = await stage.fresh(family)
      await stage.office.open(phoneAt)
      const before = await judged(stage.gateway, backend)
      for (const text of [REGISTER, INVITE, OK]) {
        const texts = times(40, text)
        const arrived = await topology.arrivals({
          sender: stage.outside,
          at: stage.office,
          from,
          to: phoneAt,
          texts,
        })
        expect(arrived.length).toBe(40)
      }
      expect(await judged(stage.gateway, backend)).toBe(before)
    })

    test('the phone in the office registers without a limit, since its interface is not listed', async () => {
      const texts = times(40, REGISTER)
      const arrived = await topology.arrivals({
        sender: stage.office,
        at: stage.softswitch,
        from: phoneAt,
        to: softswitchAt,
        texts,
      })
      expect(arrived.length).toBe(40)
    })

    test('with all interfaces listed, as on a router on a stick, the softswitch and other phones are left alone as well', async () => {
      await apply({
        traffic: { ...LISTED, interfaces: ['eth0', 'eth1', 'eth2'] },
        limits: FEW_RESPONSES,
      })
      const phone = await stage.fresh(family)
      await stage.outside.open(phone)
      await stage.office.open(phoneAt)
      const from = softswitchAt
      for (const text of [INVITE, OK, REGISTER]) {
        const texts = times(40, text)
        const { softswitch, outside, office } = stage
        const out = { sender: softswitch, at: outside, from, to: phone, texts }
        const inwards = { sender: softswitch, at: office, from, to: phoneAt, texts }
        const past = { sender: outside, at: office, from: phone, to: phoneAt, texts }
        for (const options of [out, inwards, past]) expect(await topology.arrivals(options)).toHaveLength(40)
      }
      expect(await judged(stage.gateway, backend)).toBe(0)
      expect(await membersOf(stage.gateway, `rf-asked${family}`)).toEqual(
        expect.arrayContaining([phone, phoneAt]),
      )
      await apply({ traffic: LISTED, limits: FEW_RESPONSES })
    })

    test('nobody outside asks in the name of the softswitch', async () => {
      await apply({ traffic: LISTED, limits: FEW_RESPONSES })
      const { outside, gateway, office } = stage
      const length = family === 4 ? 32 : 128
      await outside.address('eth0', `${softswitchAt}/${length}`)
      const victim = family === 4 ? '10.2.0.66' : 'fd02::66'
      await office.address('eth0', `${victim}/${family === 4 ? 24 : 64}`)
      await office.open(victim)
      await outside.send({ from: softswitchAt, to: victim, texts: [INVITE] })
      await eventually(
        async () => (await office.received()).some(({ to }) => to === victim),
        5_000,
        'the forgery',
      )
      await outside.ip('addr', 'del', `${softswitchAt}/${length}`, 'dev', 'eth0')
      expect(await membersOf(gateway, `rf-asked${family}`)).not.toContain(victim)
    })

    test('what the gateway itself asks is learnt as well', async () => {
      const [own, trunk] = [family === 4 ? '10.1.0.1' : 'fd01::1', await stage.fresh(family)]
      await stage.outside.open(trunk)
      const options = { sender: stage.gateway, at: stage.outside, from: own, to: trunk, texts: [OPTIONS] }
      expect(await topology.arrivals(options)).toHaveLength(1)
      expect(await membersOf(stage.gateway, `rf-asked${family}`)).toContain(trunk)
    })

    test('responses of a peer pass once the softswitch has sent it a request, and not for an answer', async () => {
      const [trunk, other] = [await stage.fresh(family), await stage.fresh(family)]
      for (const address of [trunk, other]) await stage.outside.open(address)
      const send = (to: string, text: string) =>
        topology.arrivals({
          sender: stage.softswitch,
          at: stage.outside,
          from: softswitchAt,
          to,
          texts: [text],
        })
      expect(await send(trunk, INVITE)).toHaveLength(1)
      expect(await send(other, OK)).toHaveLength(1)
      expect(await membersOf(stage.gateway, `rf-asked${family}`)).toContain(trunk)
      expect(await membersOf(stage.gateway, `rf-asked${family}`)).not.toContain(other)
      const respond = async (from: string) =>
        (
          await topology.arrivals({
            sender: stage.outside,
            at: stage.softswitch,
            from,
            to: softswitchAt,
            texts: times(40, OK),
          })
        ).length
      expect(await respond(trunk)).toBe(40)
      expect(await respond(other)).toBeLessThanOrEqual(16)
      await apply({ traffic: { ...LISTED, responses: 'any' }, limits: FEW_RESPONSES })
      expect(await respond(other)).toBe(40)
      await apply({ traffic: LISTED, limits: FEW_RESPONSES })
    })
  })
}
