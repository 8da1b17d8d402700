import type { Address, Prefix } from '../registrar/net/address.ts'
import type { EpochMilliseconds } from '../registrar/net/time.ts'

/** A token bucket: so many packets a second, after `burst` at once. */
export interface Limit {
  readonly perSecond: number
  readonly burst: number
}

/** What traffic is ours to judge: everything else returns at once. */
export interface ProtectedTraffic {
  /** Interfaces that packets from outside arrive on. Never `lo`. */
  readonly interfaces: readonly string[]
  /** `local`: whatever address this host has now or later. Else the addresses behind this gateway. */
  readonly destinations: 'local' | readonly Prefix[]
  readonly udpPorts: readonly number[]
  readonly tcpPorts: readonly number[]
  /**
   * Whose responses pass: `asked`, peers to whom the softswitch has lately sent a request that this host saw; `any`,
   * where its requests leave another way and nobody can know.
   */
  readonly responses: 'asked' | 'any'
  /**
   * The group of the kernel's own log (NFLOG) that gets the UDP packets that pass, and a sample of all that arrive, for
   * whoever listens to it under a flood. Absent: nothing is logged.
   */
  readonly logGroup?: number
}

/** All rates. A source is an IPv4 address or an IPv6 /64; a prefix is a /24 or a /48. */
export interface Limits {
  /** REGISTERs (and what cannot be told from one) of sources that nothing is known of, while nothing is wrong. */
  readonly unknown: { readonly source: Limit; readonly prefix: Limit; readonly total: Limit }
  /** The same under attack: an address and port is served from its second packet on, and very little of it. */
  readonly strict: {
    readonly port: Limit
    readonly source: Limit
    readonly prefix: Limit
    readonly total: Limit
  }
  /** REGISTERs of one proven address and port. */
  readonly proven: Limit
  /** REGISTERs of one address and port that answered a challenge lately. */
  readonly answered: Limit
  /** REGISTERs of one returning address with one account; it grows with the accounts (see `RETURNING_TIERS`). */
  readonly returning: Limit
  /** REGISTERs of one source that never answers a challenge. */
  readonly ignoring: Limit
  /**
   * Other SIP of one unknown source, of the unknown sources of one prefix, and of all of them: requests that open
   * something, and apart from them five times as many requests inside calls. While `enforced` is false the kernel only
   * lists which sources would be limited.
   */
  readonly sip: Limit & { readonly prefix: Limit; readonly total: Limit; readonly enforced: boolean }
  /**
   * The high limit of what is trusted but can be forged: an allowed prefix, a gateway's requests other than INVITE and
   * REGISTER, an asked peer, the calls of a proven address and port.
   */
  readonly ceiling: Limit
  /** What nothing recognises and nobody asked for, in total: keepalives of unknown sources, stray responses. */
  readonly rest: Limit
  /** New TCP connections, and how many may stand at once of one source (null: not counted). */
  readonly connections: { readonly source: Limit; readonly prefix: Limit; readonly most: number | null }
}

/** A trunk that is limited by calls a second, not by what is known of unknown sources. */
export interface Gateway {
  /** Lower case letters, digits and dashes, at most 20: part of the name of its kernel table. */
  readonly name: string
  readonly prefixes: readonly Prefix[]
  /** INVITEs and REGISTERs a second, all prefixes together. */
  readonly cps: Limit
}

/** `register`: UDP REGISTERs and new TCP connections. `sip`: everything on the SIP ports. */
export type BlockScope = 'register' | 'sip'

export interface Block {
  readonly target: Prefix
  readonly scope: BlockScope
  /** Whether proven ports behind the target stay served. The operator's blocks spare nobody; scope register always does. */
  readonly sparesProven: boolean
  /** When the kernel lets it go by itself; null for one that stands until it is taken back. */
  readonly until: EpochMilliseconds | null
}

/** A suspended address and port (a port of 0 stands for every port of the address). */
export interface Suspension {
  readonly address: Address
  readonly port: number
  /** `tcp`: one connection, of which every packet is dropped. Absent: REGISTERs over UDP from this port. */
  readonly transport?: 'udp' | 'tcp'
  /** `sip`: other requests over UDP from this port too. Absent: REGISTERs alone. */
  readonly scope?: BlockScope
  readonly until: EpochMilliseconds
}

/** What evidence made of a source: in which lane of its own the kernel serves it. */
export type Member =
  | {
      readonly lane: 'proven' | 'answered'
      readonly address: Address
      readonly port: number
      readonly until: EpochMilliseconds
    }
  | {
      /** An address (IPv6: /64) with a success in the last days; `accounts`: how many are proven behind it. */
      readonly lane: 'returning'
      readonly source: Prefix
      readonly accounts: number
      /** Something there fails as no phones do: it has the smallest bucket, however many accounts, until that is taken back. */
      readonly slowedUntil?: EpochMilliseconds
      readonly until: EpochMilliseconds
    }
  | { readonly lane: 'ignoring'; readonly source: Prefix; readonly until: EpochMilliseconds }

/** How much the kernel may remember. The memory is taken only as it fills. */
export interface TableSizes {
  /** Elements of a set that the daemon fills: about 100 bytes each (IPv6 150). */
  readonly elements: number
  /** Entries of a table of buckets: about 130 bytes each; the kernel allows 1,048,576. */
  readonly buckets: number
  /** Addresses and ports whose first packet was seen within 5 s: about 30 bytes each (IPv6 50). */
  readonly seen: number
}

/**
 * A list whose items may stand in parts: a part that did not change has to be the same array, so that one change among a
 * hundred thousand costs a look at its part. In what order they stand means nothing.
 */
export type InParts<T> = readonly (T | readonly T[])[]

/** All that the kernel should hold. A plain value: two equal ones mean the same rules and sets. */
export interface DesiredState {
  readonly traffic: ProtectedTraffic
  readonly limits: Limits
  readonly sizes: TableSizes
  /**
   * Until when the strict limits decide; null in peace. It is renewed a little ahead, so that a daemon that dies leaves
   * the kernel to return to peace by itself.
   */
  readonly strictUntil: EpochMilliseconds | null
  /** Whether somebody reads the kernel's log at this moment. The engine asks the kernel and says it; absent: nobody. */
  readonly isLogRead?: boolean
  readonly allow: readonly Prefix[]
  readonly gateways: readonly Gateway[]
  readonly blocks: InParts<Block>
  readonly suspensions: InParts<Suspension>
  /**
   * The lanes, in parts: a part that did not change has to be the same array, so that one change among a hundred
   * thousand members costs a look at its part.
   */
  readonly members: readonly (readonly Member[])[]
}

/** A returning address with up to so many accounts has its bucket multiplied by this. */
export const RETURNING_TIERS = [
  { tier: 1, accounts: 5, rate: 1, burst: 1 },
  { tier: 2, accounts: 50, rate: 4, burst: 10 },
  { tier: 3, accounts: Number.POSITIVE_INFINITY, rate: 20, burst: 100 },
] as const

export type ReturningTier = (typeof RETURNING_TIERS)[number]['tier']

export function returningTier(accounts: number): ReturningTier {
  return RETURNING_TIERS.find((tier) => accounts <= tier.accounts)!.tier
}
