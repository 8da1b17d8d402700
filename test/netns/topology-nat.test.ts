import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import { desired, limit, limits, prefix, traffic } from '../rules/desired.ts'
import { GatewayStage, LAN4, LAN6, PUBLIC4, PUBLIC6, SWITCH4, SWITCH6 } from '../stage/gateway-stage.ts'
import { BACKENDS, judged, loadRules, membersOf, programs } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { INVITE, OK, OPTIONS, REGISTER, times } from '../stage/sip-texts.ts'

/** 30 at once against a burst of 10 and 5 a second: what a slow machine may let through. */
const LIMITED = expect.toSatisfy((amount: number) => amount >= 10 && amount <= 16, 'the burst')
/** Everybody's unasked responses share one bucket, which another test may have emptied. */
const FEW = expect.toSatisfy((amount: number) => amount <= 16, 'few')
/** So few responses that nobody asked for pass that a peer who was asked can be told from one who was not. */
const FEW_RESPONSES = limits({ rest: limit(5, 10) })

const PUBLIC = [prefix(PUBLIC4), prefix(PUBLIC6)]
const PRIVATE = [prefix(SWITCH4), prefix(SWITCH6)]
const BOTH = traffic({ destinations: [...PUBLIC, ...PRIVATE] })

for (const backend of BACKENDS) {
  describe.each([
    { family: 4, publicAt: PUBLIC4, switchAt: SWITCH4, phoneAt: LAN4 },
    { family: 6, publicAt: PUBLIC6, switchAt: SWITCH6, phoneAt: LAN6 },
  ] as const)(
    `a gateway that translates, by ${backend}, IPv$family`,
    ({ family, publicAt, switchAt, phoneAt }) => {
      const stage = new GatewayStage()
      const { topology } = stage
      const apply = (parts: Partial<DesiredState>) =>
        loadRules(stage.gateway, backend, desired({ limits: FEW_RESPONSES, ...parts }))

      beforeAll(async () => {
        await stage.open()
        const inside = family === 4 ? '10.1.0.0/24' : 'fd01::/64'
        const office = family === 4 ? '10.2.0.0/24' : 'fd02::/64'
        const nat = [
          '*nat',
          `-A PREROUTING -p udp -d ${publicAt} --dport 5090 -j DNAT --to-destination ${family === 4 ? switchAt : `[${switchAt}]`}:5060`,
          `-A PREROUTING -p udp -d ${publicAt} --dport 5061 -j DNAT --to-destination ${family === 4 ? switchAt : `[${switchAt}]`}:5070`,
          `-A POSTROUTING -o eth0 -s ${inside} -p udp --sport 5070 -j SNAT --to-source ${family === 4 ? publicAt : `[${publicAt}]`}:5061`,
          `-A PREROUTING -p udp -d ${publicAt} -j DNAT --to-destination ${switchAt}`,
          `-A PREROUTING -p tcp -d ${publicAt} -j DNAT --to-destination ${switchAt}`,
          `-A POSTROUTING -o eth0 -s ${inside} -j SNAT --to-source ${publicAt}`,
          `-A POSTROUTING -o eth0 -s ${office} -p udp --sport 5062 -j SNAT --to-source ${family === 4 ? publicAt : `[${publicAt}]`}:20000-30000`,
          `-A POSTROUTING -o eth0 -s ${office} -j SNAT --to-source ${publicAt}`,
          'COMMIT',
        ]
        await stage.gateway.namespace.feed(
          `${nat.join('\n')}\n`,
          `${programs(backend)[family === 4 ? 0 : 1]}-restore`,
          '-n',
        )
        await stage.softswitch.listen(switchAt)
        await apply({ traffic: BOTH })
      })
      afterAll(() => topology.remove())

      /** From outside to the public address; what reaches the softswitch. */
      const incoming = (from: string, texts: readonly string[], toPort = 5060) =>
        topology.arrivals({
          sender: stage.outside,
          at: stage.softswitch,
          from,
          to: publicAt,
          toPort,
          markAt: switchAt,
          texts,
        })
      const outgoing = async (to: string, texts: readonly string[]) => {
        await stage.outside.open(to)
        return topology.arrivals({ sender: stage.softswitch, at: stage.outside, from: switchAt, to, texts })
      }

      test.each([
        ['local', 'local'],
        ['the public address', PUBLIC],
        ['both addresses', [...PUBLIC, ...PRIVATE]],
      ] as const)(
        'with %s as destination, what is translated to the softswitch is judged',
        async (_, destinations) => {
          await apply({ traffic: traffic({ destinations }) })
          const arrived = await incoming(await stage.fresh(family), times(30, REGISTER))
          expect(arrived.length).toEqual(LIMITED)
          expect(arrived[0]).toMatchObject({ to: switchAt, toPort: 5060 })
        },
      )

      test('with the private address alone nothing is judged, and the counters stand still', async () => {
        await apply({ traffic: traffic({ destinations: PRIVATE }) })
        expect(await incoming(await stage.fresh(family), times(30, REGISTER))).toHaveLength(30)
        expect(await judged(stage.gateway, backend)).toBe(0)
      })

      test.each([
        ['local', 'local', 'asked', FEW],
        ['the public address', PUBLIC, 'asked', FEW],
        ['both addresses', [...PUBLIC, ...PRIVATE], 'asked', 40],
        ['local, and responses: any', 'local', 'any', 40],
      ] as const)(
        'with %s, responses of a trunk to the softswitch',
        async (_, destinations, responses, expected) => {
          await apply({ traffic: traffic({ destinations, responses }) })
          const trunk = await stage.fresh(family)
          const [request] = await outgoing(trunk, [INVITE])
          expect(request).toMatchObject({ from: publicAt, fromPort: 5060 })
          expect((await incoming(trunk, times(40, OK))).length).toEqual(expected)
          expect((await membersOf(stage.gateway, `rf-asked${family}`)).includes(trunk)).toBe(
            expected === 40 && responses === 'asked',
          )
        },
      )

      test('the softswitch reaches the port 5060 of phones with whatever it sends', async () => {
        await apply({ traffic: BOTH })
        const phone = await stage.fresh(family)
        for (const text of [OPTIONS, OK, REGISTER, '\r\n\r\n']) {
          expect(await outgoing(phone, times(40, text))).toHaveLength(40)
        }
        expect(await judged(stage.gateway, backend)).toBe(0)
      })

      test('a phone in the office reaches the public address: judged where its interface is listed', async () => {
        const hairpin = (texts: readonly string[]) =>
          topology.arrivals({
            sender: stage.office,
            at: stage.softswitch,
            from: phoneAt,
            to: publicAt,
            markAt: switchAt,
            texts,
          })
        await apply({ traffic: BOTH })
        expect(await hairpin(times(30, REGISTER))).toHaveLength(30)
        await apply({ traffic: { ...BOTH, interfaces: ['eth0', 'eth2'] } })
        expect((await hairpin(times(30, REGISTER))).length).toEqual(LIMITED)
      })

      test.each([
        ['how many new ones a source may open', { source: limit(1, 4), prefix: limit(50, 100), most: null }],
        ['how many may stand of a source', { source: limit(50, 50), prefix: limit(50, 100), most: 4 }],
      ])('TCP connections are limited: %s', async (_, connections) => {
        await apply({ traffic: BOTH, limits: { ...FEW_RESPONSES, connections } })
        const from = await stage.fresh(family)
        expect(await stage.outside.connect({ from, to: publicAt, amount: 12 })).toBe(4)
        await stage.outside.hangUp()
        // The softswitch itself calls out over TCP as it likes.
        await stage.outside.listen(from)
        expect(await stage.softswitch.connect({ from: switchAt, to: from, amount: 12 })).toBe(12)
        await stage.softswitch.hangUp()
      })

      test('a port that is translated to 5060 is judged where it is listed', async () => {
        await apply({ traffic: BOTH })
        const from = await stage.fresh(family)
        expect(await incoming(from, times(30, REGISTER), 5090)).toHaveLength(30)
        await apply({ traffic: { ...BOTH, udpPorts: [5060, 5090] } })
        const arrived = await incoming(from, times(30, REGISTER), 5090)
        expect(arrived.length).toEqual(LIMITED)
        expect(arrived[0]).toMatchObject({ toPort: 5060 })
      })

      test.each([
        ['the public port', [5061], FEW],
        ['both ports', [5061, 5070], 40],
      ])(
        'where the softswitch has another port than the public, with %s responses of a trunk',
        async (_, udpPorts, expected) => {
          await apply({ traffic: { ...BOTH, udpPorts } })
          const trunk = await stage.fresh(family)
          await stage.outside.open(trunk)
          const options = {
            sender: stage.softswitch,
            at: stage.outside,
            from: switchAt,
            port: 5070,
            to: trunk,
          }
          const [request] = await topology.arrivals({ ...options, texts: [INVITE] })
          expect(request).toMatchObject({ from: publicAt, fromPort: 5061 })
          expect((await incoming(trunk, times(40, OK), 5061)).length).toEqual(expected)
          expect((await incoming(await stage.fresh(family), times(30, REGISTER), 5061)).length).toEqual(
            LIMITED,
          )
        },
      )

      test('a phone that shares the public address and the port is judged like an outsider, on another port it is not', async () => {
        await apply({ traffic: BOTH })
        const provider = await stage.fresh(family)
        await stage.outside.open(provider)
        const askedFrom = async (port: number) => {
          await stage.office.open(phoneAt, port)
          const options = { sender: stage.office, at: stage.outside, from: phoneAt, port, to: provider }
          const [request] = await topology.arrivals({ ...options, texts: [REGISTER] })
          const before = await judged(stage.gateway, backend)
          const { from: to, fromPort: toPort } = request!
          await stage.outside.send({ from: provider, to, toPort, texts: times(5, OPTIONS) })
          await eventually(async () => (await stage.office.received()).length === 5, 5_000, 'the requests')
          await stage.office.drain()
          return { toPort, judged: (await judged(stage.gateway, backend)) - before }
        }
        expect(await askedFrom(5060)).toEqual({ toPort: 5060, judged: 5 })
        expect(await askedFrom(5062)).toEqual({
          toPort: expect.toSatisfy((port: number) => port >= 20_000),
          judged: 0,
        })
      })
    },
  )
}
