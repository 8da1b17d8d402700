import type { DigestHashes } from '../../registrar/digest.ts'
import type { Address, Prefix } from '../../registrar/net/address.ts'
import type { Seconds } from '../../registrar/net/time.ts'

/** The configuration file, read and checked: a plain value, defaults filled in, every time in seconds. */
export interface Config {
  /** `observe` does everything but touch the kernel. */
  readonly mode: 'enforce' | 'observe'
  readonly protect: {
    readonly interfaces: readonly string[]
    /** `local`: whatever address this host has. Else the addresses behind this gateway. */
    readonly addresses: 'local' | readonly Prefix[]
    readonly ports: { readonly udp: readonly number[]; readonly tcp: readonly number[] }
  }
  readonly limits: {
    readonly register: RateLimit
    /** `enforce: false` only lists who would be limited. */
    readonly sip: RateLimit & { readonly enforce: boolean }
  }
  readonly policy: {
    /** Consecutive failures before a suspension. */
    readonly registerRetry: number
    readonly registerSuspend: boolean
    readonly registerSuspendTime: Seconds
    /** So many REGISTERs within the window, none of which led to a success: a block of scope register. */
    readonly flood: { readonly registers: number; readonly within: Seconds; readonly for: Seconds }
    /** Brute-force lockout: so many failures within the window. */
    readonly block: { readonly failures: number; readonly within: Seconds; readonly for: Seconds }
  }
  readonly allow: readonly Prefix[]
  readonly sensor: { readonly engine: 'auto' | 'pcap' | 'cap' | 'tcpdump' }
  readonly dashboard: {
    readonly enabled: boolean
    readonly listen: Endpoint
    readonly passwordFile: string
  }
  readonly registrar: {
    readonly enabled: boolean
    readonly realm: string
    /** Each is served over UDP and TCP. */
    readonly listen: readonly Endpoint[]
    readonly minExpires: Seconds
    readonly maxExpires: Seconds
    readonly maxBindings: number
    readonly registerReplace: boolean
    readonly accounts: readonly ConfiguredAccount[]
  }
  readonly control: {
    /** Path of the Unix socket that the command line talks to. */
    readonly socket: string
    /** The group that may open the socket, beside root. */
    readonly group: string
  }
  /** The folder of the journal and of what must outlive a restart. */
  readonly data: string
}

/** A token bucket of one source: so many packets a second, after `burst` at once. */
export interface RateLimit {
  readonly perSecond: number
  readonly burst: number
}

export interface Endpoint {
  readonly host: Address
  readonly port: number
}

/** A registrar account. A password in the file is hashed while it is read and kept nowhere. */
export interface ConfiguredAccount {
  readonly user: string
  readonly ha1: DigestHashes
}
