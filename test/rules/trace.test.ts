import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import type { Prefix } from '../../registrar/net/address.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import type { ImaginaryPacket, Trace, TraceLane } from '../../rules/trace/packet.ts'
import { type HeldByKernel, Tracer, tracePacket } from '../../rules/trace/trace.ts'
import { address, prefix, proven, traffic } from './desired.ts'
import { everyLane, NOW, RESPONSE, SOURCES, SPARED_PORT, STUN, sip, syn, udp } from './trace-packets.ts'

const FAMILIES = [
  ['IPv4', 0],
  ['IPv6', 1],
] as const
const STATE = everyLane()
const STRICT = everyLane({ strictUntil: NOW + 120_000 })

type Name = keyof typeof SOURCES
type Verdict = readonly [Trace['verdict'], TraceLane]

function outcome(state: DesiredState, packet: ImaginaryPacket, heldByKernel: HeldByKernel = {}): Verdict {
  const { verdict, lane } = tracePacket({ state, packet, now: NOW, heldByKernel })
  return [verdict, lane]
}

/** The source with another port. */
const at = (source: string, port: number) => source.replace(/:\d+$/, `:${port}`)

describe.each(FAMILIES)('lanes, %s', (_family, index) => {
  const of = (name: Name) => SOURCES[name][index]

  // What happens to a REGISTER, an INVITE, a BYE, a response, a keepalive and a new TCP connection of each source.
  const pass = (lane: TraceLane): Verdict => ['pass', lane]
  const drop = (lane: TraceLane): Verdict => ['drop', lane]
  const all = (verdict: Verdict): readonly Verdict[] => Array.from({ length: 6 }, () => verdict)
  /** Their other SIP and keepalives have a bucket of their own; a response is nobody's who was not asked. */
  const RETURNING = ['returning', 'returning', 'returning', 'rest', 'returning', 'returning'].map((lane) =>
    pass(lane as TraceLane),
  )
  const OTHERS = [pass('sip'), pass('sip'), pass('rest'), pass('rest')]
  const PROVEN = [pass('proven'), pass('proven'), pass('proven'), pass('proven'), pass('proven')]
  test.each<[Name, readonly Verdict[]]>([
    ['allowed', all(pass('allowed'))],
    ['denied', all(drop('blocked'))],
    ['gateway', all(pass('gateway'))],
    ['blocked', all(drop('blocked'))],
    ['registerBlocked', [drop('blocked'), ...OTHERS, drop('blocked')]],
    ['suspendedPort', [drop('suspended'), ...OTHERS, pass('unknown')]],
    ['suspended', [drop('suspended'), ...OTHERS, drop('suspended')]],
    ['proven', [...PROVEN, pass('unknown')]],
    ['aggregator', [...PROVEN, pass('returning')]],
    ['answered', [pass('answered'), ...OTHERS, pass('unknown')]],
    ['returning1', RETURNING],
    ['returning2', RETURNING],
    ['returning3', RETURNING],
    ['ignoring', [pass('ignoring'), ...OTHERS, pass('unknown')]],
    ['unknown', [pass('unknown'), ...OTHERS, pass('unknown')]],
  ])('%s', (name, expected) => {
    const payloads = [sip('REGISTER'), sip('INVITE'), sip('BYE'), RESPONSE, '\r\n\r\n']
    const packets = [...payloads.map((payload) => udp(STATE, of(name), payload)), syn(STATE, of(name))]
    expect(packets.map((packet) => outcome(STATE, packet))).toEqual(expected)
  })

  test.each<[Name, Verdict, Verdict]>([
    ['allowed', pass('allowed'), pass('allowed')],
    ['denied', drop('blocked'), drop('blocked')],
    ['gateway', pass('gateway'), pass('gateway')],
    ['registerBlocked', drop('blocked'), drop('blocked')],
    ['suspendedPort', drop('suspended'), drop('suspended')],
    ['proven', pass('proven'), pass('proven')],
    ['answered', pass('answered'), pass('answered')],
    ['returning1', drop('unknown'), pass('returning')],
    ['ignoring', drop('unknown'), pass('ignoring')],
    ['unknown', drop('unknown'), pass('unknown')],
  ])('under attack a REGISTER of %s, first and once seen', (name, first, seen) => {
    const packet = udp(STRICT, of(name))
    expect([outcome(STRICT, packet), outcome(STRICT, packet, { seen: true })]).toEqual([first, seen])
  })

  test('a proven port of a punished address stays served, and no port of one that the operator blocked', () => {
    for (const name of ['blocked', 'registerBlocked', 'suspended'] as const) {
      expect(outcome(STATE, udp(STATE, at(of(name), SPARED_PORT)))).toEqual(pass('proven'))
    }
    expect(outcome(STATE, udp(STATE, at(of('denied'), SPARED_PORT)))).toEqual(drop('blocked'))
  })

  test('a suspended address and port is suspended even where it is proven', () => {
    const [source] = STATE.suspensions
      .flat()
      .filter(({ address: one }) => one.includes(':') === (index === 1))
    const members = [[{ lane: 'proven', ...source!, until: NOW + 1 } as const]]
    expect(outcome({ ...STATE, members }, udp(STATE, of('suspendedPort')))).toEqual(drop('suspended'))
  })

  test('another port of a proven, answered or suspended address has none of it', () => {
    const ofAnotherPort = (name: Name) => outcome(STATE, udp(STATE, at(of(name), 7)))
    expect(['proven', 'answered', 'suspendedPort'].map((name) => ofAnotherPort(name as Name))).toEqual([
      pass('unknown'),
      pass('unknown'),
      pass('unknown'),
    ])
  })

  test('what has an end is over at its end', () => {
    const end = NOW + 600_000
    const laneAt = (name: Name, now: number) =>
      tracePacket({ state: STATE, packet: udp(STATE, of(name)), now }).lane
    for (const [name, before] of [
      ['blocked', 'blocked'],
      ['suspendedPort', 'suspended'],
      ['suspended', 'suspended'],
      ['proven', 'proven'],
      ['answered', 'answered'],
      ['returning1', 'returning'],
      ['ignoring', 'ignoring'],
    ] as const) {
      expect([name, laneAt(name, end - 1), laneAt(name, end)]).toEqual([name, before, 'unknown'])
    }
    expect(laneAt('denied', end)).toBe('blocked')
    expect(outcome({ ...STRICT, strictUntil: NOW }, udp(STRICT, of('unknown')))).toEqual(pass('unknown'))
  })

  test('allowed beats blocked, and blocked by the operator beats gateway', () => {
    const both = (name: Name) => [prefix(at(of(name), 0).replace(/^\[|\]?:0$/g, ''))]
    const allow = both('denied')
    expect(outcome({ ...STATE, allow }, udp(STATE, of('denied')))).toEqual(pass('allowed'))
    const [target] = both('gateway') as [Prefix]
    const blocks = [{ target, scope: 'sip', sparesProven: false, until: null } as const]
    expect(outcome({ ...STATE, blocks }, udp(STATE, of('gateway')))).toEqual(drop('blocked'))
    // A verdict's block of a gateway does nothing: the gateway's own limit is its punishment.
    const verdict = [{ target, scope: 'sip', sparesProven: true, until: null } as const]
    expect(outcome({ ...STATE, blocks: verdict }, udp(STATE, of('gateway')))).toEqual(pass('gateway'))
  })

  test('an asked peer responds and requests under the ceiling, and a punished one does not', () => {
    const asked = { asked: true }
    expect(outcome(STATE, udp(STATE, of('unknown'), RESPONSE), asked)).toEqual(pass('peer'))
    expect(outcome(STATE, udp(STATE, of('unknown'), sip('INVITE')), asked)).toEqual(pass('peer'))
    expect(outcome(STATE, udp(STATE, of('blocked'), RESPONSE), asked)).toEqual(drop('blocked'))
    // Being asked opens nothing to REGISTERs.
    expect(outcome(STRICT, udp(STRICT, of('unknown')), asked)).toEqual(drop('unknown'))
  })

  test('where nobody knows who was asked, responses of everybody pass', () => {
    const any = everyLane({ traffic: traffic({ responses: 'any' }) })
    expect(outcome(any, udp(any, of('unknown'), RESPONSE))).toEqual(pass('peer'))
    expect(outcome(any, udp(any, of('blocked'), RESPONSE))).toEqual(drop('blocked'))
  })

  test('an established connection is left alone by all but blocks of scope sip', () => {
    const piece = { syn: false, payload: Buffer.from(sip('REGISTER')) }
    const rows = (['registerBlocked', 'suspended', 'unknown', 'blocked', 'denied'] as const).map((name) =>
      outcome(STATE, syn(STATE, of(name), piece)),
    )
    const left = pass('connected')
    expect(rows).toEqual([left, left, left, drop('blocked'), drop('blocked')])
  })
})

describe.each(FAMILIES)('what hides a REGISTER, %s', (_family, index) => {
  const source = SOURCES.unknown[index]
  const strict: Verdict = ['drop', 'unknown']
  test.each<[string, string | Buffer, Partial<ImaginaryPacket>]>([
    ['200 pairs of line breaks', `${'\r\n'.repeat(200)}${sip('REGISTER')}`, {}],
    ['one line break', `\n${sip('REGISTER')}`, {}],
    ['a space', ` ${sip('REGISTER')}`, {}],
    ['a tab', `\t${sip('REGISTER')}`, {}],
    ['a NUL', `\0${sip('REGISTER')}`, {}],
    ['lower case', sip('register'), {}],
    ['mixed case', sip('rEGISTER'), {}],
    ['8 bytes before the payload', sip('REGISTER'), { headerOptions: 8 }],
    ['40 bytes before the payload', sip('REGISTER'), { headerOptions: 40 }],
    ['a first fragment that ends before the method', '', { fragment: 'first' }],
    ['a first fragment that ends within the method', 'REG', { fragment: 'first' }],
    ['a first fragment with line breaks', '\r\n\r\n', { fragment: 'first' }],
    ['a method that begins like another', sip('INVENT'), {}],
    ['a method that nobody knows', sip('XREGISTER'), {}],
    ['junk', Buffer.alloc(200, 0xa5), {}],
    ['a response in lower case', RESPONSE.replace('SIP/', 'sip/'), {}],
    ['STUN without its cookie', Buffer.concat([Buffer.from('0001003000000000', 'hex'), STUN]), {}],
    ['STUN of another type', Buffer.concat([Buffer.from('0101', 'hex'), STUN.subarray(2)]), {}],
  ])('%s is of no use', (name, payload, parts) => {
    const packet = udp(STRICT, source, payload, parts)
    expect([name, outcome(STRICT, packet)]).toEqual([name, strict])
  })

  test.each([
    ['OPTIONS', sip('OPTIONS')],
    ['INVITE', sip('INVITE')],
    ['MESSAGE to a user REGISTER', sip('MESSAGE', 'sip:REGISTER@softswitch.example')],
    ['SUBSCRIBE', sip('SUBSCRIBE')],
    ['NOTIFY', sip('NOTIFY')],
    ['INFO', sip('INFO')],
    ['REFER', sip('REFER')],
    ['PUBLISH', sip('PUBLISH')],
    ['ACK', sip('ACK')],
    ['BYE', sip('BYE')],
    ['CANCEL', sip('CANCEL')],
    ['PRACK', sip('PRACK')],
    ['UPDATE', sip('UPDATE')],
  ])('%s, which lists REGISTER in Allow, is not taken for one', (_name, payload) => {
    expect(outcome(STRICT, udp(STRICT, source, payload))).toEqual(['pass', 'sip'])
  })

  test.each([
    ['a forged response', RESPONSE],
    ['nothing', ''],
    ['line breaks', '\r\n\r\n'],
    ['a NUL', '\0'],
    ['the longest keepalive', 'x'.repeat(39)],
    ['STUN', STUN],
  ])('%s shares the bucket of what nobody asked for', (_name, payload) => {
    expect(outcome(STRICT, udp(STRICT, source, payload))).toEqual(['pass', 'rest'])
  })

  test('one byte more is no keepalive', () => {
    expect(outcome(STRICT, udp(STRICT, source, 'x'.repeat(40)))).toEqual(strict)
  })

  test('a later fragment carries no port, so no rule looks at it', () => {
    const packet = udp(STRICT, source, sip('REGISTER'), { fragment: 'later' })
    expect(tracePacket({ state: STRICT, packet, now: NOW })).toMatchObject({
      verdict: 'not-ours',
      lane: 'none',
      says: 'No rule of Ringfence looks at this packet: a later piece of a packet carries no port.',
    })
  })

  test('forged addresses of the trusted get what those may send, and under a limit', () => {
    for (const [name, per] of [
      ['allowed', '2000 a second after a burst of 4000'],
      ['gateway', '5 a second after a burst of 10'],
    ] as const) {
      const trace = tracePacket({ state: STRICT, packet: udp(STRICT, SOURCES[name][index]), now: NOW })
      expect(trace).toMatchObject({ verdict: 'pass', lane: name })
      expect(trace.says).toContain(`up to ${per} pass`)
    }
  })
})

describe('IPv4 options and IPv6 extension headers', () => {
  test('an INVITE behind IPv4 options is recognised', () => {
    const packet = udp(STRICT, SOURCES.unknown[0], sip('INVITE'), { headerOptions: 24 })
    expect(outcome(STRICT, packet)).toEqual(['pass', 'sip'])
  })

  test('an INVITE behind an IPv6 extension header is taken for a REGISTER', () => {
    const packet = udp(STRICT, SOURCES.unknown[1], sip('INVITE'), { headerOptions: 24 })
    expect(outcome(STRICT, packet)).toEqual(['drop', 'unknown'])
  })

  test('a keepalive behind options is one in IPv4, if it is short enough with them', () => {
    const of = (index: 0 | 1, payload: string) =>
      outcome(STRICT, udp(STRICT, SOURCES.unknown[index], payload, { headerOptions: 8 }))
    expect(of(0, 'x'.repeat(31))).toEqual(['pass', 'rest'])
    expect(of(0, 'x'.repeat(32))).toEqual(['drop', 'unknown'])
    expect(of(1, '')).toEqual(['drop', 'unknown'])
  })
})

describe('what is not for the softswitch', () => {
  const says = (parts: Partial<ImaginaryPacket>, state = STATE) => {
    const trace = tracePacket({
      state,
      packet: udp(state, SOURCES.denied[0], sip('REGISTER'), parts),
      now: NOW,
    })
    return [trace.verdict, trace.lane, trace.says.replace(/^No rule of Ringfence looks at this packet: /, '')]
  }

  test.each<[string, Partial<ImaginaryPacket>, string]>([
    ['from the host itself', { interface: 'lo' }, 'it comes from this host itself.'],
    ['on another interface', { interface: 'eth1' }, 'eth1 is not a protected interface.'],
    ['for another port', { destinationPort: 5080 }, '5080 is not a protected UDP port.'],
    ['for another TCP port', { destinationPort: 22, protocol: 'tcp' }, '22 is not a protected TCP port.'],
  ])('%s', (_name, parts, why) => {
    expect(says(parts)).toEqual(['not-ours', 'none', why])
  })

  test('a routed gateway protects what is listed, and a host its own addresses', () => {
    const routed = everyLane({
      traffic: traffic({ destinations: [prefix('192.0.2.128/25')], interfaces: ['wan+'] }),
    })
    const other = { interface: 'wan7', destination: address('192.0.2.1') }
    expect(says(other, routed)).toEqual(['not-ours', 'none', '192.0.2.1 is not a protected destination.'])
    expect(says({ ...other, destination: address('192.0.2.200') }, routed)[0]).toBe('drop')
    const packet = udp(STATE, SOURCES.denied[0], undefined, { destination: address('192.0.2.2') })
    const verdictWith = (own: string) =>
      tracePacket({ state: STATE, packet, now: NOW, host: { own: new Set([address(own)]) } }).verdict
    expect([verdictWith('192.0.2.2'), verdictWith('192.0.2.3')]).toEqual(['drop', 'not-ours'])
  })

  test('a REGISTER of a proven port to another host takes the short way, and that is said', () => {
    const host = { own: new Set([address('192.0.2.2')]) }
    const trace = (destination: string, payload = sip('REGISTER'), state = STATE) =>
      tracePacket({
        state,
        packet: udp(state, SOURCES.proven[0], payload, { destination: address(destination) }),
        now: NOW,
        host,
      })
    const elsewhere = /It is not for this host \(8\.8\.8\.8 is none of its addresses\)/
    for (const logGroup of [undefined, 5060]) {
      const state = logGroup === undefined ? STATE : everyLane({ traffic: traffic({ logGroup }) })
      expect(trace('8.8.8.8', undefined, state)).toMatchObject({
        verdict: 'pass',
        lane: 'proven',
        says: expect.stringMatching(elsewhere),
      })
      expect(trace('192.0.2.2', undefined, state).says).not.toMatch(elsewhere)
    }
    expect(trace('8.8.8.8', sip('INVITE')).verdict).toBe('not-ours')
  })
})

describe('packets that cannot be', () => {
  test.each<[Partial<ImaginaryPacket>, string]>([
    [{ destination: address('2001:db8::1') }, 'no packet goes from 198.51.100.99 to 2001:db8::1'],
    [{ headerOptions: 6 }, 'no IPv4 header has 6 bytes of options: use a multiple of 4 up to 40'],
    [{ headerOptions: 44 }, 'no IPv4 header has 44 bytes of options: use a multiple of 4 up to 40'],
    [{ payload: Buffer.alloc(66_000) }, 'no packet has 66028 bytes: a payload of at most 65000 fits'],
  ])('%o', (parts, message) => {
    const packet = { ...udp(STATE, SOURCES.unknown[0]), ...parts }
    expect(() => tracePacket({ state: STATE, packet, now: NOW })).toThrow(new RangeError(message))
  })
})

test('a tracer answers for 2,000 phones a second of the processor', () => {
  const members = Array.from({ length: 4_000 }, (_, i) =>
    proven(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 5060, NOW + 60_000),
  )
  const state = everyLane({ members: [members] })
  const packets = members.map((one) => 'address' in one && udp(state, `${one.address}:5060`))
  const before = process.cpuUsage()
  const tracer = new Tracer(state, NOW)
  const lanes = packets.map((packet) => packet && tracer.trace(packet).lane)
  const { user, system } = process.cpuUsage(before)
  expect(new Set(lanes)).toEqual(new Set(['proven']))
  expect((user + system) / 1e6).toBeLessThan(members.length / 2_000)
})
