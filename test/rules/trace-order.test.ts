import type { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ImaginedTraffic } from '../../rules/trace/imagined-traffic.ts'
import { DEFAULTS, limit, limits, sizes, traffic } from './desired.ts'
import { everyLane, NOW, RESPONSE, SOURCES, SPARED_PORT, STUN, sip, syn, udp } from './trace-packets.ts'

/*
 * The order of the lanes, as a property: whatever unknown sources send, forged addresses included, the verdicts about a
 * proven, answered, returning, gateway or allowed source are those of an untouched kernel. Every table and set that
 * they can fill is so small here that a few hundred packets fill it.
 */

const PAYLOADS = [sip('REGISTER'), sip('INVITE'), sip('BYE'), RESPONSE, '\r\n\r\n', STUN, 'junk'.repeat(30)]

/** A part of an attack: one kind of packet from some addresses and ports, one after the other. */
interface Spray {
  /** Whose addresses: of nobody, or those of proven customers, with ports that are not proven. */
  readonly as: 'strangers' | 'customers'
  readonly family: 0 | 1
  readonly first: number
  readonly addresses: number
  readonly ports: number
  readonly times: number
  readonly payload: string | Buffer
  readonly pause: number
}

const spray: fc.Arbitrary<Spray> = fc.record({
  as: fc.constantFrom('strangers' as const, 'customers' as const),
  family: fc.constantFrom(0 as const, 1 as const),
  first: fc.nat(150),
  addresses: fc.integer({ min: 1, max: 100 }),
  ports: fc.integer({ min: 1, max: 5 }),
  times: fc.integer({ min: 1, max: 2 }),
  payload: fc.constantFrom<string | Buffer>('connect', ...PAYLOADS, `\r\n${sip('REGISTER')}`),
  pause: fc.constantFrom(0, 1, 500, 4_000),
})

const setting = fc.record({
  strict: fc.boolean(),
  enforced: fc.boolean(),
  responses: fc.constantFrom('asked', 'any'),
  changing: fc.boolean(),
})

const CUSTOMERS = ['proven', 'answered', 'blocked', 'suspended'] as const

type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never

/** Limits that will decide in a moment: all their tables count already. */
const FOLLOWING = everyLane({
  limits: limits({ proven: limit(9, 60), ceiling: limit(900, 900), returning: limit(6, 21) }),
  sizes: sizes({ buckets: 128 }),
})

function stateOf({ strict, enforced, responses }: Omit<Setting, 'changing'>) {
  return everyLane({
    strictUntil: strict ? NOW + 3_600_000 : null,
    traffic: traffic({ responses }),
    limits: limits({
      sip: { ...DEFAULTS.limits.sip, perSecond: 2, burst: 3, enforced },
      rest: { perSecond: 1, burst: 2 },
    }),
    sizes: sizes({ buckets: 64, seen: 2_000_000 }),
  })
}

/** Sends an attack, and gives the time after it. */
function attack(world: ImaginedTraffic, state: ReturnType<typeof stateOf>, sprays: readonly Spray[]): number {
  let now = NOW
  for (const { as, family, first, addresses, ports, times, payload, pause } of sprays) {
    for (let i = 0; i < addresses * ports * times; i++) {
      const host = first + (i % addresses)
      const port = 20_000 + (i % ports)
      const stranger =
        family === 0 ? `100.64.${host}.7:${port}` : `[2001:db8:e:${host.toString(16)}::7]:${port}`
      const customer = SOURCES[CUSTOMERS[i % CUSTOMERS.length]!][family]!.replace(/:\d+$/, `:${port}`)
      const source = as === 'strangers' ? stranger : customer
      world.arrive(payload === 'connect' ? syn(state, source) : udp(state, source, payload), now)
    }
    now += pause
  }
  return now
}

/** Everything that the trusted and the proven send, and the REGISTERs of who answered or returns. */
function verdictsOf(
  world: ImaginedTraffic,
  state: ReturnType<typeof stateOf>,
  now: number,
): readonly string[] {
  const verdicts: string[] = []
  const send = (name: string, packet: Parameters<ImaginedTraffic['arrive']>[0]) => {
    const { verdict, lane } = world.arrive(packet, now)
    verdicts.push(`${name} ${packet.source} ${packet.payload.toString('latin1', 0, 8)}: ${verdict} ${lane}`)
  }
  for (const family of [0, 1] as const) {
    for (const name of ['allowed', 'gateway', 'proven', 'aggregator'] as const) {
      for (const payload of PAYLOADS) send(name, udp(state, SOURCES[name][family], payload))
      if (name === 'allowed' || name === 'gateway') send(name, syn(state, SOURCES[name][family]))
    }
    for (const name of ['blocked', 'suspended'] as const) {
      send(name, udp(state, SOURCES[name][family].replace(/:\d+$/, `:${SPARED_PORT}`)))
    }
    send('answered', udp(state, SOURCES.answered[family]))
    for (const name of ['returning1', 'returning2', 'returning3'] as const) {
      // Under attack the first packet of a new port is only noted: the second one counts.
      world.arrive(udp(state, SOURCES[name][family]), now)
      send(name, udp(state, SOURCES[name][family]))
      send(name, syn(state, SOURCES[name][family]))
    }
  }
  return verdicts
}

describe('what unknown sources send changes nothing for others', () => {
  test('whatever it is', () => {
    fc.assert(
      fc.property(setting, fc.array(spray, { minLength: 1, maxLength: 8 }), (chosen, sprays) => {
        const state = stateOf(chosen)
        const [attacked, untouched] = [new ImaginedTraffic(state), new ImaginedTraffic(state)]
        if (chosen.changing) for (const world of [attacked, untouched]) world.become(state, FOLLOWING)
        const now = attack(attacked, state, sprays)
        expect(verdictsOf(attacked, state, now)).toEqual(verdictsOf(untouched, state, now))
      }),
      { numRuns: 60 },
    )
  })

  test.each([true, false])('and everything full changes nothing either, strict limits: %s', (strict) => {
    for (const responses of ['asked', 'any'] as const) {
      const state = stateOf({ strict, enforced: true, responses })
      const attacked = new ImaginedTraffic(state)
      const everything = (['connect', ...PAYLOADS] as const).flatMap((payload) =>
        ([0, 1] as const).map((family) => ({
          as: 'strangers' as const,
          family,
          first: 0,
          addresses: 80,
          ports: 1,
          times: 2,
          payload,
          pause: 0,
        })),
      )
      const now = attack(attacked, state, everything)
      // A newcomer finds every table full.
      for (const payload of ['connect', sip('REGISTER'), sip('INVITE'), sip('BYE'), '\r\n']) {
        const packet =
          payload === 'connect' ? syn(state, '203.0.113.250:1') : udp(state, '203.0.113.250:1', payload)
        attacked.arrive(packet, now)
        expect(attacked.arrive(packet, now).says).toContain('is full and takes nobody new')
      }
      expect(verdictsOf(attacked, state, now)).toEqual(verdictsOf(new ImaginedTraffic(state), state, now))
    }
  })

  test('nor does it when no more first packets can be noted: who returns is served, who is new waits until it is over', () => {
    const state = {
      ...stateOf({ strict: true, enforced: false, responses: 'asked' }),
      sizes: sizes({ seen: 64 }),
    }
    const attacked = new ImaginedTraffic(state)
    for (let i = 0; i < 200; i++) {
      for (const source of [`100.64.${i}.7:5060`, `[2001:db8:e:${i.toString(16)}::7]:5060`]) {
        attacked.arrive(udp(state, source), NOW)
      }
    }
    const newPort = SOURCES.returning1[0].replace(':5060', ':5099')
    expect(attacked.arrive(udp(state, newPort), NOW)).toMatchObject({ verdict: 'pass', lane: 'returning' })
    const source = '203.0.113.250:5060'
    const trace = attacked.arrive(udp(state, source), NOW)
    expect(trace.says).toContain('and so many come that 203.0.113.250:5060 could not be')
    expect(verdictsOf(attacked, state, NOW)).toEqual(verdictsOf(new ImaginedTraffic(state), state, NOW))
    // A phone sends again after 0.5, 1, 2 and 4 s (RFC 3261, timer E).
    const after = [500, 1_500, 3_500].map((later) => attacked.arrive(udp(state, source), NOW + later).verdict)
    expect(after.at(-1)).toBe('pass')
  })

  test('nor does a forged address of one who returns, whatever ports it has, keep out others who return', () => {
    const state = stateOf({ strict: true, enforced: false, responses: 'asked' })
    const attacked = new ImaginedTraffic(state)
    for (const family of [0, 1] as const) {
      for (let i = 0; i < 800; i++) {
        const forged = SOURCES.returning1[family].replace(/:\d+$/, `:${20_000 + (i >> 1)}`)
        attacked.arrive(udp(state, forged), NOW)
      }
    }
    for (const name of ['returning2', 'returning3'] as const) {
      for (const family of [0, 1] as const) {
        const honest = udp(state, SOURCES[name][family].replace(/:\d+$/, ':5099'))
        attacked.arrive(honest, NOW)
        expect(attacked.arrive(honest, NOW)).toMatchObject({ verdict: 'pass', lane: 'returning' })
      }
    }
  })
})
