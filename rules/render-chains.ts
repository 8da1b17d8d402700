import type { Family } from '../registrar/net/address.ts'
import { type ChainInput, ChainRenderer, type NextLimits } from './chain-renderer.ts'
import { ASKED_FOR, type ChainName, setName } from './names.ts'
import { renderLog } from './render-log.ts'
import { CALL_METHODS, OPENING_METHODS, portLists, REGISTER, startsWith } from './render-matches.ts'
import { renderRegister } from './render-register.ts'
import { renderTcp } from './render-tcp.ts'
import { renderUdp } from './render-udp.ts'

export type { ChainInput, NextLimits } from './chain-renderer.ts'

/** The own chains of one family, each with its rules exactly as `iptables-save` prints them. */
export type RenderedChains = ReadonlyMap<ChainName, readonly string[]>

/**
 * Renders the chains of the table raw. Passing is RETURN, never ACCEPT, so that whatever others keep in raw is
 * still asked. On a SIP port everything that is not recognised as something else is taken for a REGISTER, since a
 * softswitch finds one behind line breaks, spaces and NULs too.
 *
 * The order is what keeps a flood in one lane from starving another: nothing that a proven, returning, gateway or
 * allowed source needs stands behind a table or set that unknown sources can fill.
 *
 * `next`: limits that will decide in a moment. Their tables already count every packet, so that they are not full of
 * fresh buckets when they do.
 */
export function renderChains(input: ChainInput, family: Family, next?: NextLimits): RenderedChains {
  const { traffic } = input
  const render = new ChainRenderer(input, family, next)
  const { set } = render
  const local = traffic.destinations === 'local'
  const protectedAddress = local ? '-m addrtype --dst-type LOCAL' : set('dst', 'dst')
  // A goto: what has been judged once is not looked at again by the rule of another interface or address.
  const entrances = (
    protocol: 'udp' | 'tcp',
    ports: readonly number[],
    destinations: readonly string[],
    target: ChainName,
  ) =>
    traffic.interfaces.flatMap((name) =>
      portLists(ports).flatMap((list) =>
        destinations.map(
          (destination) =>
            `-i ${name} -p ${protocol} -m multiport --dports ${list} ${destination} -g ${target}`,
        ),
      ),
    )
  // What most packets of proven sources need and no more: it stands before the look at the destination, since a packet
  // for somebody else passes anyway. Whatever it does not take goes the long way, where the same bucket is asked.
  const underLimit = render.under('proven')
  const unnamed = `-m set ! --match-set ${setName('named', family)} src`
  const unsuspended = `-m set ! --match-set ${setName('susp', family)} src,src`
  const provenFirst =
    underLimit === undefined
      ? []
      : traffic.interfaces.filter(isNeverLoopback).flatMap((name) =>
          portLists(traffic.udpPorts).flatMap((list) =>
            startsWith(REGISTER, family).map((match) =>
              [
                // Multiport takes longer to find one port.
                `-i ${name} -p udp ${list.includes(',') ? '-m multiport --dports' : '-m udp --dport'} ${list}`,
                ...(local ? [] : [protectedAddress]),
                set('pvn', 'src,src'),
                match.replace('-p udp ', ''),
                unsuspended,
                unnamed,
                underLimit,
                '-j RETURN',
              ].join(' '),
            ),
          ),
        )
  /** Requests from a SIP port: what stands before the ports, and behind them. */
  const asking = (before: string, behind: string) =>
    traffic.responses === 'any'
      ? []
      : portLists(traffic.udpPorts).map(
          (list) => `${before}-p udp -m multiport --sports ${list} ${behind}-j RINGFENCE-ASKED`,
        )

  render.chain('RINGFENCE', [
    ...provenFirst,
    '-i lo -j RETURN',
    // On a gateway the softswitch's own requests pass here; on its host they pass OUTPUT. Who forges its address from
    // outside comes in where no route leads back to it.
    ...(local ? [] : asking('', `${set('dst', 'src')} -m rpfilter `)),
    ...entrances(
      'udp',
      traffic.udpPorts,
      [protectedAddress, ...SHARED_ADDRESSES[family]],
      traffic.logGroup === undefined ? 'RINGFENCE-UDP' : 'RINGFENCE-JUDGE',
    ),
    ...entrances('tcp', traffic.tcpPorts, [protectedAddress], 'RINGFENCE-TCP'),
  ])
  // Also where destinations are listed: a host may list its own.
  render.chain('RINGFENCE-OUT', asking('! -o lo ', ''))
  // Only what is a request: answers go to whoever asks, forgers included, and so do those to STUN and line breaks.
  render.chain(
    'RINGFENCE-ASKED',
    startsWith([...REGISTER, ...OPENING_METHODS, ...CALL_METHODS], family).map(
      (match) => `${match} -j SET --add-set ${setName('asked', family)} dst --exist --timeout ${ASKED_FOR}`,
    ),
  )

  renderLog(render)
  renderUdp(render)
  renderRegister(render)
  renderTcp(render)
  return render.chains
}

/** Whether a pattern of interfaces cannot mean `lo`, which may then be looked for later. */
function isNeverLoopback(pattern: string): boolean {
  return !(pattern.endsWith('+') && 'lo'.startsWith(pattern.slice(0, -1)))
}

/**
 * A softswitch that listens on every address also reads what is sent to a broadcast or multicast address, and, where the
 * host forwards, to the anycast address of an IPv6 subnet, which the whole Internet can reach. Each its own rule, since in
 * IPv6 a rule with MULTICAST beside another type matches nothing.
 */
const SHARED_ADDRESSES: Readonly<Record<Family, readonly string[]>> = {
  4: ['-m addrtype --dst-type BROADCAST,MULTICAST'],
  6: ['-m addrtype --dst-type ANYCAST', '-m addrtype --dst-type MULTICAST'],
}
