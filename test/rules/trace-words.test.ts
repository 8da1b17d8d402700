import type { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { ImaginedTraffic } from '../../rules/trace/imagined-traffic.ts'
import type { ImaginaryPacket } from '../../rules/trace/packet.ts'
import { type HeldByKernel, tracePacket } from '../../rules/trace/trace.ts'
import { DEFAULTS, limits } from './desired.ts'
import { everyLane, NOW, RESPONSE, SOURCES, STUN, sip, syn, udp } from './trace-packets.ts'

type Name = keyof typeof SOURCES
const STATE = everyLane()
const STRICT = everyLane({ strictUntil: NOW + 120_000 })

describe('the words', () => {
  const says = (packet: ImaginaryPacket, heldByKernel: HeldByKernel = {}, state = STATE) =>
    tracePacket({ state, packet, now: NOW, heldByKernel }).says
  const of = (name: Name, payload?: string | Buffer) => udp(STATE, SOURCES[name][0], payload)
  const enforced = everyLane({ limits: limits({ sip: { ...DEFAULTS.limits.sip, enforced: true } }) })

  test.each<[string, string]>([
    [
      says(of('allowed')),
      'A REGISTER from 192.0.2.7:5060 passes: 192.0.2.7 is on the allowlist (as 192.0.2.0/24), and up to 2000 a second after a burst of 4000 pass.',
    ],
    [
      says(of('denied', sip('OPTIONS'))),
      'An OPTIONS from 203.0.113.1:5060 is dropped: 203.0.113.1 is blocked by the operator, with no end.',
    ],
    [
      says(of('gateway', sip('INVITE'))),
      'An INVITE from 203.0.113.65:5060 passes: 203.0.113.65 is the gateway acme (as 203.0.113.64/26), and up to 5 a second after a burst of 10 pass.',
    ],
    [
      says(of('blocked', RESPONSE)),
      'A response from 198.51.100.1:5060 is dropped: 198.51.100.1 is blocked with scope sip, for another 10m, and this port is not proven.',
    ],
    [
      says(of('registerBlocked')),
      'A REGISTER from 198.51.100.2:5060 is dropped: 198.51.100.2 is blocked with scope register, for another 10m.',
    ],
    [
      says(of('suspendedPort')),
      'A REGISTER from 198.51.100.3:5060 is dropped: 198.51.100.3:5060 is suspended, for another 10m.',
    ],
    [
      says(of('suspended')),
      'A REGISTER from 198.51.100.4:5060 is dropped: 198.51.100.4 is suspended with all ports that are not proven, for another 10m.',
    ],
    [
      says(of('proven')),
      'A REGISTER from 198.51.100.5:5060 passes: 198.51.100.5:5060 is proven, and up to 10 a second after a burst of 50 pass.',
    ],
    [
      says(of('answered')),
      'A REGISTER from 198.51.100.7:5060 passes: 198.51.100.7:5060 answered a challenge lately, and up to 2 a second after a burst of 5 pass.',
    ],
    [
      says(udp(STATE, SOURCES.returning2[1])),
      'A REGISTER from [2001:db8:b:9::1]:5060 passes: 2001:db8:b:9::1 has registered several accounts lately (as 2001:db8:b:9::/64), and up to 20 a second after a burst of 200 pass.',
    ],
    [
      says(of('ignoring')),
      'A REGISTER from 198.51.100.11:5060 passes: 198.51.100.11 was challenged and never answered, and up to 6 a minute after a burst of 2 pass.',
    ],
    [
      says(of('unknown')),
      'A REGISTER from 198.51.100.99:5060 passes: nothing is known of 198.51.100.99:5060, and up to 5 a second after a burst of 10 pass (the unknown sources of one prefix: 100 a second, all unknown sources together: 2000 a second).',
    ],
    [
      says(of('unknown', ` ${sip('REGISTER')}`), {}, STRICT),
      'A packet that is taken for a REGISTER from 198.51.100.99:5060 is dropped: under attack the first packet of an address and port that is not proven is only noted, and 198.51.100.99:5060 passes here from its second within 5 s on.',
    ],
    [
      says(of('unknown'), { seen: true }, STRICT),
      'A REGISTER from 198.51.100.99:5060 passes: nothing is known of 198.51.100.99:5060, and the strict limits are in force, and up to 5 a second after a burst of 10 pass (an unproven address and port under attack: 6 a minute, the unknown sources of one prefix under attack: 100 a second, all unknown sources together under attack: 1500 a second).',
    ],
    [
      says(of('unknown', RESPONSE)),
      'A response from 198.51.100.99:5060 passes: nobody asked 198.51.100.99 for it, and up to 1000 a second after a burst of 2000 pass.',
    ],
    [
      says(of('unknown', RESPONSE), { asked: true }),
      'A response from 198.51.100.99:5060 passes: the softswitch sent 198.51.100.99 a request lately, and up to 2000 a second after a burst of 4000 pass.',
    ],
    [
      says(of('unknown', '')),
      'A keepalive from 198.51.100.99:5060 passes: keepalives of everybody pass, and up to 20 a second after a burst of 50 pass (what nobody asked for, of everybody together: 1000 a second).',
    ],
    [
      says(of('unknown', sip('BYE')), {}, enforced),
      'A BYE from 198.51.100.99:5060 passes: 198.51.100.99:5060 is not proven, and up to 100 a second after a burst of 250 pass (requests inside calls of the unknown sources of one prefix: 1000 a second, requests inside calls of all unknown sources together: 5000 a second).',
    ],
    [
      says(syn(STATE, SOURCES.unknown[0])),
      'A new TCP connection from 198.51.100.99:5060 passes: nothing is known of 198.51.100.99:5060, and up to 5 a second after a burst of 20 pass (new connections of one prefix: 50 a second).',
    ],
    [
      says(syn(STATE, SOURCES.unknown[0], { syn: false })),
      'A piece of a TCP connection from 198.51.100.99:5060 passes: what is connected is left alone, and 198.51.100.99 is not blocked.',
    ],
  ])('%s', (is, expected) => {
    expect(is).toBe(expected)
  })

  test('each step has its rule and its reason', () => {
    const trace = tracePacket({
      state: STRICT,
      packet: udp(STRICT, SOURCES.unknown[0], `\r\n${sip('REGISTER')}`),
      now: NOW,
    })
    expect(trace.rule).toBe('-A RINGFENCE-FIRST -j DROP')
    const told = trace.steps.map(({ rule, says }) => `${rule.split(' ')[1]}: ${says}`)
    expect(told).toEqual([
      'RINGFENCE: it arrives on eth0 for the protected UDP port 5060',
      'RINGFENCE-UDP: it is recognised as nothing else, so it is taken for a REGISTER',
      'RINGFENCE-REGISTER: its port is not proven',
      'RINGFENCE-UNPROVEN: the strict limits are in force; 198.51.100.99:5060 was not seen within 5 s',
      'RINGFENCE-FIRST: it can be noted; 198.51.100.99:5060 is noted as seen',
      'RINGFENCE-FIRST: the first packet of an unproven address and port is not served under attack',
    ])
  })

  test('no step is without a reason of its own', () => {
    const payloads = [sip('REGISTER'), sip('INVITE'), sip('BYE'), RESPONSE, '', STUN, 'junk'.repeat(20)]
    const steps = [STATE, STRICT, enforced].flatMap((state) =>
      Object.values(SOURCES).flatMap((sources) =>
        sources.flatMap((source) => {
          const world = new ImaginedTraffic(state)
          const packets = [...payloads.map((payload) => udp(state, source, payload)), syn(state, source)]
          return packets
            .flatMap((packet) => Array.from({ length: 60 }, () => world.arrive(packet, NOW).steps))
            .flat()
        }),
      ),
    )
    const empty = steps.filter(({ says: reason }) => reason === 'it comes to this rule' || reason === '')
    expect(empty).toEqual([])
    expect(new Set(steps.map(({ rule }) => rule.split(' ')[1])).size).toBeGreaterThan(15)
  })

  test('a text in the packet never reaches the words', () => {
    const trace = tracePacket({
      state: STATE,
      packet: udp(STATE, SOURCES.unknown[0], '\u001b[31mEVIL\n'.repeat(20)),
      now: NOW,
    })
    expect(JSON.stringify(trace)).not.toMatch(/EVIL|u001b/)
  })
})
