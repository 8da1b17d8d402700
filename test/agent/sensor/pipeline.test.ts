import { describe, expect, it } from 'vitest'
import type { Frame } from '../../../agent/capture/frame.ts'
import type { Observation } from '../../../agent/observe/observation.ts'
import { Pipeline } from '../../../agent/sensor/pipeline.ts'
import { ethernet, extension, fragments, ipv4, ipv6, type Layer, tcp, tunnelled, udp } from '../../packets.ts'

const REGISTER =
  'REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nTo: <sip:1@r>\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\n\r\n'
const ANSWER = REGISTER.replace('REGISTER sip:r SIP/2.0', 'SIP/2.0 401 no')
const SERVER = '10.0.0.2'
const CUSTOMER = '203.0.113.77'

function observe(layers: Layer[], live: boolean): Observation['kind'][] {
  return observations(layers, live).map(({ kind }) => kind)
}

function observations(layers: Layer[], live: boolean): Observation[] {
  const seen: Observation[] = []
  const pipeline = new Pipeline({
    ports: { udp: new Set([5060]), tcp: new Set([5060]) },
    ...(live ? { isProtected: (address) => address === SERVER || address === '2001:db8::2' } : {}),
    onObservation: (observation) => seen.push(observation),
  })
  layers.forEach((layer, i) => {
    const bytes = ethernet(layer)
    const frame: Frame = { time: 1_700_000_000_000 + i, linkType: 1, bytes, originalLength: bytes.length }
    pipeline.take(frame)
  })
  return seen
}

const request = ipv4({ source: CUSTOMER, destination: SERVER }, udp({ sourcePort: 5062 }, REGISTER))
const answer = ipv4(
  { source: SERVER, destination: CUSTOMER },
  udp({ sourcePort: 5060, destinationPort: 5062 }, ANSWER),
)

describe('a live pipeline', () => {
  it('observes a request to what is protected and its answer', () => {
    expect(observe([request, answer], true)).toEqual(['register', 'sip', 'exchange'])
  })

  it('does not look into tunnels, by which anybody could send it the softswitch’s answers', () => {
    const inside = [request, answer].map((packet) => ipv6({ destination: '2001:db8::2' }, tunnelled(packet)))
    expect(observe(inside, true)).toEqual([])
    // A capture is looked at for what is in it.
    expect(observe(inside, false)).toEqual(['register', 'sip', 'exchange'])
  })

  it('believes no answer that its filter could not have told to go out', () => {
    const ends = { source: SERVER, destination: CUSTOMER }
    const ports = { sourcePort: 5060, destinationPort: 5062 }
    const long = ANSWER.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(2000)}\r\n\r\n`)
    const inFragments = fragments(udp(ports, long), { family: 4, size: 1480, ...ends })
    const afterLines = ipv4(ends, udp(ports, `\r\n${ANSWER}`))
    const v6 = { source: '2001:db8::2', destination: '2001:db8::7' }
    const behindOptions = [
      ipv6(v6, extension(60, udp(ports, ANSWER))),
      ipv6(v6, extension(60, tcp(ports, ANSWER))),
    ]
    for (const forged of [inFragments, [afterLines], behindOptions]) {
      expect(observe(forged, true)).toEqual([])
      // A capture is looked at for what is in it.
      expect(observe(forged, false)).toContain('exchange')
    }
  })

  it.each([
    [5062, 'account'],
    [5060, 'packet'],
  ])('takes a TCP connection from port %i for a proof of %s', (port, grade) => {
    const there = { source: CUSTOMER, destination: SERVER }
    const back = { source: SERVER, destination: CUSTOMER }
    const credentials = 'Authorization: Digest username="1", realm="r", nonce="n", uri="sip:r", response="0"'
    const request = REGISTER.replace('\r\n\r\n', `\r\n${credentials}\r\nContent-Length: 0\r\n\r\n`)
    const answer = ANSWER.replace('401 no', '200 OK').replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n')
    const seen = observations(
      [
        ipv4(there, tcp({ sourcePort: port, destinationPort: 5060 }, request)),
        ipv4(back, tcp({ sourcePort: 5060, destinationPort: port }, answer)),
      ],
      true,
    )
    expect(seen.filter(({ kind }) => kind === 'exchange')).toMatchObject([{ outcome: 'success', grade }])
  })

  it('passes over port 0, which means every port where suspensions are kept', () => {
    const forged = ipv4({ source: CUSTOMER, destination: SERVER }, udp({ sourcePort: 0 }, REGISTER))
    expect(observe([forged], true)).toEqual([])
  })

  it('counts nobody who is protected as a client, and nothing that goes elsewhere', () => {
    const outbound = ipv4({ source: SERVER, destination: CUSTOMER }, udp({ sourcePort: 5060 }, REGISTER))
    const elsewhere = ipv4({ source: CUSTOMER, destination: '192.0.2.1' }, udp({}, REGISTER))
    expect(observe([outbound, elsewhere], true)).toEqual([])
  })
})
