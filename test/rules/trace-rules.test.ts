import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { CHAINS } from '../../rules/names.ts'
import { renderChains } from '../../rules/render-chains.ts'
import { bytesOfPacket } from '../../rules/trace/packet-bytes.ts'
import { parseRule } from '../../rules/trace/parse-rule.ts'
import { matchesU32, parseU32 } from '../../rules/trace/u32.ts'
import { readChains } from '../../rules/trace/walk.ts'
import { extension, fragmentHeader, ipv4, ipv6, other, tcp, udp as udpOf } from '../packets.ts'
import { DEFAULTS, limits } from './desired.ts'
import { everyLane, syn, udp } from './trace-packets.ts'

describe('u32', () => {
  const packet = Buffer.from('4600001c000000004011000001020304050607080a0b0c0d', 'hex')
  test.each<[string, boolean]>([
    ['0=0x4600001c', true],
    ['0=0x4600001d', false],
    ['0x0>>24=0x46', true],
    ['0>>0x16&0x3c=0x18', true],
    ['0&0xff=28', true],
    ['8>>16&0xff=0x11', true],
    ['3&0xff=0', true],
    ['0<<8=0x1c00', true],
    ['0<<24=0x1c000000', true],
    ['0<<4=0x600001c0', true],
    ['0>>24=0x40:0x4f', true],
    ['0>>24=0x47:0x4f', false],
    ['0>>24=1,2,0x46', true],
    ['0>>24=1,2:3,0x45', false],
    ['0>>24=0x46&&8>>24=0x40', true],
    ['0>>24=0x46&&8>>24=0x41', false],
    // Moves on by what was read, twice.
    ['0>>0x16&0x3c@0=0', false],
    ['12>>24@0=0x00001c00', true],
    ['12>>24@0x0>>8&0xf@0=0x02030405', true],
    ['0xffffffff=0', false],
    // The last four bytes, and one byte behind them.
    ['20=0x0a0b0c0d', true],
    ['21=0x0b0c0d00', false],
    ['0>>24@0=0', false],
    ['0@0=0', false],
  ])('%s: %s', (expression, expected) => {
    expect(matchesU32(parseU32(expression)!, packet)).toBe(expected)
  })

  test('nothing is equal in a packet that is too short to be read', () => {
    expect(matchesU32(parseU32('0=0:0xffffffff')!, Buffer.alloc(3))).toBe(false)
  })

  test.each([
    '',
    '0',
    '=1',
    '0=',
    '0=1=2',
    '0>>=1',
    '0=010',
    '0^1=2',
    '0=1:2:3',
    '0=0x1ffffffff',
    '0=-1',
    'a=1',
  ])('%j is refused', (expression) => {
    expect(parseU32(expression)).toBeUndefined()
  })
})

describe('rules', () => {
  test('are read whole', () => {
    const limit =
      '-m hashlimit --hashlimit-above 6/min --hashlimit-burst 2 --hashlimit-mode srcip,srcport --hashlimit-name rf-x4 --hashlimit-htable-size 64 --hashlimit-htable-max 900 --hashlimit-htable-expire 90000'
    const text = `-A RINGFENCE-X -i eth0 ! -o lo -p udp -s 192.0.2.0/24 -m set ! --match-set rf-seen4 src,src ${limit} -j SET --add-set rf-asked4 dst --exist --timeout 900`
    expect(parseRule(text)).toEqual({
      text,
      chain: 'RINGFENCE-X',
      matches: [
        { kind: 'arrives', interface: 'eth0', negated: false },
        { kind: 'leaves', interface: 'lo', negated: true },
        { kind: 'protocol', protocol: 'udp', negated: false },
        { kind: 'source', prefix: '192.0.2.0/24', negated: false },
        { kind: 'set', set: 'rf-seen4', sides: ['src', 'src'], negated: true },
        {
          kind: 'limit',
          side: 'above',
          tokens: 6,
          per: 60_000,
          burst: 2,
          table: 'rf-x4',
          bits: null,
          byPort: true,
          most: 900,
          expire: 90_000,
          negated: false,
        },
      ],
      target: { kind: 'add', set: 'rf-asked4', sides: ['dst'], timeout: 900, renews: true },
    })
  })

  test.each([
    ['', 'the end'],
    ['-A', 'the end'],
    ['-I RINGFENCE -j DROP', '-I'],
    ['-A RINGFENCE -j ACCEPT', '-j ACCEPT'],
    ['-A RINGFENCE -j DROP -x', '-x'],
    ['-A RINGFENCE -d 192.0.2.1/32 -j DROP', '-d'],
    ['-A RINGFENCE -p sctp -j DROP', 'sctp'],
    ['-A RINGFENCE -s 192.0.2.300/32 -j DROP', '-s'],
    ['-A RINGFENCE -m string --string REGISTER -j DROP', '-m string'],
    ['-A RINGFENCE ! -m set --match-set a src -j DROP', '! -m set'],
    ['-A RINGFENCE -m set --match-set rf-x4 dst,src -j DROP', 'dst,src'],
    ['-A RINGFENCE -m set --match-set rf-x4 src --return-nomatch -j DROP', '--return-nomatch'],
    ['-A RINGFENCE -m u32 --u32 "0=01" -j DROP', '0=01'],
    ['-A RINGFENCE -m length --length 5:x -j DROP', 'x'],
    ['-A RINGFENCE -m tcp --tcp-flags SYN SYN -j DROP', 'SYN'],
    ['-A RINGFENCE -m multiport --ports 1 -j DROP', '--ports'],
    ['-A RINGFENCE -m addrtype --dst-type UNICAST -j DROP', 'UNICAST'],
    ['-A RINGFENCE -m hashlimit --hashlimit-above 5/day --hashlimit-burst 1', '/day'],
    ['-A RINGFENCE -m hashlimit --hashlimit-above 5/sec --hashlimit-mode srcip', '--hashlimit-mode'],
    ['-A RINGFENCE -m connlimit --connlimit-upto 5', '--connlimit-upto'],
  ])('%s is refused, and not taken for a rule that never matches', (text, word) => {
    expect(() => parseRule(text)).toThrow(new Error(`the tracer cannot read ${word} in the rule ${text}`))
  })

  test('that go to no chain are refused', () => {
    const chains = new Map([['RINGFENCE', ['-A RINGFENCE -g RINGFENCE-UDP']]] as const)
    expect(() => readChains(chains)).toThrow('goes to a chain that is not there')
  })

  test.each([4, 6] as const)('of every kind that is rendered are read, IPv%d', (family) => {
    const state = everyLane({ limits: limits({ connections: { ...DEFAULTS.limits.connections, most: 9 } }) })
    const next = { ...state, limits: limits({ proven: { perSecond: 11, burst: 50 } }) }
    expect([...readChains(renderChains(state, family, next)).keys()].sort()).toEqual([...CHAINS].sort())
  })
})

describe('the bytes of a packet', () => {
  const ends4 = { source: '198.51.100.99', destination: '192.0.2.1' }
  const ends6 = { source: '2001:db8:b:99::1', destination: '2001:db8::1' }
  const v4 = `${ends4.source}:5062`
  const v6 = `[${ends6.source}]:5062`
  const one = (options: number) => Buffer.alloc(options, 1)

  test.each([
    ['IPv4', udp(DEFAULTS, v4, 'REGISTER'), ipv4(ends4, udpOf({}, 'REGISTER'))],
    [
      'IPv4 with options',
      udp(DEFAULTS, v4, 'R', { headerOptions: 12 }),
      ipv4({ ...ends4, options: one(12) }, udpOf({}, 'R')),
    ],
    [
      'a first IPv4 fragment',
      udp(DEFAULTS, v4, 'R', { fragment: 'first' }),
      ipv4({ ...ends4, more: true }, udpOf({ length: 17 }, 'R')),
    ],
    ['IPv6', udp(DEFAULTS, v6, 'REGISTER'), ipv6(ends6, udpOf({}, 'REGISTER'))],
    [
      'IPv6 with an extension header',
      udp(DEFAULTS, v6, 'R', { headerOptions: 16 }),
      ipv6(ends6, extension(60, udpOf({}, 'R'), 16)),
    ],
    [
      'a first IPv6 fragment',
      udp(DEFAULTS, v6, 'R', { fragment: 'first' }),
      ipv6(ends6, fragmentHeader({ fragmentOffset: 0, more: true }, udpOf({ length: 17 }, 'R'))),
    ],
    [
      'a later IPv4 fragment',
      udp(DEFAULTS, v4, 'R', { fragment: 'later' }),
      ipv4({ ...ends4, fragmentOffset: 1480 }, other(17, 'R')),
    ],
    ['a SYN', syn(DEFAULTS, v4), ipv4(ends4, tcp({ flags: { syn: true } }, ''))],
    [
      'a piece of a connection',
      syn(DEFAULTS, v4, { syn: false, payload: Buffer.from('BYE') }),
      ipv4(ends4, tcp({ flags: { ack: true } }, 'BYE')),
    ],
  ])('of %s are those that are on the wire', (_name, packet, { bytes }) => {
    expect(bytesOfPacket(packet).toString('hex')).toBe(bytes.toString('hex'))
  })
})
