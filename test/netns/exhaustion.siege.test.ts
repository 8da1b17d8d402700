import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import type { ChainName } from '../../rules/names.ts'
import { answered, denied, gateway, prefix, proven, returning, sizes } from '../rules/desired.ts'
import { BACKENDS } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { datagram, syn } from './frames.ts'
import { LATER, slow, sourceOf, TELLING } from './lanes-limits.ts'
import { BYE, INVITE, OK, OPTIONS, REGISTER, times } from './lanes-texts.ts'
import { type Family, RulesStage } from './rules-stage.ts'

// The same with four million sources and real sizes: npm run bench -- table-exhaustion

const BUCKETS = 1_000
const FORGED = 2 * BUCKETS
/** Enough for the gate before it to note all forged sources at once. */
const SEEN = 20_000
const SIZES = sizes({ elements: 1_000, buckets: BUCKETS, seen: SEEN })
const P = 40_001

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`full tables, by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    /** Each in a prefix of its own. */
    const forged = Array.from({ length: FORGED }, (_, i) =>
      family === 4 ? `10.${100 + (i >> 8)}.${i & 255}.7` : `fd01:0:${i.toString(16)}::7`,
    )
    /** Sends, and lets the host read what passed. */
    const flood = (frames: readonly Buffer[]) =>
      stage.arrivals(() => stage.transmit(frames, { perSecond: 10_000 }))
    const passed = (from: string, amount: number, text: string, port = P) =>
      stage.passed({ from, port, texts: times(amount, text) })

    /** What each full table of a chain took: came to it, was not dropped by its rule, and did not come out. */
    const lost = async (chain: ChainName) => {
      const each: number[] = []
      let into: number | undefined
      for (const { rule, packets } of await stage.counts(chain, family)) {
        if (rule === '') {
          if (into !== undefined) each.push(into - packets)
          into = packets
        } else if (into !== undefined && / -[jg] /.test(rule)) into -= packets
      }
      return each
    }
    /** A table may be a few entries short where packets overtook each other. */
    const FULL = expect.toSatisfy(
      (taken: number) => Math.abs(taken - (FORGED - BUCKETS)) <= 10,
      'all it could not hold',
    )

    const known = (parts: Partial<DesiredState> = {}) => {
      const [port, address, back, trunk, allowed] = times(5, '').map(() => stage.fresh(family)) as [
        string,
        string,
        string,
        string,
        string,
      ]
      const state: Partial<DesiredState> = {
        sizes: SIZES,
        limits: TELLING,
        allow: [prefix(allowed)],
        gateways: [gateway('trunk', [trunk], slow(6))],
        members: [[proven(port, P, LATER), answered(address, P, LATER), returning(sourceOf(back), 1, LATER)]],
        ...parts,
      }
      return { port, address, back, trunk, allowed, state }
    }

    /** That everybody who has a lane of their own is served as if nothing were. */
    const allAreServed = async ({ port, address, back, trunk, allowed, state }: ReturnType<typeof known>) => {
      const { strictUntil } = state
      const peer = stage.fresh(family)
      await stage.reply({ to: peer, texts: [INVITE] })
      expect({
        provenRegisters: await passed(port, 25, REGISTER),
        provenCalls:
          (await passed(port, 20, INVITE)) + (await passed(port, 20, BYE)) + (await passed(port, 20, OK)),
        answered: await passed(address, 7, REGISTER),
        returning: await passed(back, 1, REGISTER).then(
          async (first) => first + (await passed(back, 25, REGISTER)),
        ),
        gatewayCalls: await passed(trunk, 25, INVITE),
        gateway: (await passed(trunk, 30, BYE)) + (await passed(trunk, 30, OK)),
        allowed: (await passed(allowed, 30, REGISTER)) + (await passed(allowed, 29, INVITE)),
        peer: (await passed(peer, 30, OK)) + (await passed(peer, 30, OPTIONS)),
      }).toEqual({
        provenRegisters: 20,
        provenCalls: 60,
        answered: 7,
        // Under attack one port of it has no more than that of an unknown source.
        returning: strictUntil === LATER ? 3 : 9,
        gatewayCalls: 6,
        gateway: 60,
        allowed: 59,
        peer: 60,
      })
      for (const from of [back, trunk, allowed]) {
        expect(await stage.connect({ from, name: from })).toBe('connected')
      }
    }

    /** That what the daemon decides now holds as ever. */
    const decisionsHold = async ({ state }: ReturnType<typeof known>) => {
      const [newcomer, bad] = [stage.fresh(family), stage.fresh(family)]
      const members = [...state.members!, [proven(newcomer, P, LATER), proven(bad, P, LATER)]]
      await stage.change({ ...state, members })
      expect(await passed(newcomer, 25, REGISTER)).toBe(20)
      expect(await passed(bad, 5, REGISTER)).toBe(5)
      await stage.change({ ...state, members, blocks: [denied(bad)] })
      expect(await passed(bad, 5, REGISTER)).toBe(0)
      expect(await passed(bad, 5, INVITE)).toBe(0)
    }

    test('in peace: each table took all it can, and says so; whoever is known is served', async () => {
      const everybody = known()
      await stage.hold(everybody.state)
      const kinds = [REGISTER, OPTIONS, BYE, '\r\n\r\n', OK]
      const frames = kinds.flatMap((text) => forged.flatMap((source) => datagram({ source, text })))
      await flood([...frames, ...forged.map((source) => syn({ source }))])
      await allAreServed(everybody)
      // What one full table of a chain took comes to no other.
      expect((await lost('RINGFENCE-UNKNOWN')).reduce((sum, each) => sum + each)).toEqual(FULL)
      expect((await lost('RINGFENCE-CALLS')).reduce((sum, each) => sum + each)).toEqual(FULL)
      expect(await lost('RINGFENCE-KEEPALIVE')).toEqual([FULL])
      expect((await lost('RINGFENCE-CONNECT')).reduce((sum, each) => sum + each)).toEqual(FULL)
      await decisionsHold(everybody)
    })

    test('under attack: the same, when each forged source comes twice', async () => {
      const everybody = known({ strictUntil: LATER })
      await stage.hold(everybody.state)
      await flood(
        forged.flatMap((source) => [
          ...datagram({ source, text: REGISTER }),
          ...datagram({ source, text: REGISTER }),
        ]),
      )
      await allAreServed(everybody)
      expect((await lost('RINGFENCE-STRICT')).reduce((sum, each) => sum + each)).toEqual(FULL)
      await decisionsHold(everybody)
    })

    test('the memory of first packets never fills, and whoever is known does not need it', async () => {
      const everybody = known()
      const state = { ...everybody.state, strictUntil: LATER, sizes: { ...SIZES, seen: 1_000 } }
      await stage.hold(state)
      await flood(forged.flatMap((source) => datagram({ source, text: REGISTER })))
      const noted = (await stage.elements('seen', family)).length
      expect(noted).toBeGreaterThan(150)
      expect(noted).toBeLessThan(1_000)
      const { port, address, trunk, allowed } = everybody
      expect(await passed(port, 25, REGISTER)).toBe(20)
      expect(await passed(address, 7, REGISTER)).toBe(7)
      expect(await passed(trunk, 25, INVITE)).toBe(6)
      expect(await passed(allowed, 25, REGISTER)).toBe(25)
    })

    test('the memory of first packets holds as many as it is made for, and the phone that comes then is noted', async () => {
      // The kernel makes a set that it fills by itself no larger: it has to be made with its rows.
      await stage.hold({ limits: TELLING, strictUntil: LATER, sizes: { ...SIZES, seen: 150_000 } })
      const ports = Array.from({ length: 10 }, (_, i) => 20_000 + i)
      const frames = forged.flatMap((source) =>
        ports.flatMap((port) => datagram({ source, port, text: REGISTER })),
      )
      const [known] = await Promise.all([
        stage.arrivals(() => stage.transmit(frames, { perSecond: 12_000 })),
        eventually(async () => (await stage.noted(family)) > 15_000, 15_000, 'so many noted'),
      ])
      expect(known).toEqual([])
      const phone = stage.fresh(family)
      expect([await passed(phone, 1, REGISTER), await passed(phone, 1, REGISTER)]).toEqual([0, 1])
    })

    /** Registers from new ports, twice each as a phone does that hears nothing: how many ports were served. */
    const servedPorts = async (from: string, ports: readonly number[]) => {
      const arrived = new Set<number>()
      for (const port of ports) {
        for (const one of await stage.send({ from, port, texts: [REGISTER] })) {
          if (one.source === from) arrived.add(one.port)
        }
        if (arrived.has(port)) continue
        for (const one of await stage.send({ from, port, texts: [REGISTER] })) {
          if (one.source === from) arrived.add(one.port)
        }
      }
      return [...arrived].sort()
    }
    const FOUR_PORTS = [41_001, 41_002, 41_003, 41_004]

    test('under attack: one forged returning address with many ports keeps no other out that returns', async () => {
      const [spoofed, honest] = [stage.fresh(family), stage.fresh(family)]
      await stage.hold({
        limits: TELLING,
        sizes: SIZES,
        strictUntil: LATER,
        members: [[spoofed, honest].map((one) => returning(sourceOf(one), 1, LATER))],
      })
      const frames = Array.from({ length: 3 * FORGED }, (_, i) =>
        datagram({ source: spoofed, port: 20_000 + (i >> 1), text: REGISTER }),
      ).flat()
      const flooding = stage.transmit(frames, { perSecond: 2_000 })
      // Its ports are more than the table of the ports has room for.
      await eventually(async () => (await stage.noted(family)) > 2 * BUCKETS, 15_000, 'so many noted')
      expect(await servedPorts(honest, FOUR_PORTS)).toEqual(FOUR_PORTS)
      await flooding
      expect(await lost('RINGFENCE-RETURN1')).toEqual([0])
    })

    test('under attack: who returns is served while no more first packets can be noted', async () => {
      const honest = stage.fresh(family)
      await stage.hold({
        limits: TELLING,
        sizes: { ...SIZES, seen: 1_000 },
        strictUntil: LATER,
        members: [[returning(sourceOf(honest), 1, LATER)]],
      })
      const strangers = Array.from({ length: 15_000 }, (_, i) =>
        family === 4 ? `10.${110 + (i >> 8)}.${i & 255}.9` : `fd02:0:${i.toString(16)}::9`,
      )
      const frames = strangers.flatMap((source) => datagram({ source, text: REGISTER }))
      const unnoted = async () => (await stage.counts('RINGFENCE-UNNOTED', family)).at(-1)!.packets
      const flooding = stage.transmit(frames, { perSecond: 5_000 })
      await eventually(async () => (await unnoted()) > 500, 10_000, 'a shut gate')
      expect(await servedPorts(honest, FOUR_PORTS)).toEqual(FOUR_PORTS)
      await flooding
      expect((await stage.elements('seen', family)).length).toBeLessThan(1_000)
    })

    test.each([
      ['in peace', null, 5],
      ['under attack', LATER, 3],
    ] as const)(
      '%s: one source with many ports fills no table, and who is new is still served',
      async (_when, strictUntil, served) => {
        await stage.hold({ limits: TELLING, sizes: SIZES, strictUntil })
        await flood(
          Array.from({ length: 4_000 }, (_, i) =>
            datagram({ source: forged[0]!, port: 1_024 + (i >> 1), text: REGISTER }),
          ).flat(),
        )
        const from = stage.fresh(family)
        expect((await passed(from, 1, REGISTER)) + (await passed(from, 9, REGISTER))).toBe(served)
      },
    )

    test('limits.sip that is only observed drops nobody, however many sources there are', async () => {
      await stage.hold({ limits: { ...TELLING, sip: { ...TELLING.sip, enforced: false } }, sizes: SIZES })
      for (const text of [OPTIONS, BYE]) {
        await flood(forged.flatMap((source) => datagram({ source, text })))
      }
      const newcomer = stage.fresh(family)
      expect([await passed(newcomer, 5, INVITE), await passed(newcomer, 5, BYE)]).toEqual([5, 5])
    })
  })
}
