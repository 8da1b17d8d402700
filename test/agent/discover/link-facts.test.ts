import { describe, expect, it } from 'vitest'
import { buildDiscovery, describeDiscovery } from '../../../agent/discover/discovery.ts'
import { parseLinkFacts } from '../../../agent/discover/link-facts.ts'

describe('parseLinkFacts', () => {
  it('joins links, addresses, routes and PPPoE sessions', () => {
    // Cut down from what iproute2 6.1 prints.
    const links = JSON.stringify([
      { ifname: 'lo', flags: ['LOOPBACK', 'UP', 'LOWER_UP'], operstate: 'UNKNOWN', link_type: 'loopback' },
      {
        ifname: 'eth0',
        flags: ['BROADCAST', 'MULTICAST', 'SLAVE', 'UP', 'LOWER_UP'],
        operstate: 'UP',
        link_type: 'ether',
        master: 'bond0',
        linkinfo: { info_slave_kind: 'bond', info_slave_data: { state: 'ACTIVE' } },
      },
      {
        ifname: 'bond0',
        flags: ['BROADCAST', 'MULTICAST', 'MASTER', 'UP', 'LOWER_UP'],
        operstate: 'UP',
        link_type: 'ether',
        linkinfo: { info_kind: 'bond' },
      },
      {},
      {
        ifname: 'bond0.20',
        link: 'bond0',
        flags: ['BROADCAST', 'MULTICAST', 'NO-CARRIER', 'UP'],
        operstate: 'LOWERLAYERDOWN',
        link_type: 'ether',
        linkinfo: { info_kind: 'vlan', info_data: { id: 20 } },
      },
    ])
    const addresses = JSON.stringify([
      { ifname: 'lo', addr_info: [{ family: 'inet', local: '127.0.0.1', prefixlen: 8, scope: 'host' }] },
      {
        ifname: 'bond0',
        addr_info: [
          { family: 'inet', local: '192.0.2.2', prefixlen: 24, scope: 'global' },
          { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link' },
        ],
      },
    ])
    const routes = [JSON.stringify([{ dst: 'default', nexthops: [{ dev: 'bond0' }, { dev: 'ppp0' }] }]), '']
    const pppoe = 'Id       Address              Device\n0000002A 00:11:22:33:44:55      bond0.20\n'

    const plain = {
      linkType: 'ether',
      kind: null,
      master: null,
      memberKind: null,
      link: null,
      isUp: true,
      hasCarrier: true,
      addresses: [],
      isDefaultRoute: false,
      carriesPppoe: false,
    }
    expect(parseLinkFacts({ links, addresses, routes, pppoe })).toEqual([
      { ...plain, name: 'lo', linkType: 'loopback' },
      { ...plain, name: 'eth0', master: 'bond0', memberKind: 'bond' },
      { ...plain, name: 'bond0', kind: 'bond', addresses: ['192.0.2.2/24'], isDefaultRoute: true },
      { ...plain, name: 'bond0.20', kind: 'vlan', link: 'bond0', hasCarrier: false, carriesPppoe: true },
    ])
  })

  it('reads the silence of `ip` as nothing', () => {
    expect(parseLinkFacts({ links: '', addresses: '', routes: ['', ''], pppoe: '' })).toEqual([])
  })
})

describe('describeDiscovery', () => {
  it('shows what was found, without the control characters of a process name', () => {
    const discovery = buildDiscovery(
      {
        interfaces: [{ name: 'eth0', why: '192.0.2.2/24' }],
        skipped: [{ name: 'lo', why: 'itself' }],
        notes: [],
      },
      {
        udpPorts: [{ port: 5060, program: 'evil\u001b[2J' }],
        tcpPorts: [{ port: 5061, program: 'x' }],
        notes: ['A note.'],
      },
    )
    expect(describeDiscovery(discovery)).toBe(
      [
        'Interfaces:',
        '  + eth0: 192.0.2.2/24',
        '  - lo: itself',
        'SIP ports:',
        '  + udp 5060 (evil?[2J)',
        '  + tcp 5061 (x)',
        'Note: A note.',
        '',
      ].join('\n'),
    )
  })
})
