import { describe, expect, it } from 'vitest'
import { parseForwardedPorts, parseListeners } from '../../../agent/discover/listeners.ts'
import { chooseSipPorts } from '../../../agent/discover/sip-ports.ts'

/** Lines as `ss -H -lntup` prints them. */
function ss(
  ...sockets: readonly (readonly [transport: 'udp' | 'tcp', local: string, ...programs: string[]])[]
) {
  const lines = sockets.map(([transport, local, ...programs]) => {
    const users = programs.map((program, i) => `("${program}",pid=${100 + i},fd=${5 + i})`).join(',')
    const state = transport === 'udp' ? 'UNCONN' : 'LISTEN'
    return `${transport}   ${state} 0      0      ${local}      0.0.0.0:*    ${users && `users:(${users})`}`
  })
  return `${lines.join('\n')}\n`
}

const nothing =
  'Nothing listens on a SIP port yet, so 5060 (UDP and TCP) is assumed. If the softswitch uses others, set protect.ports.'
const assumed = { 5060: 'assumed' }

interface Case {
  readonly host: string
  readonly ss: string
  readonly nat?: string
  readonly udp: Readonly<Record<number, string>>
  readonly tcp: Readonly<Record<number, string>>
  readonly notes?: readonly string[]
}

const cases: readonly Case[] = [
  {
    host: 'Kamailio with workers, TLS and its control socket',
    ss: ss(
      ['udp', '192.0.2.2:5060', 'kamailio', 'kamailio'],
      ['tcp', '192.0.2.2:5060', 'kamailio'],
      ['tcp', '[2001:db8::2]:5061', 'kamailio'],
      ['tcp', '127.0.0.1:2046', 'kamailio'],
      ['udp', '0.0.0.0:9060', 'kamailio'],
      ['tcp', '0.0.0.0:22', 'sshd'],
    ),
    udp: { 5060: 'kamailio' },
    tcp: { 5060: 'kamailio', 5061: 'kamailio' },
    notes: ['kamailio also listens on UDP 9060; if that is SIP, add it to protect.ports.udp.'],
  },
  {
    host: 'FreePBX: Asterisk with pjsip and chan_sip, its management and media ports left out',
    ss: ss(
      ['udp', '0.0.0.0:5060', 'asterisk'],
      ['udp', '0.0.0.0:5160', 'asterisk'],
      ['udp', '0.0.0.0:4569', 'asterisk'],
      ['udp', '0.0.0.0:10118', 'asterisk'],
      ['tcp', '0.0.0.0:5061', 'asterisk'],
      ['tcp', '0.0.0.0:5161', 'asterisk'],
      ['tcp', '0.0.0.0:5038', 'asterisk'],
      ['tcp', '*:8088', 'asterisk'],
      ['tcp', '0.0.0.0:3306', 'mysqld'],
    ),
    udp: { 5060: 'asterisk', 5160: 'asterisk' },
    tcp: { 5061: 'asterisk', 5161: 'asterisk' },
  },
  {
    host: 'FreeSWITCH: internal, external, TLS; no WebSocket, event socket or RTP',
    ss: ss(
      ['udp', '192.0.2.2:5060', 'freeswitch'],
      ['tcp', '192.0.2.2:5060', 'freeswitch'],
      ['udp', '192.0.2.2:5080', 'freeswitch'],
      ['tcp', '192.0.2.2:5080', 'freeswitch'],
      ['tcp', '192.0.2.2:5081', 'freeswitch'],
      ['tcp', '192.0.2.2:5066', 'freeswitch'],
      ['tcp', '192.0.2.2:7443', 'freeswitch'],
      ['tcp', '[::]:8021', 'freeswitch'],
      ['udp', '192.0.2.2:16400', 'freeswitch'],
    ),
    udp: { 5060: 'freeswitch', 5080: 'freeswitch' },
    tcp: { 5060: 'freeswitch', 5080: 'freeswitch', 5081: 'freeswitch' },
  },
  {
    host: 'OpenSIPS moved to a port of its own, for UDP and TCP alike',
    ss: ss(['udp', '192.0.2.2:7160', 'opensips'], ['tcp', '192.0.2.2:7160', 'opensips']),
    udp: { 7160: 'opensips' },
    tcp: { 7160: 'opensips' },
  },
  {
    host: 'VOS3000',
    ss: ss(
      ['udp', '*:5060', 'mbx3000'],
      ['udp', '*:5070', 'emp3000'],
      ['tcp', '*:1720', 'mbx3000'],
      ['udp', '*:1719', 'mbx3000'],
      ['tcp', '*:8080', 'java'],
    ),
    udp: { 5060: 'mbx3000', 5070: 'emp3000' },
    tcp: {},
  },
  {
    host: 'containers behind docker-proxy',
    ss: ss(
      ['udp', '0.0.0.0:5080', 'docker-proxy'],
      ['tcp', '[::]:5061', 'docker-proxy'],
      ['tcp', '0.0.0.0:8088', 'docker-proxy'],
      ['udp', '0.0.0.0:10000', 'docker-proxy'],
      ['udp', '0.0.0.0:10000', 'docker-proxy'],
    ),
    udp: { 5080: 'docker-proxy' },
    tcp: { 5061: 'docker-proxy' },
  },
  {
    host: 'containers without docker-proxy',
    ss: ss(['tcp', '0.0.0.0:22', 'sshd']),
    nat: [
      '*nat',
      ':DOCKER - [0:0]',
      '-A DOCKER ! -i br-1 -p udp -m udp --dport 5060 -j DNAT --to-destination 172.18.0.2:5060',
      '-A DOCKER ! -i br-1 -p tcp -m tcp --dport 443 -j DNAT --to-destination 172.18.0.3:443',
      '-A PREROUTING -p udp -m udp --dport 10000:20000 -j DNAT --to-destination 172.18.0.2',
      '-A POSTROUTING -p udp -m udp --dport 5062 -j MASQUERADE',
      'COMMIT',
    ].join('\n'),
    udp: { 5060: 'forwarding rule' },
    tcp: {},
  },
  {
    host: 'an unknown program on SIP ports; others of it are not taken',
    ss: ss(
      ['udp', '*:5060', 'java'],
      ['tcp', '*:5160', 'node'],
      ['udp', '*:5070', 'java'],
      ['tcp', '*:5060'],
    ),
    udp: { 5060: 'java' },
    tcp: { 5060: 'unknown program', 5160: 'node' },
  },
  {
    host: 'a softswitch sharing its port is the one named',
    ss: ss(
      ['udp', '192.0.2.2:5060', 'sipp'],
      ['udp', '192.0.2.3:5060', 'kamailio'],
      ['udp', '[::]:5060', 'nc'],
    ),
    udp: { 5060: 'kamailio' },
    tcp: {},
  },
  {
    host: 'RTPengine and loopback alone',
    ss: ss(
      ['udp', '0.0.0.0:5060', 'rtpengine'],
      ['udp', '127.0.0.1:5060', 'kamailio'],
      ['tcp', '[::1]:5060', 'x'],
    ),
    udp: assumed,
    tcp: assumed,
    notes: [nothing],
  },
  { host: 'nothing listening', ss: '', udp: assumed, tcp: assumed, notes: [nothing] },
]

describe('chooseSipPorts', () => {
  it.each(cases)('$host', ({ ss, nat = '', udp, tcp, notes = [] }) => {
    const choice = chooseSipPorts(parseListeners(ss), parseForwardedPorts(nat))
    const asTable = (list: typeof choice.udpPorts) =>
      Object.fromEntries(list.map((one) => [one.port, one.program]))
    expect({ udp: asTable(choice.udpPorts), tcp: asTable(choice.tcpPorts), notes: choice.notes }).toEqual({
      udp,
      tcp,
      notes,
    })
  })

  it('bounds the sentences about doubtful ports', () => {
    const many = Array.from({ length: 300 }, (_, i) => ['udp', `*:${20_000 + i}`, 'kamailio'] as const)
    expect(chooseSipPorts(parseListeners(ss(['udp', '*:5060', 'kamailio'], ...many))).notes).toHaveLength(8)
  })
})

describe('parseListeners', () => {
  it('reads interfaces, brackets, wildcards and hostile names', () => {
    const text = [
      'udp   UNCONN 0      0      10.0.0.1%eth0:68          0.0.0.0:*    users:(("dhclient",pid=7,fd=6))',
      'udp   UNCONN 0      0      [fe80::1]%eth0:546           [::]:*',
      'tcp   LISTEN 0      128                *:5060            *:*    users:(("a b",pid=1,fd=1),("c",pid=2,fd=2))',
      'tcp   LISTEN 0      128        0.0.0.0:*          0.0.0.0:*',
      'nonsense',
      '',
    ].join('\n')
    expect(parseListeners(text)).toEqual([
      { transport: 'udp', address: '10.0.0.1', port: 68, program: 'dhclient' },
      { transport: 'udp', address: 'fe80::1', port: 546, program: null },
      { transport: 'tcp', address: '*', port: 5060, program: 'a b' },
      { transport: 'tcp', address: '*', port: 5060, program: 'c' },
    ])
  })
})
