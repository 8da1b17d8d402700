import { describe, expect, it } from 'vitest'
import type { Frame } from '../../../agent/capture/frame.ts'
import type { Observation } from '../../../agent/observe/observation.ts'
import { Pipeline } from '../../../agent/sensor/pipeline.ts'
import { ethernet, ipv4, ipv6, type Layer, tunnelled, udp } from '../../packets.ts'

const REGISTER =
  'REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nTo: <sip:1@r>\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\n\r\n'
const ANSWER = REGISTER.replace('REGISTER sip:r SIP/2.0', 'SIP/2.0 401 no')
const SERVER = '10.0.0.2'
const CUSTOMER = '203.0.113.77'

function observe(layers: Layer[], live: boolean): Observation['kind'][] {
  const kinds: Observation['kind'][] = []
  const pipeline = new Pipeline({
    ports: { udp: new Set([5060]), tcp: new Set([5060]) },
    ...(live ? { isProtected: (address) => address === SERVER } : {}),
    onObservation: ({ kind }) => kinds.push(kind),
  })
  layers.forEach((layer, i) => {
    const bytes = ethernet(layer)
    const frame: Frame = { time: 1_700_000_000_000 + i, linkType: 1, bytes, originalLength: bytes.length }
    pipeline.take(frame)
  })
  return kinds
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
