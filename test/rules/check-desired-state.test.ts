import { expect, test } from 'vitest'
import { checkDesiredState, refusalOfBlock } from '../../rules/check-desired-state.ts'
import {
  block,
  DEFAULTS,
  desired,
  gateway,
  ignoring,
  limit,
  limits,
  prefix,
  proven,
  returning,
  sizes,
  suspension,
  traffic,
} from './desired.ts'

const withTraffic = (parts: Parameters<typeof traffic>[0]) => desired({ traffic: traffic(parts) })
const withLimits = (parts: Parameters<typeof limits>[0]) => desired({ limits: limits(parts) })
const withSizes = (parts: Parameters<typeof sizes>[0]) => desired({ sizes: sizes(parts) })

test.each([
  ['defaults', DEFAULTS, []],
  ['allowing everybody', desired({ allow: [prefix('0.0.0.0/0'), prefix('::/0')] }), []],
  ['half of the world', desired({ blocks: [block('0.0.0.0/1')] }), []],
  [
    'blocking everybody',
    desired({ blocks: [block('0.0.0.0/0'), block('::/0', 'register')] }),
    [
      '0.0.0.0/0 cannot be blocked: it is every IPv4 address there is. Block a longer prefix, for example 198.51.100.0/24.',
      '::/0 cannot be blocked: it is every IPv6 address there is. Block a longer prefix, for example 2001:db8:1::/48.',
    ],
  ],
  ['an option for a name', withTraffic({ interfaces: ['eth0', '-j'] }), ['"-j" is no interface name.']],
  ['two words', withTraffic({ interfaces: ['eth0 -j ACCEPT'] }), ['"eth0 -j ACCEPT" is no interface name.']],
  ['a line break', withTraffic({ interfaces: ['eth0\nCOMMIT'] }), ['"eth0\\nCOMMIT" is no interface name.']],
  [
    'a long name',
    withTraffic({ interfaces: ['abcdefghijklmnop'] }),
    ['"abcdefghijklmnop" is no interface name.'],
  ],
  [
    'loopback',
    withTraffic({ interfaces: ['lo'] }),
    ['The interface lo cannot be protected: only packets from outside are judged.'],
  ],
  [
    'ports',
    withTraffic({ udpPorts: [0], tcpPorts: [65_536] }),
    ['0 is no port: use 1 to 65535.', '65536 is no port: use 1 to 65535.'],
  ],
  [
    'a limit of nothing',
    withLimits({ unknown: { ...DEFAULTS.limits.unknown, source: limit(0, 0) } }),
    ['limits.register.perSecond is 0: use 1/60 to 1000000.', 'limits.register.burst is 0: use 1 to 1000000.'],
  ],
  [
    'no number',
    withLimits({ strict: { ...DEFAULTS.limits.strict, port: limit(Number.NaN, 10) } }),
    ['limits.strict.port.perSecond is NaN: use 1/60 to 1000000.'],
  ],
  [
    'half a packet at once',
    withLimits({ ceiling: limit(10, 1.5), rest: limit(2e6, 1) }),
    [
      'limits.ceiling.burst is 1.5: use 1 to 1000000.',
      'limits.rest.perSecond is 2000000: use 1/60 to 1000000.',
    ],
  ],
  [
    'a bucket that takes longer to fill than the kernel can count',
    withLimits({ returning: limit(1 / 60, 1_000_000) }),
    [
      'limits.returning.burst is 1000000 at 0.016666666666666666 a second: use one that is there again within a day.',
    ],
  ],
  [
    'no connection at all',
    withLimits({ connections: { ...DEFAULTS.limits.connections, most: 0 } }),
    ['limits.connections.most is 0: use 1 to 1000000.'],
  ],
  ['connections uncounted', withLimits({ connections: { ...DEFAULTS.limits.connections, most: null } }), []],
  ['the largest tables', withSizes({ elements: 16_777_216, buckets: 1_048_576, seen: 16_777_216 }), []],
  [
    'tables too large for the kernel',
    withSizes({ elements: 2e7, buckets: 1_048_577, seen: 0 }),
    [
      'kernel.elements is 20000000: use 1 to 16777216.',
      'kernel.buckets is 1048577: use 16 to 1048576.',
      'kernel.seen is 0: use 1 to 16777216.',
    ],
  ],
  [
    'gateways',
    desired({
      gateways: [
        gateway('carrier-1', ['192.0.2.0/24', '2001:db8::/32']),
        gateway('carrier-1', ['198.51.100.1']),
        gateway('Carrier "x" -j ACCEPT', ['198.51.100.2']),
        gateway('world', ['0.0.0.0/0', '::/0'], limit(0, 1)),
      ],
    }),
    [
      'Two gateways are named "carrier-1": they would share one limit.',
      '"Carrier \\"x\\" -j ACCEPT" is no name for a gateway: use lower case letters, digits and dashes, at most 20.',
      'The CPS limit of the gateway "world".perSecond is 0: use 1/60 to 1000000.',
      '0.0.0.0/0 cannot be the gateway "world": it is every IPv4 address there is.',
      '::/0 cannot be the gateway "world": it is every IPv6 address there is.',
    ],
  ],
  [
    'members of lanes',
    desired({
      members: [
        [proven('192.0.2.1', 5060, 1), proven('192.0.2.1', 0, 1)],
        [returning('0.0.0.0/0', 1, 1), ignoring('::/0', 1), ignoring('2001:db8::/64', 1)],
      ],
    }),
    [
      '192.0.2.1 has no port 0: use 1 to 65535.',
      '0.0.0.0/0 cannot be a source: it is every IPv4 address there is.',
      '::/0 cannot be a source: it is every IPv6 address there is.',
    ],
  ],
  ['no time', desired({ strictUntil: Number.NaN }), ['strictUntil is NaN: use a time, or null for peace.']],
  [
    'a suspended port',
    desired({ suspensions: [suspension('192.0.2.1', 70_000, 1)] }),
    ['192.0.2.1 cannot be suspended at port 70000: use 0 to 65535.'],
  ],
])('%s', (_name, state, refusals) => {
  expect(checkDesiredState(state)).toEqual(refusals)
})

test('a block can be asked about alone', () => {
  expect(refusalOfBlock(prefix('198.51.100.0/24'))).toBeUndefined()
  expect(refusalOfBlock(prefix('0.0.0.0/0'))).toMatch(/cannot be blocked/)
})

test('what was found right before is not looked at again', () => {
  const [good, bad] = [desired({ blocks: [block('192.0.2.1')] }), block('0.0.0.0/0')]
  expect(checkDesiredState(good, good)).toEqual([])
  expect(checkDesiredState({ ...good, blocks: [bad, ...good.blocks] }, good)).toHaveLength(1)
})
