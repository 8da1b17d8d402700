import type { Family } from '../registrar/net/address.ts'
import type { TableSizes } from './desired-state.ts'

/** The own chains of the table `raw`, with what each answers. The first two are jumped to from PREROUTING and OUTPUT. */
export const CHAINS = [
  /** Is the packet for a protected port? */
  'RINGFENCE',
  /** Is it a request that the softswitch sends? Then its receiver may respond. */
  'RINGFENCE-OUT',
  'RINGFENCE-ASKED',
  /** Logs what arrives over UDP, some of it, and what the chains below let through of it, all of that. */
  'RINGFENCE-JUDGE',
  /** Which class is it: REGISTER, other SIP, response, keepalive? */
  'RINGFENCE-UDP',
  'RINGFENCE-TCP',
  /** Everything of allowed sources. */
  'RINGFENCE-ALLOWED',
  /** TCP of allowed sources and gateways. */
  'RINGFENCE-TRUSTED',
  'RINGFENCE-GATEWAY',
  'RINGFENCE-CPS',
  /** What gateways send besides INVITE and REGISTER. */
  'RINGFENCE-TRUNK',
  'RINGFENCE-RESPONSE',
  'RINGFENCE-SIP',
  'RINGFENCE-KNOWN',
  'RINGFENCE-PEER',
  /** Requests of unknown sources that begin something, and those inside calls. */
  'RINGFENCE-OPENING',
  'RINGFENCE-CALLS',
  'RINGFENCE-RETURNSIP',
  'RINGFENCE-OVER',
  'RINGFENCE-KEEPALIVE',
  'RINGFENCE-REST',
  /** Which lane is the source of a REGISTER in? */
  'RINGFENCE-REGISTER',
  'RINGFENCE-PROVEN',
  /** Proven ports of an address with many accounts: an SBC or a proxy. */
  'RINGFENCE-AGGREGATOR',
  'RINGFENCE-ANSWERED',
  'RINGFENCE-UNPROVEN',
  'RINGFENCE-RETURN1',
  'RINGFENCE-RETURN2',
  'RINGFENCE-RETURN3',
  'RINGFENCE-IGNORING',
  'RINGFENCE-UNKNOWN',
  'RINGFENCE-STRICT',
  /** The first packet of an address and port under attack: noted, not served. */
  'RINGFENCE-FIRST',
  /** More first packets than can be noted: whose source returns is served, the others are not. */
  'RINGFENCE-UNNOTED',
  /** New TCP connections. */
  'RINGFENCE-CONNECT',
] as const

export type ChainName = (typeof CHAINS)[number]

/** The rules of ours in chains that are not ours: one in each. */
export const JUMPS = {
  PREROUTING: '-A PREROUTING -j RINGFENCE',
  OUTPUT: '-A OUTPUT -j RINGFENCE-OUT',
} as const

export type BuiltInChain = keyof typeof JUMPS

/** What the sets are for. Each is there twice, as `rf-…4` and `rf-…6`. */
export type SetPurpose =
  /**
   * Everybody whom `allow`, `deny` or `gw` name: what is asked before the proven. Who is proven, not in here and not in
   * `susp` needs no other look. While the kernel's log is read it holds every address, so that all go the long way.
   */
  | 'named'
  /** Sources that always pass, under a ceiling. */
  | 'allow'
  /** Protected destinations, where they are listed. */
  | 'dst'
  /** The operator's blocks: before every lane but the allowlist. */
  | 'deny'
  /** Gateways. */
  | 'gw'
  /** Proven address and port. */
  | 'pvn'
  /** Blocks of scope sip by verdicts: behind the proven. */
  | 'sip'
  /** Blocks of scope register. */
  | 'reg'
  /** Suspended address and port. */
  | 'susp'
  /** The same of scope sip: other requests from there are dropped as well. */
  | 'psip'
  /** Suspended address (IPv6: /64) with all its ports. */
  | 'susa'
  /** Address and port that answered a challenge lately. */
  | 'ans'
  /** Returning addresses with few, more and many accounts. */
  | 'ret1'
  | 'ret2'
  | 'ret3'
  /** Sources that never answer a challenge. */
  | 'ign'
  /** Holds every address while the strict limits decide, and is empty in peace. */
  | 'strict'
  /** Holds every address while somebody reads the kernel's log: only then anything is logged. */
  | 'log'
  /** Sources over the limit of SIP requests: filled by the kernel itself. */
  | 'wsip'
  /** Address and port whose first packet came within 5 s: filled by the kernel itself. */
  | 'seen'
  /** Addresses to which the softswitch sent a request: filled by the kernel itself. */
  | 'asked'

/** Sets that the daemon fills. */
export const WRITTEN_SETS = [
  'named',
  'allow',
  'dst',
  'deny',
  'gw',
  'pvn',
  'sip',
  'reg',
  'susp',
  'psip',
  'susa',
  'ans',
  'ret1',
  'ret2',
  'ret3',
  'ign',
  'strict',
  'log',
] as const satisfies readonly SetPurpose[]

/** Sets whose elements count packets that somebody looks at. */
export const COUNTED_SETS = [
  'deny',
  'sip',
  'reg',
  'susp',
  'psip',
  'susa',
  'wsip',
] as const satisfies readonly SetPurpose[]

/** Sets whose elements have no end, which the chains need to be right from the start. */
export const STANDING_SETS = ['named', 'allow', 'dst', 'gw', 'log'] as const satisfies readonly SetPurpose[]

export interface SetDefinition {
  readonly name: string
  readonly purpose: SetPurpose
  readonly family: Family
  /** What follows the name in `ipset create`, in the order in which `ipset save` prints it, without what the kernel chooses. */
  readonly form: string
  /** What follows the form, and is not printed back by every ipset. */
  readonly extra: string
  readonly maxElements: number
}

/**
 * `allow`, `deny` and `gw`: there is room in `named` for whatever found room in them. What found none names its prefix all
 * the same, so suspensions are not named: however many blocks there are, a later suspension needs no room but its own.
 */
const SETS_THAT_NAME = 3
const MAX_LISTED = 65_536
/** A switch, two halves of all addresses. */
const MAX_SWITCH = 16

/** How long the kernel remembers by itself, in seconds. */
export const LISTED_FOR = 600
export const SEEN_FOR = 5
/** A phone may ring for minutes before it responds for the last time. */
export const ASKED_FOR = 900

/** Every set of ours, at these sizes. Two sets of one name that differ in maxelem or timeout alone can be swapped. */
export function defineSets(sizes: TableSizes): readonly SetDefinition[] {
  return ([4, 6] as const).flatMap((family) => {
    const inet = family === 4 ? 'family inet' : 'family inet6'
    const define = (
      purpose: SetPurpose,
      type: string,
      options: { readonly max: number; readonly more?: string; readonly extra?: string },
    ): SetDefinition => ({
      name: setName(purpose, family),
      purpose,
      family,
      form: `${type} ${inet} maxelem ${options.max}${options.more ?? ''}`,
      extra: options.extra ?? '',
      maxElements: options.max,
    })
    const max = sizes.elements
    // Whoever has one address of an IPv6 /64 has them all, so the kernel lists the /64.
    const netmask = family === 4 ? '' : ' netmask 64'
    const counted = ' timeout 0 counters'
    return [
      // First, so that whoever goes through all sets has it right before those that it stands for.
      define('named', 'hash:net', { max: max * SETS_THAT_NAME + MAX_SWITCH }),
      define('allow', 'hash:net', { max }),
      define('dst', 'hash:net', { max }),
      define('deny', 'hash:net', { max, more: counted }),
      define('gw', 'hash:net', { max }),
      define('pvn', 'hash:ip,port', { max, more: ' timeout 0' }),
      define('sip', 'hash:net', { max, more: counted }),
      define('reg', 'hash:net', { max, more: counted }),
      define('susp', 'hash:ip,port', { max, more: counted }),
      define('psip', 'hash:ip,port', { max, more: counted }),
      define('susa', 'hash:net', { max, more: counted }),
      define('ans', 'hash:ip,port', { max, more: ' timeout 0' }),
      define('ret1', 'hash:net', { max, more: ' timeout 0' }),
      define('ret2', 'hash:net', { max, more: ' timeout 0' }),
      define('ret3', 'hash:net', { max, more: ' timeout 0' }),
      define('ign', 'hash:net', { max, more: ' timeout 0' }),
      define('strict', 'hash:net', { max: MAX_SWITCH, more: ' timeout 0' }),
      define('log', 'hash:net', { max: MAX_SWITCH }),
      // A full list makes room for a new source, instead of telling about old ones only.
      define('wsip', 'hash:ip', {
        max: MAX_LISTED,
        more: `${netmask} timeout ${LISTED_FOR} counters`,
        extra: `${rowsFor(MAX_LISTED)} forceadd`,
      }),
      define('seen', 'hash:ip,port', {
        max: sizes.seen,
        more: ` timeout ${SEEN_FOR}`,
        extra: rowsFor(sizes.seen),
      }),
      define('asked', 'hash:ip', {
        max,
        more: ` timeout ${ASKED_FOR}`,
        extra: `${rowsFor(max)} forceadd`,
      }),
    ]
  })
}

/** A row holds twelve elements; the kernel makes a set larger for `ipset` alone, never for a packet that is added. */
function rowsFor(elements: number): string {
  return ` hashsize ${2 ** Math.max(6, Math.ceil(Math.log2(elements / 4)))}`
}

export function setName(purpose: SetPurpose, family: Family): string {
  return `rf-${purpose}${family}`
}

/** The set's purpose; undefined where the name is not one of ours. */
export function purposeOf(setOrKey: string): SetPurpose | undefined {
  const space = setOrKey.indexOf(' ')
  return PURPOSES.get(space < 0 ? setOrKey : setOrKey.slice(0, space))
}

/** While a set is built anew aside, it has this behind its name. */
export const ASIDE = '-new'

export function isOwnSet(name: string): boolean {
  return PURPOSES.has(name)
}

/** Leftovers of a set that was built aside, or of another version of Ringfence. */
export function isStraySet(name: string): boolean {
  return /^rf-[a-z]+[1-9]?[46](-new)?$/.test(name) && !isOwnSet(name)
}

const PURPOSES: ReadonlyMap<string, SetPurpose> = new Map(
  defineSets({ elements: 1, buckets: 1, seen: 1 }).map(({ name, purpose }) => [name, purpose]),
)

/** Chains of other versions of Ringfence count as own ones, so that they are removed. */
export function isOwnChain(name: string): boolean {
  return name === 'RINGFENCE' || name.startsWith('RINGFENCE-')
}
