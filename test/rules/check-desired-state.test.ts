import { expect, test } from 'vitest'
import { checkDesiredState, refusalOfBlock } from '../../rules/check-desired-state.ts'
import { block, DEFAULTS, desired, prefix, suspension } from './desired.ts'

const traffic = (parts: object) => desired({ traffic: { ...DEFAULTS.traffic, ...parts } })
const limits = (register: { perSecond: number; burst: number }) =>
  desired({ limits: { ...DEFAULTS.limits, register } })

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
  ['an option for a name', traffic({ interfaces: ['eth0', '-j'] }), ['"-j" is no interface name.']],
  ['two words', traffic({ interfaces: ['eth0 -j ACCEPT'] }), ['"eth0 -j ACCEPT" is no interface name.']],
  ['a line break', traffic({ interfaces: ['eth0\nCOMMIT'] }), ['"eth0\\nCOMMIT" is no interface name.']],
  [
    'a long name',
    traffic({ interfaces: ['abcdefghijklmnop'] }),
    ['"abcdefghijklmnop" is no interface name.'],
  ],
  [
    'loopback',
    traffic({ interfaces: ['lo'] }),
    ['The interface lo cannot be protected: only packets from outside are judged.'],
  ],
  [
    'ports',
    traffic({ udpPorts: [0], tcpPorts: [65_536] }),
    ['0 is no port: use 1 to 65535.', '65536 is no port: use 1 to 65535.'],
  ],
  [
    'a limit of nothing',
    limits({ perSecond: 0, burst: 0 }),
    ['limits.register.perSecond is 0: use 1/60 to 1000000.', 'limits.register.burst is 0: use 1 to 1000000.'],
  ],
  [
    'no number',
    limits({ perSecond: Number.NaN, burst: 10 }),
    ['limits.register.perSecond is NaN: use 1/60 to 1000000.'],
  ],
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
