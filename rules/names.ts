import type { Family } from '../registrar/net/address.ts'

/** The own chains of the table `raw`; the first is the one that PREROUTING jumps to. */
export const CHAINS = [
  'RINGFENCE',
  'RINGFENCE-UDP',
  'RINGFENCE-TCP',
  'RINGFENCE-REGISTER',
  'RINGFENCE-SIP',
  'RINGFENCE-OVER',
] as const

export type ChainName = (typeof CHAINS)[number]

/** The one rule of ours in a chain that is not ours. */
export const JUMP = '-A PREROUTING -j RINGFENCE'

/** What the sets are for. Each is there twice, as `rf-…4` and `rf-…6`. */
export type SetPurpose =
  /** Sources that always pass. */
  | 'allow'
  /** Protected destinations, where they are listed. */
  | 'dst'
  /** Blocks of scope sip. */
  | 'sip'
  /** Blocks of scope register. */
  | 'reg'
  /** Suspended address and port. */
  | 'susp'
  /** Suspended address (IPv6: /64) with all its ports. */
  | 'susa'
  /** Sources over the limit of SIP requests: filled by the kernel itself. */
  | 'wsip'

export interface SetDefinition {
  readonly name: string
  readonly purpose: SetPurpose
  readonly family: Family
  /** What follows the name in `ipset create`, in the order in which `ipset save` prints it, without what the kernel chooses. */
  readonly form: string
  /** What follows the form, and is not printed back by every ipset. */
  readonly extra: string
}

/** `create -exist` with another maxelem fails, so these numbers are part of the form and never configured. */
const MAX_ELEMENTS = 1_048_576
const MAX_LISTED = 65_536

/** How long a source stays listed as one over the limit, in seconds. */
export const LISTED_FOR = 600

export const SETS: readonly SetDefinition[] = ([4, 6] as const).flatMap((family) => {
  const inet = family === 4 ? 'family inet' : 'family inet6'
  const define = (purpose: SetPurpose, form: string): SetDefinition => ({
    name: setName(purpose, family),
    purpose,
    family,
    form,
    // A full list makes room for a new source, instead of telling about old ones only.
    extra: purpose === 'wsip' ? ' forceadd' : '',
  })
  const timed = `${inet} maxelem ${MAX_ELEMENTS} timeout 0 counters`
  // Whoever has one address of an IPv6 /64 has them all, so the kernel lists the /64.
  const netmask = family === 4 ? '' : ' netmask 64'
  return [
    define('allow', `hash:net ${inet} maxelem ${MAX_ELEMENTS} counters`),
    define('dst', `hash:net ${inet} maxelem ${MAX_ELEMENTS}`),
    define('sip', `hash:net ${timed}`),
    define('reg', `hash:net ${timed}`),
    define('susp', `hash:ip,port ${timed}`),
    define('susa', `hash:net ${timed}`),
    define('wsip', `hash:ip ${inet} maxelem ${MAX_LISTED}${netmask} timeout ${LISTED_FOR} counters`),
  ]
})

export function setName(purpose: SetPurpose, family: Family): string {
  return `rf-${purpose}${family}`
}

const SET_NAMES: ReadonlySet<string> = new Set(SETS.map(({ name }) => name))

export function isOwnSet(name: string): boolean {
  return SET_NAMES.has(name)
}

/** Chains of other versions of Ringfence count as own ones, so that they are removed. */
export function isOwnChain(name: string): boolean {
  return name === 'RINGFENCE' || name.startsWith('RINGFENCE-')
}
