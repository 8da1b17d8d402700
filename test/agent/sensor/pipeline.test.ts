import { describe, expect, it } from 'vitest'
import type { Frame, LoggedBy } from '../../../agent/capture/frame.ts'
import type { Observation } from '../../../agent/observe/observation.ts'
import { Sight } from '../../../agent/observe/sight.ts'
import { Pipeline } from '../../../agent/sensor/pipeline.ts'
import {
  ethernet,
  extension,
  fragments,
  ipv4,
  ipv6,
  type Layer,
  tcp,
  tunnelled,
  udp,
  vlan,
  withChecksum,
} from '../../packets.ts'

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

describe('what the kernel’s log shows', () => {
  const MALFORMED = REGISTER.slice(0, -10)
  const from = (payload: string) =>
    ipv4({ source: CUSTOMER, destination: SERVER }, udp({ sourcePort: 5062 }, payload))

  it.each<[string, LoggedBy, Layer[], string[]]>([
    ['passed is seen for all but rates', 'passed', [request], ['register logged']],
    ['is a sample counts for rates alone', 'sample', [request], ['register sampled']],
    ['is malformed counts where it is a sample', 'sample', [from(MALFORMED)], ['malformed sampled']],
    ['is malformed and passed is in the sample', 'passed', [from(MALFORMED)], []],
    ['begins as an answer is nobody’s', 'passed', [answer], []],
  ])('and %s', (_name, logged, layers, seen) => {
    const sightings: string[] = []
    const pipeline = new Pipeline({
      ports: { udp: new Set([5060]), tcp: new Set([5060]) },
      isProtected: (address) => address === SERVER,
      onObservation: ({ kind }, sighting) => sightings.push(`${kind} ${sighting}`),
    })
    layers.forEach(({ bytes }, i) => {
      pipeline.take({
        time: 1_700_000_000_000 + i,
        linkType: 101,
        bytes,
        originalLength: bytes.length,
        logged,
      })
    })
    expect(sightings).toEqual(seen)
  })

  it('and a logged request is matched with the answer that is captured', () => {
    const seen: string[] = []
    const pipeline = new Pipeline({
      ports: { udp: new Set([5060]), tcp: new Set([5060]) },
      isProtected: (address) => address === SERVER,
      onObservation: ({ kind }, sighting) => seen.push(`${kind} ${sighting}`),
    })
    const time = 1_700_000_000_000
    const { bytes } = request
    pipeline.take({ time, linkType: 101, bytes, originalLength: bytes.length, logged: 'passed' })
    const wire = ethernet(answer)
    // Both while everything is captured and from the capture of answers.
    for (let times = 0; times < 2; times++)
      pipeline.take({ time: time + 1, linkType: 1, bytes: wire, originalLength: wire.length })
    expect(seen).toEqual(['register logged', 'sip whole', 'exchange whole', 'sip whole'])
  })
})

describe('a live pipeline', () => {
  it('believes the softswitch’s long answer that was captured as what went out, and no forged part of one', () => {
    const long = ANSWER.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(2000)}\r\n\r\n`)
    const parts = fragments(udp({ sourcePort: 5060, destinationPort: 5062 }, long), {
      family: 4,
      size: 1480,
      source: SERVER,
      destination: CUSTOMER,
    })
    const observed = (wentOut: readonly boolean[]) => {
      const seen: string[] = []
      const pipeline = new Pipeline({
        ports: { udp: new Set([5060]), tcp: new Set([5060]) },
        isProtected: (address) => address === SERVER,
        onObservation: ({ kind }) => seen.push(kind),
      })
      parts.forEach((layer, i) => {
        const bytes = ethernet(layer)
        const frame: Frame = { time: 1_700_000_000_000 + i, linkType: 1, bytes, originalLength: bytes.length }
        pipeline.take(wentOut[i] ? { ...frame, wentOut: true } : frame)
      })
      return seen
    }
    expect(parts).toHaveLength(2)
    expect(observed([true, true])).toEqual(['sip', 'exchange'])
    for (const forged of [
      [false, false],
      [false, true],
      [true, false],
    ])
      expect(observed(forged)).toEqual([])
  })

  it('does not count what its kernel drops for a wrong checksum', () => {
    const ends = { source: CUSTOMER, destination: SERVER }
    const right = withChecksum(ends, udp({ sourcePort: 5062 }, REGISTER))
    const wrong = udp({ sourcePort: 5062, checksum: 0x1234 }, REGISTER)
    expect(observe([ipv4(ends, right)], true)).toEqual(['register'])
    expect(observe([ipv4(ends, wrong)], true)).toEqual([])
    expect(observe([ipv4(ends, wrong)], false)).toEqual(['register'])
  })

  describe('over TCP', () => {
    const there = { source: CUSTOMER, destination: SERVER }
    const back = { source: SERVER, destination: CUSTOMER }
    const bytes = (at: number, text: string, acknowledgement = 501) =>
      ipv4(there, tcp({ sourcePort: 4000, sequence: 101 + at, acknowledgement }, text))
    const says = (at: number, has: number, text: string) =>
      ipv4(
        back,
        tcp(
          { sourcePort: 5060, destinationPort: 4000, sequence: 501 + at, acknowledgement: 101 + has },
          text,
        ),
      )
    const handshake = [
      ipv4(there, tcp({ sourcePort: 4000, sequence: 100, flags: { syn: true } }, '')),
      ipv4(
        back,
        tcp(
          {
            sourcePort: 5060,
            destinationPort: 4000,
            sequence: 500,
            acknowledgement: 101,
            flags: { syn: true, ack: true },
          },
          '',
        ),
      ),
    ]
    const asked = REGISTER.replace('UDP', 'TCP').replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n')
    const refused = asked.replace('REGISTER sip:r SIP/2.0', 'SIP/2.0 401 no')
    const outcomes = (layers: Layer[]) =>
      observations(layers, true).flatMap((seen) =>
        seen.kind === 'exchange' ? [`${seen.account} ${seen.outcome}`] : [seen.kind],
      )

    it('a challenge is one', () => {
      const all = [...handshake, bytes(0, asked), says(0, asked.length, refused)]
      expect(outcomes(all)).toEqual(['register', 'sip', '1@r challenge'])
    })

    it('what is refused on a connection that contradicts itself was a try', () => {
      // A segment that the kernel drops for its checksum first, and then the true one in its place.
      const decoy = `OPTIONS sip:r SIP/2.0\r\nX: ${'x'.repeat(asked.length)}`.slice(0, asked.length)
      const all = [...handshake, bytes(0, decoy), bytes(0, asked), says(0, asked.length, refused)]
      expect(outcomes(all)).toEqual(['sip', '1@r failure'])
    })

    it('what came before its turn is read when its turn has come', () => {
      const filler = 'OPTIONS sip:r SIP/2.0\r\nContent-Length: 0\r\n\r\n'
      const all = [...handshake, bytes(asked.length, filler), bytes(0, asked), says(0, asked.length, refused)]
      expect(outcomes(all)).toEqual(['register', 'sip', 'sip', '1@r challenge'])
    })

    it('nobody writes into somebody’s connection without what was received there', () => {
      const far = 50_000_000
      const forged = asked.replace('Call-ID: a', 'Call-ID: of-a-neighbour')
      const all = [...handshake, bytes(0, asked), says(0, asked.length, refused)]
      const written = [bytes(far, '\r\n'), bytes(far + 2, forged), says(refused.length, asked.length, '')]
      expect(outcomes([...all, ...written])).toEqual(outcomes(all))
    })
  })

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

  it('reads a REGISTER with whatever fits a datagram before its credentials', () => {
    const there = { source: CUSTOMER, destination: SERVER }
    const digest = 'Authorization: Digest username="1",realm="c",nonce="n",uri="sip:c",response="0"'
    const outcomes = (before: string) => {
      const text = REGISTER.replace('\r\n\r\n', `\r\n${before}${digest}\r\n\r\n`)
      const large = ipv4(there, udp({ sourcePort: 5062 }, text))
      return observations([large, answer], true).flatMap((seen) =>
        seen.kind === 'exchange' ? [seen.outcome] : [],
      )
    }
    expect(outcomes('')).toEqual(['failure'])
    expect(outcomes('X: y\r\n'.repeat(10_000))).toEqual(['failure'])
    expect(outcomes(`User-Agent: ${'x'.repeat(60_000)}\r\n`)).toEqual(['failure'])
  })

  it('hears endpoints answer the softswitch’s own OPTIONS, and nobody in the softswitch’s name', () => {
    const fields = REGISTER.slice(REGISTER.indexOf('\r\n')).replace('1 REGISTER', '1 OPTIONS')
    const ask = ipv4(
      { source: SERVER, destination: CUSTOMER },
      udp({ sourcePort: 5060, destinationPort: 5062 }, `OPTIONS sip:1@c SIP/2.0${fields}`),
    )
    const reply = (source: string, destination: string) =>
      ipv4(
        { source, destination },
        udp({ sourcePort: 5062, destinationPort: 5060 }, `SIP/2.0 200 OK${fields}`),
      )
    const heard: string[] = []
    const seen: string[] = []
    const pipeline = new Pipeline({
      ports: { udp: new Set([5060]), tcp: new Set() },
      isProtected: (address) => address === SERVER,
      isEndpoint: ({ address }) => address === CUSTOMER,
      onAnswered: ({ address, port }) => heard.push(`${address}:${port}`),
      onObservation: ({ kind }) => seen.push(kind),
    })
    const take = (layer: Layer, cameIn: boolean) => {
      const bytes = ethernet(layer)
      const time = 1_700_000_000_000
      pipeline.take({ time, linkType: 1, bytes, originalLength: bytes.length, ...(cameIn ? { cameIn } : {}) })
    }
    take(reply('203.0.113.99', SERVER), true)
    take(ask, false)
    take(reply(SERVER, CUSTOMER), true)
    take(answer, true)
    expect([heard, seen]).toEqual([[], []])
    take(reply(CUSTOMER, SERVER), true)
    expect([heard, seen]).toEqual([[`${CUSTOMER}:5062`], []])
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

describe('a port that cannot be read', () => {
  const there = { source: CUSTOMER, destination: SERVER }
  const back = { source: SERVER, destination: CUSTOMER }
  const ports = { sourcePort: 40_000, destinationPort: 5061 }
  const answering = { sourcePort: 5061, destinationPort: 40_000 }
  const CLIENT_HELLO = Buffer.from('16030102000100', 'hex')
  const SERVER_HELLO = Buffer.from('160303007a0200', 'hex')
  const UPGRADE =
    'GET / HTTP/1.1\r\nHost: r\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n\r\n'
  const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n'
  const PAGE = 'HTTP/1.1 200 OK\r\nUpgrade: websocket\r\n\r\n'

  function sightOf(layers: Layer[]) {
    const sight = new Sight({ watched: { udp: [], tcp: [5061] } })
    const pipeline = new Pipeline({
      ports: { udp: new Set(), tcp: new Set([5061]) },
      isProtected: (address) => address === SERVER,
      exchanges: { sight },
      onObservation: () => {},
    })
    layers.forEach((layer, i) => {
      const bytes = ethernet(layer)
      pipeline.take({ time: 1_700_000_000_000 + i, linkType: 1, bytes, originalLength: bytes.length })
    })
    return sight.list()[0]
  }

  it.each<[string, string | Buffer, string | Buffer, RegExp]>([
    ['TLS', CLIENT_HELLO, SERVER_HELLO, /encrypted \(TLS\)/],
    ['a WebSocket', UPGRADE, SWITCHING, /WebSockets/],
    [
      'TLS that was joined in its midst',
      Buffer.from('170303', 'hex'),
      Buffer.from('1703030021aa', 'hex'),
      /TLS/,
    ],
  ])('is blind by %s that the softswitch speaks', (_, asked, answered, detail) => {
    const seen = sightOf([ipv4(there, tcp(ports, asked)), ipv4(back, tcp(answering, answered))])
    expect(seen).toMatchObject({ state: 'blind', detail: expect.stringMatching(detail) })
  })

  it.each<[string, Layer[]]>([
    ['a handshake that nobody answers', [ipv4(there, tcp(ports, CLIENT_HELLO))]],
    ['an upgrade that is not granted', [ipv4(there, tcp(ports, UPGRADE)), ipv4(back, tcp(answering, PAGE))]],
    [
      'TLS of the softswitch as a client',
      [ipv4(back, tcp({ sourcePort: 33_000, destinationPort: 5061 }, CLIENT_HELLO))],
    ],
    ['what only resembles TLS', [ipv4(back, tcp(answering, Buffer.from('160901', 'hex')))]],
  ])('is not blind by %s', (_, layers) => {
    expect(sightOf(layers)).toMatchObject({ state: 'quiet' })
  })

  it('is sighted by SIP in clear over TCP', () => {
    const answered = ANSWER.replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n')
    const asked = REGISTER.replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n')
    const seen = sightOf([ipv4(there, tcp(ports, asked)), ipv4(back, tcp(answering, answered))])
    expect(seen).toMatchObject({ state: 'sighted' })
  })
})

describe('a frame that two captures of one host show', () => {
  /** Each frame with the capture that shows it, and when. */
  function kinds(frames: readonly (readonly [layer: Layer, capture: number, at: number])[]) {
    const seen: Observation['kind'][] = []
    const pipeline = new Pipeline({
      ports: { udp: new Set([5060]), tcp: new Set([5060]) },
      isProtected: (address) => address === SERVER,
      duplicatesSeed: 12_345,
      onObservation: ({ kind }) => seen.push(kind),
    })
    for (const [layer, capture, at] of frames) {
      const bytes = ethernet(layer)
      pipeline.take({
        time: 1_700_000_000_000 + at,
        linkType: 1,
        bytes,
        originalLength: bytes.length,
        capture,
      })
    }
    return { seen, duplicates: pipeline.duplicates?.found }
  }

  it('counts once, in whatever order and wrapping they come', () => {
    // A bond and its member, then a VLAN and its parent; captures hand their frames over in blocks.
    const frames = [
      [request, 0, 0],
      [answer, 0, 1],
      [vlan(100, request), 1, 0.02],
      [answer, 1, 1.01],
      [answer, 2, 0.99],
    ] as const
    expect(kinds(frames)).toEqual({ seen: ['register', 'sip', 'exchange'], duplicates: 3 })
  })

  it('is told from a phone that repeats itself, and from another packet', () => {
    const other = ipv4(
      { source: CUSTOMER, destination: SERVER },
      udp({ sourcePort: 5062 }, REGISTER.replace('z9hG4bK1', 'z9hG4bK2')),
    )
    const frames = [
      [request, 0, 0],
      [other, 1, 0.1],
      [request, 0, 0.2],
      [request, 1, 500],
    ] as const
    expect(kinds(frames)).toEqual({ seen: Array(4).fill('register'), duplicates: 0 })
  })

  it('is remembered among as many as a block of a capture holds', () => {
    const frames: [Layer, number, number][] = []
    const flood = Array.from({ length: 4_000 }, (_, i) =>
      ipv4(
        { source: `10.1.${i >> 8}.${i & 255}`, destination: SERVER },
        udp({ sourcePort: 5062 }, `${REGISTER}${i}`),
      ),
    )
    for (const capture of [0, 1])
      for (const [i, layer] of flood.entries()) frames.push([layer, capture, i / 1_000])
    const { duplicates } = kinds(frames)
    // Two that fall on one place of the table count twice; that is the price of its bound.
    expect(duplicates).toBeGreaterThan(3_000)
    expect(duplicates).toBeLessThanOrEqual(4_000)
  })
})
