import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { answersFilter, captureFilter } from '../../../agent/capture/filter.ts'
import { CaptureReader } from '../../../agent/capture/read-capture.ts'
import { pcapFile } from '../../captures.ts'
import * as p from '../../packets.ts'

const PORTS = { udpPorts: [5060, 5080], tcpPorts: [5060] }

/** The names of the packets that libpcap lets through. */
async function passed(
  packets: readonly [string, Buffer][],
  linkType: number,
  filter: string,
): Promise<string[]> {
  const input = pcapFile(
    packets.map(([, bytes], time) => ({ bytes, time })),
    { linkType },
  )
  const { stdout } = await execa('tcpdump', ['-r', '-', '-w', '-', '--', filter], {
    input,
    encoding: 'buffer',
    env: { LC_ALL: 'C' },
    timeout: 10_000,
  })
  const names: string[] = []
  const reader = new CaptureReader({ onFrame: (frame) => names.push(packets[frame.time]![0]) })
  reader.push(Buffer.from(stdout))
  return names
}

const long = p.udp({ sourcePort: 4000 }, 'x'.repeat(3000))
const [first4, later4] = p.fragments(long, { family: 4, size: 1480 }) as [p.Layer, p.Layer]
const [first6, later6] = p.fragments(long, { family: 6, size: 1400 }) as [p.Layer, p.Layer]
const to = (port: number) => p.udp({ sourcePort: 4000, destinationPort: port }, 'x')

const wanted: [string, p.Layer][] = [
  ['UDP to the port', p.ipv4({}, to(5060))],
  ['UDP from the port', p.ipv4({}, p.udp({ sourcePort: 5060, destinationPort: 4000 }, 'x'))],
  ['UDP to the other port', p.ipv4({}, to(5080))],
  ['UDP over IPv6', p.ipv6({}, to(5060))],
  ['TCP to the port', p.ipv4({}, p.tcp({}, ''))],
  ['TCP from the port, IPv6', p.ipv6({}, p.tcp({ sourcePort: 5060, destinationPort: 4000 }, 'x'))],
  ['UDP behind IPv4 options', p.ipv4({ options: Buffer.alloc(8, 1) }, to(5060))],
  ['the first IPv4 fragment', first4],
  ['the later IPv4 fragment', later4],
  ['the first IPv6 fragment', first6],
  ['the later IPv6 fragment', later6],
  ['UDP behind IPv6 options', p.ipv6({}, p.extension(60, to(5060)))],
  ['UDP behind IPv6 authentication', p.ipv6({}, p.extension(51, to(5060), 24))],
]
const unwanted: [string, p.Layer][] = [
  ['UDP of another port', p.ipv4({}, to(53))],
  ['UDP of another port, IPv6', p.ipv6({}, to(53))],
  ['TCP of a port that is only UDP', p.ipv4({}, p.tcp({ sourcePort: 4000, destinationPort: 5080 }, 'x'))],
  ['a first fragment of another port', p.ipv4({ more: true }, to(53))],
  ['multicast listener reports', p.ipv6({}, p.extension(0, p.other(58, 'MLDv2 report')))],
  ['ICMP', p.ipv4({}, p.other(1, 'ping'))],
  ['ARP', { etherType: 0x0806, bytes: Buffer.alloc(28) }],
]

describe('the filter lets through what belongs to the ports, and nothing else', () => {
  const tagged: [name: string, wrap: (layer: p.Layer) => Buffer][] = [
    ['without a tag', (layer) => p.ethernet(layer)],
    ['in a VLAN', (layer) => p.ethernet(p.vlan(100, layer))],
    ['in QinQ', (layer) => p.ethernet(p.vlan(7, p.vlan(100, layer), 0x88a8))],
  ]
  test.each(tagged)('%s', async (_name, wrap) => {
    const packets = [...wanted, ...unwanted].map(([name, layer]): [string, Buffer] => [name, wrap(layer)])
    expect(await passed(packets, 1, captureFilter(PORTS))).toEqual(wanted.map(([name]) => name))
  })

  test('on a link without tags', async () => {
    const packets = [...wanted, ...unwanted]
      .filter(([, layer]) => layer.etherType !== 0x0806)
      .map(([name, layer]): [string, Buffer] => [name, layer.bytes])
    expect(await passed(packets, 101, captureFilter(PORTS, 'plain'))).toEqual(wanted.map(([name]) => name))
  })
})

test('many ports compile, and stay below what the kernel takes', async () => {
  const ports = Array.from({ length: 50 }, (_, i) => 5060 + 2 * i)
  const filter = captureFilter({ udpPorts: ports, tcpPorts: ports })
  const { stdout } = await execa('tcpdump', ['-y', 'EN10MB', '-ddd', '--', filter], {
    env: { LC_ALL: 'C' },
    timeout: 10_000,
  })
  expect(Number(stdout.split('\n', 1)[0])).toBeLessThan(4096)
})

test('one kind of port alone', () => {
  expect(captureFilter({ udpPorts: [], tcpPorts: [5060] }, 'plain')).not.toContain('udp')
  expect(captureFilter({ udpPorts: [5060], tcpPorts: [] }, 'plain')).not.toContain('tcp')
})

test.each([0, 65_536, 5060.5, Number.NaN])('%s is no port', (port) => {
  expect(() => captureFilter({ udpPorts: [port], tcpPorts: [] })).toThrow(RangeError)
})

test('no port at all is refused', () => {
  expect(() => captureFilter({ udpPorts: [], tcpPorts: [] })).toThrow(RangeError)
})

describe('a live capture', () => {
  const outsideIn = captureFilter(PORTS, 'plain', 'outside-in')

  test('looks for requests that come in and answers that go out', () => {
    expect(outsideIn).toMatch(
      /^\(inbound and \(udp dst port 5060 or .*\) or \(outbound and \(udp src port 5060 or /,
    )
    // Fragments that come in, of UDP and of TCP; those that go out are captured apart.
    expect(outsideIn.match(/ip\[6:2\]/g)).toHaveLength(3)
    expect(outsideIn.match(/ip6\[40\]/g)).toHaveLength(1)
    expect(captureFilter(PORTS, 'tagged', 'outside-in').split(outsideIn)).toHaveLength(4)
  })

  // A file has no directions, so what is asked of those that come in is asked of all of them here.
  test('knows an answer by its first bytes, in both families', async () => {
    const inwards = outsideIn.slice(0, outsideIn.indexOf(') or (outbound') + 1).replace('inbound and ', '')
    const ports = { sourcePort: 5060, destinationPort: 5060 }
    const packets = ['SIP/2.0 200 OK', 'SUBSCRIBE sip:a SIP/2.0', 'REGISTER sip:a SIP/2.0', ''].flatMap(
      (text): [string, Buffer][] => [
        [`${text}, IPv4`, p.ethernet(p.ipv4({ options: Buffer.alloc(4, 1) }, p.udp(ports, text)))],
        [`${text}, IPv6`, p.ethernet(p.ipv6({}, p.udp(ports, text)))],
      ],
    )
    // Too short to be looked into is too short to be SIP.
    expect(await passed(packets, 1, inwards)).toEqual(packets.slice(2, 6).map(([name]) => name))
  })
})

describe('the filter of answers alone', () => {
  const ends = { sourcePort: 5060, destinationPort: 4000 }
  const packets: [string, p.Layer][] = [
    ['a UDP answer', p.ipv4({}, p.udp(ends, 'SIP/2.0 200 OK'))],
    ['a UDP answer, IPv6', p.ipv6({}, p.udp(ends, 'SIP/2.0 200 OK'))],
    ['a UDP request', p.ipv4({}, to(5060))],
    ['a UDP request, IPv6', p.ipv6({}, to(5060))],
    ['TCP with payload', p.ipv4({}, p.tcp({ destinationPort: 5060 }, 'x'))],
    ['TCP with payload behind IPv4 options', p.ipv4({ options: Buffer.alloc(8, 1) }, p.tcp({}, 'x'))],
    ['TCP with payload, IPv6', p.ipv6({}, p.tcp({ destinationPort: 5060 }, 'x'))],
    ['TCP without', p.ipv4({}, p.tcp({ destinationPort: 5060 }, ''))],
    ['TCP without, IPv6', p.ipv6({}, p.tcp({ destinationPort: 5060 }, ''))],
    ['the later IPv4 fragment', later4],
    ['the later IPv6 fragment', later6],
    ['the first IPv6 fragment', first6],
  ]

  /** A capture that was written knows no directions, so its filter is asked without them. */
  const directionless = (filter: string) => filter.replaceAll(/\((?:in|out)bound and /g, '(')

  test.each(['plain', 'tagged'] as const)('%s: of a member of a bridge', async (tags) => {
    const filter = directionless(answersFilter(PORTS, tags, 'inbound'))
    const frames = packets.map(([name, layer]): [string, Buffer] => [name, p.ethernet(layer)])
    expect(await passed(frames, 1, filter)).toEqual([
      'a UDP answer',
      'a UDP answer, IPv6',
      'TCP with payload',
      'TCP with payload behind IPv4 options',
      'TCP with payload, IPv6',
      'the later IPv4 fragment',
      'the later IPv6 fragment',
    ])
  })

  test('is one that libpcap takes, for every way', () => {
    for (const frames of ['outside-in', 'inbound', 'outbound'] as const) {
      for (const ports of [PORTS, { udpPorts: [], tcpPorts: [5061] }, { udpPorts: [5060], tcpPorts: [] }]) {
        expect(() => answersFilter(ports, 'tagged', frames)).not.toThrow()
      }
    }
    expect(() => answersFilter({ udpPorts: [], tcpPorts: [] })).toThrow(RangeError)
  })
})
