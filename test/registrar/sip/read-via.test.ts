import { expect, test } from 'vitest'
import { readVia, readVias } from '../../../registrar/sip/read-via.ts'

const VIA = {
  transport: 'UDP',
  host: 'h',
  port: undefined,
  branch: undefined,
  received: undefined,
  rport: undefined,
}

function plain(value: string | undefined) {
  const via = readVia(value)
  if (!via.ok) return via.fault
  const { parameters, ...rest } = via.value
  return { ...rest, names: [...parameters.keys()] }
}

test.each([
  ['SIP/2.0/UDP h', VIA, []],
  ['sip/2.0/udp H', VIA, []],
  ['SIP / 2.0 / UDP  h : 5061 ; branch = z9 ', { ...VIA, port: 5061, branch: 'z9' }, ['branch']],
  ['SIP/2.0/TLS-SCTP h;Branch=z9;X', { ...VIA, transport: 'TLS-SCTP', branch: 'z9' }, ['branch', 'x']],
  ['SIP/2.0/UDP 192.0.2.1:5060;rport', { ...VIA, host: '192.0.2.1', port: 5060, rport: 'asked' }, ['rport']],
  ['SIP/2.0/UDP h;rport=5070', { ...VIA, rport: 5070 }, ['rport']],
  ['SIP/2.0/UDP h;rport=0', VIA, ['rport']],
  ['SIP/2.0/UDP h;received=192.0.2.9', { ...VIA, received: '192.0.2.9' }, ['received']],
  ['SIP/2.0/UDP h;received=[2001:DB8::9]', { ...VIA, received: '2001:db8::9' }, ['received']],
  ['SIP/2.0/UDP h;received=2001:DB8::9', { ...VIA, received: '2001:db8::9' }, ['received']],
  ['SIP/2.0/UDP h;received=nonsense', VIA, ['received']],
  [
    'SIP/2.0/TCP [2001:DB8::1]:5060;branch=a',
    { ...VIA, transport: 'TCP', host: '2001:db8::1', port: 5060, branch: 'a' },
    ['branch'],
  ],
  ['SIP/2.0/UDP [::ffff:192.0.2.1]', { ...VIA, host: '192.0.2.1' }, []],
  [
    'SIP/2.0/UDP h;x="a;b,c\\"";branch=b, SIP/2.0/TCP other;branch=c',
    { ...VIA, branch: 'b' },
    ['x', 'branch'],
  ],
  ['SIP/2.0/UDP h;;branch=b;', { ...VIA, branch: 'b' }, ['branch']],
  ['SIP/2.0/UDP h;__proto__=x;constructor', VIA, ['__proto__', 'constructor']],
])('reads %s', (value, via, names) => {
  expect(plain(value)).toEqual({ ...via, names })
})

test.each([
  [undefined, 'missing-header'],
  ['', 'bad-via'],
  ['UDP h', 'bad-via'],
  ['SIP/2.0/UDP', 'bad-via'],
  ['SIP/2.0/UDP ;branch=b', 'bad-via'],
  ['SIP/7.0/UDP h', 'bad-via'],
  ['HTTP/2.0/UDP h', 'bad-via'],
  ['SIP/2.0/UDP h:0', 'bad-via'],
  ['SIP/2.0/UDP h:65536', 'bad-via'],
  ['SIP/2.0/UDP h x', 'bad-via'],
  ['SIP/2.0/UDP 2001:db8::1', 'bad-via'],
  ['SIP/2.0/UDP [2001:db8::1', 'bad-via'],
  ['SIP/2.0/UDP [2001:db8:::1]', 'bad-via'],
  ['SIP/2.0/UDP h;branch="open', 'bad-via'],
  ['SIP/2.0/UDP h;=x', 'bad-via'],
  ['SIP/2.0/UDP h;a=b"c"', 'bad-via'],
  ['SIP/2.0/UDP h;a b', 'bad-via'],
  ['SIP/2.0/UDP h;branch=a;branch=b', 'duplicate-parameter'],
  [`SIP/2.0/UDP h${';'.repeat(65)}`, 'too-many-parameters'],
])('refuses %.60j', (value, fault) => {
  expect(plain(value)).toBe(fault)
})

test('every hop of every header is read, top first', () => {
  const vias = readVias(['SIP/2.0/UDP a, SIP/2.0/TCP b;x="," ,SIP/2.0/TLS c', 'SIP/2.0/UDP d'])
  expect(vias.ok && vias.value.map((via) => via.host)).toEqual(['a', 'b', 'c', 'd'])
})

test.each([
  [[], 'missing-header'],
  [['SIP/2.0/UDP a,'.repeat(71)], 'too-many-values'],
  [['SIP/2.0/UDP a', 'x'], 'bad-via'],
])('hops %.40j are refused', (values, fault) => {
  expect(readVias(values)).toEqual({ ok: false, fault })
})
