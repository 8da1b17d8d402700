/** What the kernel says of one network interface, as far as the choice depends on it. */
export interface LinkFacts {
  readonly name: string
  /** `ether`, `none`, `ppp`, `loopback` … as `ip -j link` names the link type. */
  readonly linkType: string
  /** The kind of a virtual interface (`bridge`, `bond`, `vlan`, `veth`, `wireguard` …); null for hardware. */
  readonly kind: string | null
  /** The bond, team, bridge, switch or VRF that this interface is a member of. */
  readonly master: string | null
  /** As what: `bond`, `bridge`, `vrf` … Null where the kernel does not say. */
  readonly memberKind: string | null
  /** The other interface of this namespace that this one is made on: a VLAN's parent, a veth's peer. */
  readonly link: string | null
  readonly isUp: boolean
  /** False where the cable is out or the other end is down. */
  readonly hasCarrier: boolean
  /** Addresses that others can reach (scope global), `ADDRESS/LENGTH`. */
  readonly addresses: readonly string[]
  readonly isDefaultRoute: boolean
  /** PPPoE sessions run on it, so that their frames are seen on it and on their own ppp interface. */
  readonly carriesPppoe: boolean
}

export interface ChosenInterface {
  readonly name: string
  readonly why: string
}

export interface InterfaceChoice {
  readonly interfaces: readonly ChosenInterface[]
  readonly skipped: readonly ChosenInterface[]
  readonly notes: readonly string[]
}

/**
 * The interfaces on which packets from outside reach this host's own addresses: what a rule calls its input
 * interface. A VLAN is named beside its parent, since a packet of the VLAN comes in on the VLAN and not on the
 * parent; `captureDevices` says where to listen so that no packet is counted twice.
 */
export function chooseInterfaces(links: readonly LinkFacts[]): InterfaceChoice {
  const judged = links.map((link) => ({ name: link.name, ...judge(link, links) }))
  const interfaces = judged.filter((link) => link.isTaken).map(({ name, why }) => ({ name, why }))
  const skipped = judged.filter((link) => !link.isTaken).map(({ name, why }) => ({ name, why }))
  const notes = interfaces
    .filter(({ name }) => links.some((link) => link.name === name && !link.hasCarrier))
    .map(({ name }) => `${name} has no carrier at the moment.`)
  if (interfaces.length === 0) {
    notes.push(
      'No usable network interface was found: none that is up has an address that others can reach. ' +
        'Bring one up (ip link set NAME up) or name it yourself with --interfaces NAME.',
    )
  }
  return { interfaces, skipped, notes }
}

/**
 * Where to listen for the traffic of `names`, so that each packet is seen once: a VLAN or macvlan is left out where
 * its parent is listened on, which shows its frames too; so is a member of a bond or bridge that is listened on, and
 * a bridge all of whose ways outside are listened on.
 */
export function captureDevices(names: readonly string[], links: readonly LinkFacts[]): readonly string[] {
  const linkOf = new Map(links.map((link) => [link.name, link]))
  const listed = [...new Set(names)]
  const tops = listed.filter((name) => !stackOf(name, linkOf).some((other) => listed.includes(other)))
  return tops.filter((name) => {
    const members = links.filter((link) => link.master === name && isWayOutside(link))
    const isSeenBelow = ({ name: member }: LinkFacts) =>
      stackOf(member, linkOf).some((other) => other !== name && tops.includes(other))
    return members.length === 0 || !members.every(isSeenBelow)
  })
}

/** The interfaces that show the frames of `name` too: what it is a member of or made on, and so on. */
function stackOf(name: string, linkOf: ReadonlyMap<string, LinkFacts>): readonly string[] {
  const found = new Set<string>()
  const visit = (link: LinkFacts | undefined) => {
    for (const other of link ? shownOn(link) : []) {
      if (found.has(other)) continue
      found.add(other)
      visit(linkOf.get(other))
    }
  }
  visit(linkOf.get(name))
  found.delete(name)
  return [...found]
}

interface Judgement {
  readonly isTaken: boolean
  readonly why: string
}

const take = (why: string): Judgement => ({ isTaken: true, why })
const skip = (why: string): Judgement => ({ isTaken: false, why })

/** Kinds that never bring packets from outside by themselves. */
const inwardKinds: ReadonlyMap<string, string> = new Map([
  ['dummy', 'nothing arrives on a dummy interface; its addresses are reached through the others'],
  ['ifb', 'only a queue for another interface'],
  ['nlmon', 'only shows netlink messages'],
  ['vrf', 'packets arrive on its members'],
])

const ipLinkTypes: ReadonlySet<string> = new Set([
  'ether',
  'infiniband',
  'ipip',
  'gre',
  'ip6gre',
  'gre6',
  'none',
  'ppp',
  'rawip',
  'sit',
  'tunnel',
  'tunnel6',
])

function judge(link: LinkFacts, links: readonly LinkFacts[]): Judgement {
  if (link.linkType === 'loopback' || link.name === 'lo') return skip('the host talking to itself')
  if (!ipLinkTypes.has(link.linkType)) return skip(`carries no IP (link type ${link.linkType})`)
  const inward = link.kind === null ? undefined : inwardKinds.get(link.kind)
  if (inward) return skip(inward)
  if (link.master !== null && link.memberKind !== 'vrf') {
    return skip(`part of ${link.master}, where its packets arrive`)
  }
  if (!link.isUp) {
    const advice = link.addresses.length > 0 ? '; add it to protect.interfaces once it is up' : ''
    return skip(`down${advice}`)
  }
  if (link.addresses.length === 0 && !link.isDefaultRoute) {
    return skip('no address that others can reach')
  }
  if (link.kind === 'bridge' && !link.isDefaultRoute && !hasOutsideMember(link, links)) {
    return skip('a bridge with no way outside (containers or virtual machines)')
  }
  if (link.kind === 'veth' && !link.isDefaultRoute) {
    if (link.link !== null) return skip(`both its ends are in this host (the other is ${link.link})`)
    if (links.some(isHardwareInUse)) return skip('the host end of a container')
  }
  if (link.carriesPppoe) {
    return skip(
      'carries PPPoE, whose packets arrive on the ppp interface; add it to protect.interfaces if phones are behind it',
    )
  }
  return take(reasonToTake(link))
}

function reasonToTake(link: LinkFacts): string {
  const parts: string[] = []
  if (link.kind === 'vlan' && link.link !== null) parts.push(`VLAN on ${link.link}`)
  else if (link.kind !== null) parts.push(link.kind)
  if (link.isDefaultRoute) parts.push('default route')
  const [first, ...others] = link.addresses
  if (first !== undefined) parts.push(others.length > 0 ? `${first} and ${others.length} more` : first)
  return parts.join(', ')
}

function hasOutsideMember(bridge: LinkFacts, links: readonly LinkFacts[]): boolean {
  return links.some((link) => link.master === bridge.name && isWayOutside(link))
}

const inwardMembers: ReadonlySet<string> = new Set(['veth', 'tun', 'tap', 'macvtap', 'dummy', 'ifb'])

/** Whether a member of a bridge leads out of this host, rather than to a container or a virtual machine. */
function isWayOutside(member: LinkFacts): boolean {
  return member.kind === null || !inwardMembers.has(member.kind)
}

function isHardwareInUse(link: LinkFacts): boolean {
  return (
    link.kind === null && link.linkType === 'ether' && (link.addresses.length > 0 || link.master !== null)
  )
}

const stackedKinds: ReadonlySet<string> = new Set(['vlan', 'macvlan', 'macvtap', 'ipvlan', 'ipvtap'])

function shownOn(link: LinkFacts): readonly string[] {
  const found: string[] = []
  if (link.master !== null && link.memberKind !== 'vrf') found.push(link.master)
  if (link.link !== null && link.kind !== null && stackedKinds.has(link.kind)) found.push(link.link)
  return found
}
