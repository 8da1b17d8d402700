import { describe, expect, it } from 'vitest'
import type { LinkFacts } from '../../../agent/discover/interfaces.ts'
import { captureDevices, chooseInterfaces } from '../../../agent/discover/interfaces.ts'

/** A hardware Ethernet port that is up, and what differs from one. */
function link(name: string, differs: Partial<LinkFacts> = {}): LinkFacts {
  return {
    name,
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
    ...differs,
  }
}

const lo = link('lo', { linkType: 'loopback', addresses: [] })
const wan: Partial<LinkFacts> = { addresses: ['192.0.2.2/24', '2001:db8::2/64'], isDefaultRoute: true }
const bonded: Partial<LinkFacts> = { master: 'bond0', memberKind: 'bond' }
const containerEnd: Partial<LinkFacts> = { kind: 'veth', master: 'docker0', memberKind: 'bridge' }

interface Case {
  readonly host: string
  readonly links: readonly LinkFacts[]
  readonly taken: Readonly<Record<string, string>>
  readonly skipped: Readonly<Record<string, string>>
  /** Where to listen; the taken interfaces unless told. */
  readonly capture?: readonly string[]
  readonly notes?: readonly string[]
}

const loSkipped = { lo: 'the host talking to itself' }
const nothing =
  'No usable network interface was found: none that is up has an address that others can reach. ' +
  'Bring one up (ip link set NAME up) or name it yourself with --interfaces NAME.'

const cases: readonly Case[] = [
  {
    host: 'plain server with a spare port',
    links: [lo, link('eth0', wan), link('eth1'), link('ifb0', { kind: 'ifb', isUp: false })],
    taken: { eth0: 'default route, 192.0.2.2/24 and 1 more' },
    skipped: {
      ...loSkipped,
      eth1: 'no address that others can reach',
      ifb0: 'only a queue for another interface',
    },
  },
  {
    host: 'bond with a VLAN, both with addresses: named twice, listened on once',
    links: [
      lo,
      link('eth0', bonded),
      link('eth1', bonded),
      link('bond0', { kind: 'bond', ...wan }),
      link('bond0.20', { kind: 'vlan', link: 'bond0', addresses: ['10.20.0.2/24'] }),
    ],
    taken: {
      bond0: 'bond, default route, 192.0.2.2/24 and 1 more',
      'bond0.20': 'VLAN on bond0, 10.20.0.2/24',
    },
    skipped: {
      ...loSkipped,
      eth0: 'part of bond0, where its packets arrive',
      eth1: 'part of bond0, where its packets arrive',
    },
    capture: ['bond0'],
  },
  {
    host: 'VLANs on a parent without an address, one of them QinQ',
    links: [
      lo,
      link('eth0'),
      link('eth0.10', { kind: 'vlan', link: 'eth0', ...wan }),
      link('eth0.11', { kind: 'vlan', link: 'eth0', addresses: ['10.11.0.1/24'] }),
      link('eth0.12', { kind: 'vlan', link: 'eth0' }),
      link('eth0.10.7', { kind: 'vlan', link: 'eth0.10', addresses: ['10.7.0.1/24'] }),
    ],
    taken: {
      'eth0.10': 'VLAN on eth0, default route, 192.0.2.2/24 and 1 more',
      'eth0.11': 'VLAN on eth0, 10.11.0.1/24',
      'eth0.10.7': 'VLAN on eth0.10, 10.7.0.1/24',
    },
    skipped: {
      ...loSkipped,
      eth0: 'no address that others can reach',
      'eth0.12': 'no address that others can reach',
    },
    capture: ['eth0.10', 'eth0.11'],
  },
  {
    host: 'bridge over a hardware port, with virtual machines',
    links: [
      lo,
      link('eno1', { master: 'br0', memberKind: 'bridge' }),
      link('vnet0', { kind: 'tun', master: 'br0', memberKind: 'bridge' }),
      link('br0', { kind: 'bridge', addresses: ['192.0.2.9/24'] }),
    ],
    taken: { br0: 'bridge, 192.0.2.9/24' },
    skipped: {
      ...loSkipped,
      eno1: 'part of br0, where its packets arrive',
      vnet0: 'part of br0, where its packets arrive',
    },
  },
  {
    host: 'bridge over a VLAN of a bond',
    links: [
      lo,
      link('eth0', bonded),
      link('bond0', { kind: 'bond', addresses: ['192.0.2.2/24'] }),
      link('bond0.5', { kind: 'vlan', link: 'bond0', master: 'vmbr5', memberKind: 'bridge' }),
      link('vmbr5', { kind: 'bridge', addresses: ['10.5.0.2/24'] }),
    ],
    taken: { bond0: 'bond, 192.0.2.2/24', vmbr5: 'bridge, 10.5.0.2/24' },
    skipped: {
      ...loSkipped,
      eth0: 'part of bond0, where its packets arrive',
      'bond0.5': 'part of vmbr5, where its packets arrive',
    },
    // What comes to vmbr5 from outside is seen on bond0 already, with its tag.
    capture: ['bond0'],
  },
  {
    host: 'Docker, libvirt and Kubernetes host',
    links: [
      lo,
      link('ens3', wan),
      link('docker0', { kind: 'bridge', addresses: ['172.17.0.1/16'] }),
      link('vethaf31', containerEnd),
      link('br-0123456789ab', { kind: 'bridge', addresses: ['172.18.0.1/16'], hasCarrier: false }),
      link('virbr0', { kind: 'bridge', addresses: ['192.168.122.1/24'], hasCarrier: false }),
      link('cali4f', { kind: 'veth' }),
      link('lxdrouted', { kind: 'veth', addresses: ['10.9.9.1/32'] }),
      link('cilium_host', { kind: 'veth', link: 'cilium_net', addresses: ['10.0.1.7/32'] }),
      link('kube-ipvs0', { kind: 'dummy', addresses: ['10.96.0.1/32'] }),
    ],
    taken: { ens3: 'default route, 192.0.2.2/24 and 1 more' },
    skipped: {
      ...loSkipped,
      docker0: 'a bridge with no way outside (containers or virtual machines)',
      vethaf31: 'part of docker0, where its packets arrive',
      'br-0123456789ab': 'a bridge with no way outside (containers or virtual machines)',
      virbr0: 'a bridge with no way outside (containers or virtual machines)',
      cali4f: 'no address that others can reach',
      lxdrouted: 'the host end of a container',
      cilium_host: 'both its ends are in this host (the other is cilium_net)',
      'kube-ipvs0': 'nothing arrives on a dummy interface; its addresses are reached through the others',
    },
  },
  {
    host: 'container with two networks',
    links: [
      lo,
      link('eth0', { kind: 'veth', ...wan }),
      link('eth1', { kind: 'veth', addresses: ['10.1.0.5/24'] }),
    ],
    taken: { eth0: 'veth, default route, 192.0.2.2/24 and 1 more', eth1: 'veth, 10.1.0.5/24' },
    skipped: loSkipped,
  },
  {
    host: 'container on a macvlan beside its parent',
    links: [
      lo,
      link('eth0', wan),
      link('mv0', { kind: 'macvlan', link: 'eth0', addresses: ['192.0.2.77/24'] }),
    ],
    taken: { eth0: 'default route, 192.0.2.2/24 and 1 more', mv0: 'macvlan, 192.0.2.77/24' },
    skipped: loSkipped,
    capture: ['eth0'],
  },
  {
    host: 'PPPoE: the carrier shows the same packets in PPPoE frames',
    links: [
      lo,
      link('eth0', { addresses: ['192.168.1.1/24'] }),
      link('eth1', { addresses: ['192.168.100.2/24'], carriesPppoe: true }),
      link('ppp0', { linkType: 'ppp', kind: 'ppp', addresses: ['203.0.113.9/32'], isDefaultRoute: true }),
    ],
    taken: { eth0: '192.168.1.1/24', ppp0: 'ppp, default route, 203.0.113.9/32' },
    skipped: {
      ...loSkipped,
      eth1: 'carries PPPoE, whose packets arrive on the ppp interface; add it to protect.interfaces if phones are behind it',
    },
  },
  {
    host: 'WireGuard, and a tunnel without an address',
    links: [
      lo,
      link('eth0', wan),
      link('wg0', { linkType: 'none', kind: 'wireguard', addresses: ['10.8.0.1/24'] }),
      link('tun0', { linkType: 'none', kind: 'tun' }),
      link('tunl0', { linkType: 'ipip', kind: 'ipip', isUp: false }),
    ],
    taken: { eth0: 'default route, 192.0.2.2/24 and 1 more', wg0: 'wireguard, 10.8.0.1/24' },
    skipped: { ...loSkipped, tun0: 'no address that others can reach', tunl0: 'down' },
  },
  {
    host: 'Open vSwitch, and a VRF whose members are no members of a bridge',
    links: [
      lo,
      link('eth0', { master: 'ovs-system', memberKind: 'openvswitch' }),
      link('ovs-system', { kind: 'openvswitch', isUp: false }),
      link('br-ex', { kind: 'openvswitch', ...wan }),
      link('eth1', { master: 'blue', memberKind: 'vrf', addresses: ['10.3.0.1/24'] }),
      link('blue', { kind: 'vrf', addresses: ['10.3.255.1/32'] }),
    ],
    taken: { 'br-ex': 'openvswitch, default route, 192.0.2.2/24 and 1 more', eth1: '10.3.0.1/24' },
    skipped: {
      ...loSkipped,
      eth0: 'part of ovs-system, where its packets arrive',
      'ovs-system': 'down',
      blue: 'packets arrive on its members',
    },
  },
  {
    host: 'a port with its cable out, and one that is down',
    links: [
      lo,
      link('eth0', { addresses: ['192.0.2.2/24'], hasCarrier: false }),
      link('eth1', { addresses: ['10.0.0.1/24'], isUp: false, hasCarrier: false }),
    ],
    taken: { eth0: '192.0.2.2/24' },
    skipped: { ...loSkipped, eth1: 'down; add it to protect.interfaces once it is up' },
    notes: ['eth0 has no carrier at the moment.'],
  },
  {
    host: 'a default route over an interface without an address',
    links: [lo, link('wan0', { isDefaultRoute: true }), link('can0', { linkType: 'can' })],
    taken: { wan0: 'default route' },
    skipped: { ...loSkipped, can0: 'carries no IP (link type can)' },
  },
  { host: 'nothing but loopback', links: [lo], taken: {}, skipped: loSkipped, notes: [nothing] },
]

describe('chooseInterfaces', () => {
  it.each(cases)('$host', ({ links, taken, skipped, notes = [], capture }) => {
    const choice = chooseInterfaces(links)
    const asTable = (list: typeof choice.interfaces) =>
      Object.fromEntries(list.map((one) => [one.name, one.why]))
    expect(asTable(choice.interfaces)).toEqual(taken)
    expect(asTable(choice.skipped)).toEqual(skipped)
    expect(choice.notes).toEqual(notes)
    expect(captureDevices(Object.keys(taken), links)).toEqual(capture ?? Object.keys(taken))
  })
})

describe('captureDevices', () => {
  const links = [
    link('eth0', { master: 'br0', memberKind: 'bridge' }),
    link('br0', { kind: 'bridge' }),
    link('br0.9', { kind: 'vlan', link: 'br0' }),
    link('v0', { kind: 'veth', link: 'v1' }),
    link('v1', { kind: 'veth', link: 'v0' }),
  ]
  it.each([
    ['a bridge and its member', ['eth0', 'br0'], ['br0']],
    ['a VLAN of the bridge of a member', ['br0', 'br0.9', 'eth0'], ['br0']],
    ['a member alone', ['eth0'], ['eth0']],
    ['the two ends of a veth, which are no stack', ['v0', 'v1'], ['v0', 'v1']],
    ['an interface named twice', ['br0', 'br0'], ['br0']],
    ['an interface that is not there yet', ['ppp0'], ['ppp0']],
  ])('%s', (_what, names, expected) => {
    expect(captureDevices(names, links)).toEqual(expected)
  })

  it('ends for facts that form a loop', () => {
    const loop = [
      link('a', { kind: 'macvlan', link: 'b' }),
      link('b', { kind: 'macvlan', link: 'c' }),
      link('c', { kind: 'macvlan', link: 'b' }),
    ]
    expect(captureDevices(['a'], loop)).toEqual(['a'])
  })
})
