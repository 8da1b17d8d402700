import type { Family } from '../registrar/net/address.ts'
import type { DesiredState, Limit } from './desired-state.ts'
import { type ChainName, LISTED_FOR, type SetPurpose, setName } from './names.ts'

/** What the chains depend on; lists and blocks live in sets. */
export type ChainInput = Pick<DesiredState, 'traffic' | 'limits'>

/** The own chains of one family, each with its rules exactly as `iptables-save` prints them. */
export type RenderedChains = ReadonlyMap<ChainName, readonly string[]>

/** `-m multiport` takes 15 ports. */
const PORTS_A_RULE = 15
/** `-m u32` takes 10 values a test. */
const VALUES_A_TEST = 10

/** In seconds. Not the unit of a rate (1, 60 or 3600), which iptables would not print back. */
const SHORTEST_EXPIRE = 90

const RESPONSE = 'SIP/'
/** The methods but REGISTER, by their first four bytes (RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903, 6086). */
const OTHER_METHODS = [
  'INVI',
  'ACK ',
  'BYE ',
  'CANC',
  'OPTI',
  'SUBS',
  'NOTI',
  'INFO',
  'PRAC',
  'UPDA',
  'MESS',
  'REFE',
  'PUBL',
]

/**
 * The bytes of UDP payload up to which a packet is a keepalive (empty, CRLF pairs, NUL, STUN) and cannot be a
 * REGISTER: request line, Via, From, To, Call-ID and CSeq do not fit.
 */
const KEEPALIVE_PAYLOAD = 39

/**
 * Renders the chains of the table raw. Passing is RETURN, never ACCEPT, so that whatever others keep in raw is
 * still asked. On a SIP port everything that is not recognised as something else is taken for a REGISTER, since a
 * softswitch finds one behind line breaks, spaces and NULs too.
 */
export function renderChains(input: ChainInput, family: Family): RenderedChains {
  const { traffic, limits } = input
  const set = (purpose: SetPurpose, side: string) => `-m set --match-set ${setName(purpose, family)} ${side}`
  const destination = traffic.destinations === 'local' ? '-m addrtype --dst-type LOCAL' : set('dst', 'dst')
  const entrance = (protocol: 'udp' | 'tcp', ports: readonly number[], target: ChainName) =>
    traffic.interfaces.flatMap((name) =>
      chunk(sortedPorts(ports), PORTS_A_RULE).map(
        (some) =>
          `-A RINGFENCE -i ${name} -p ${protocol} -m multiport --dports ${some.join(',')} ${destination} -j ${target}`,
      ),
    )
  const syn = '-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN'
  const over = (purpose: 'reg' | 'sip', limit: Limit) => renderLimit(purpose, limit, family)

  return new Map<ChainName, readonly string[]>([
    [
      'RINGFENCE',
      [
        '-A RINGFENCE -i lo -j RETURN',
        ...entrance('udp', traffic.udpPorts, 'RINGFENCE-UDP'),
        ...entrance('tcp', traffic.tcpPorts, 'RINGFENCE-TCP'),
      ],
    ],
    [
      'RINGFENCE-UDP',
      [
        `-A RINGFENCE-UDP ${set('allow', 'src')} -j RETURN`,
        `-A RINGFENCE-UDP ${set('sip', 'src')} -j DROP`,
        `-A RINGFENCE-UDP ${startsWith([RESPONSE], family)} -j RETURN`,
        // A goto: what comes back from there must not fall through to the REGISTER chain.
        ...chunk(OTHER_METHODS, VALUES_A_TEST).map(
          (some) => `-A RINGFENCE-UDP ${startsWith(some, family)} -g RINGFENCE-SIP`,
        ),
        `-A RINGFENCE-UDP ${keepalive(family)} -j RETURN`,
        '-A RINGFENCE-UDP -g RINGFENCE-REGISTER',
      ],
    ],
    [
      'RINGFENCE-TCP',
      [
        `-A RINGFENCE-TCP ${set('allow', 'src')} -j RETURN`,
        `-A RINGFENCE-TCP ${set('sip', 'src')} -j DROP`,
        // Never by method and never inside a connection: one lost segment stalls every message behind it.
        `-A RINGFENCE-TCP ${syn} ${set('reg', 'src')} -j DROP`,
        `-A RINGFENCE-TCP ${syn} ${set('susa', 'src')} -j DROP`,
      ],
    ],
    [
      'RINGFENCE-REGISTER',
      [
        `-A RINGFENCE-REGISTER ${set('reg', 'src')} -j DROP`,
        `-A RINGFENCE-REGISTER ${set('susp', 'src,src')} -j DROP`,
        `-A RINGFENCE-REGISTER ${set('susa', 'src')} -j DROP`,
        `-A RINGFENCE-REGISTER ${over('reg', limits.register)} -j DROP`,
      ],
    ],
    ['RINGFENCE-SIP', [`-A RINGFENCE-SIP ${over('sip', limits.sip)} -g RINGFENCE-OVER`]],
    [
      'RINGFENCE-OVER',
      [
        // The match counts the packet. Adding a listed source again would set its counters back to one packet.
        `-A RINGFENCE-OVER ${set('wsip', 'src')} -j ${limits.sip.enforced ? 'DROP' : 'RETURN'}`,
        `-A RINGFENCE-OVER -j SET --add-set ${setName('wsip', family)} src --timeout ${LISTED_FOR}`,
        ...(limits.sip.enforced ? ['-A RINGFENCE-OVER -j DROP'] : []),
      ],
    ],
  ])
}

/**
 * The parameters are part of the name, since a table keeps the rate it was created with whatever a later rule
 * says. An entry may go when its bucket is full again, and not before: or a pause would buy a new burst.
 */
function renderLimit(purpose: 'reg' | 'sip', limit: Limit, family: Family): string {
  const rate = showRate(limit.perSecond)
  const expire = Math.max(SHORTEST_EXPIRE, Math.ceil(limit.burst / limit.perSecond)) * 1000
  const mask = family === 4 ? '' : ' --hashlimit-srcmask 64'
  return [
    `-m hashlimit --hashlimit-above ${rate} --hashlimit-burst ${limit.burst} --hashlimit-mode srcip`,
    `--hashlimit-name rf-${purpose}${family}-${rate.replace('/', '')}-${limit.burst}`,
    `--hashlimit-htable-size 65536 --hashlimit-htable-max 1048576 --hashlimit-htable-expire ${expire}${mask}`,
  ].join(' ')
}

/** As iptables prints it back: whole numbers a second, else a minute. */
function showRate(perSecond: number): string {
  return Number.isInteger(perSecond) ? `${perSecond}/sec` : `${Math.max(1, Math.round(perSecond * 60))}/min`
}

/**
 * Matches a UDP payload by its first four bytes. In IPv4 they stand behind the header's own length, options
 * included. In IPv6 only a packet without extension headers is recognised, the others stay in the strict class.
 */
function startsWith(texts: readonly string[], family: Family): string {
  const values = texts
    .map((text) => `0x${Buffer.from(text, 'latin1').toString('hex').replace(/^0+/, '')}`)
    .join(',')
  const test = family === 4 ? `0x0>>0x16&0x3c@0x8=${values}` : `0x3&0xff=0x11&&0x30=${values}`
  return `-p udp -m u32 --u32 "${test}"`
}

/**
 * Matches by length. A first fragment that ends before its method is short as well, so in IPv4 no fragment
 * passes here (the more-fragments bit and the offset are zero), and in IPv6 no extension header does.
 */
function keepalive(family: Family): string {
  const whole = family === 4 ? '0x4&0x3fff=0x0' : '0x3&0xff=0x11'
  const longest = (family === 4 ? 20 : 40) + 8 + KEEPALIVE_PAYLOAD
  return `-p udp -m length --length 0:${longest} -m u32 --u32 "${whole}"`
}

function sortedPorts(ports: readonly number[]): readonly number[] {
  return [...new Set(ports)].sort((a, b) => a - b)
}

function chunk<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const chunks: T[][] = []
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size))
  return chunks
}
