import type { Address, Prefix } from '../registrar/net/address.ts'
import type { EpochMilliseconds } from '../registrar/net/time.ts'

/** A token bucket of one source: so many packets a second, after `burst` at once. */
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
}

/** `register`: UDP REGISTERs and new TCP connections. `sip`: everything on the SIP ports. */
export type BlockScope = 'register' | 'sip'

export interface Block {
  readonly target: Prefix
  readonly scope: BlockScope
  /** When the kernel lets it go by itself; null for one that stands until it is taken back. */
  readonly until: EpochMilliseconds | null
}

/** A suspended address and port (a port of 0 stands for every port of the address). */
export interface Suspension {
  readonly address: Address
  readonly port: number
  readonly until: EpochMilliseconds
}

/** All that the kernel should hold. A plain value: two equal ones mean the same rules and sets. */
export interface DesiredState {
  readonly traffic: ProtectedTraffic
  readonly limits: {
    readonly register: Limit
    /** While `enforced` is false the kernel only lists the sources that would be limited. */
    readonly sip: Limit & { readonly enforced: boolean }
  }
  readonly allow: readonly Prefix[]
  readonly blocks: readonly Block[]
  readonly suspensions: readonly Suspension[]
}
