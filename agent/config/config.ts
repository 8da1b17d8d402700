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
    /** `asked`: responses pass from whom the softswitch sent a request to. `any`: from everybody. */
    readonly responses: 'asked' | 'any'
  }
  /** Every rate, also those that the file writes a minute, is a second's. */
  readonly limits: {
    /** REGISTERs a second that the softswitch can answer; `auto`: as its own answers tell. */
    readonly capacity: 'auto' | number
    /** Whether `total` and `strict.total` follow what is left of the capacity; then the numbers are where they begin. */
    readonly follow: { readonly total: boolean; readonly strict: boolean }
    /** REGISTERs of one unknown source (IPv4 address, IPv6 /64), of one /24 or /48, and of all of them. */
    readonly register: RateLimit
    readonly prefix: RateLimit
    readonly total: RateLimit
    /** The same under attack, and of one address and port. */
    readonly strict: {
      readonly when: 'auto' | 'always' | 'never'
      readonly port: RateLimit
      readonly source: RateLimit
      readonly prefix: RateLimit
      readonly total: RateLimit
    }
    /** REGISTERs of one proven or answered address and port, of one returning address, of one ignoring source. */
    readonly proven: RateLimit
    readonly answered: RateLimit
    readonly returning: RateLimit
    readonly ignoring: RateLimit
    /** Other SIP of one unknown source, of one prefix, of all. `enforce: false` only lists which sources would be limited. */
    readonly sip: RateLimit & {
      readonly prefix: RateLimit
      readonly total: RateLimit
      readonly enforce: boolean
    }
    readonly ceiling: RateLimit
    readonly rest: RateLimit
    /** New TCP connections of one source; how many may stand at once. */
    readonly connections: RateLimit & {
      readonly prefix: RateLimit
      readonly most: 'auto' | 'none' | number
    }
  }
  readonly gateways: readonly ConfiguredGateway[]
  /** How much the kernel may remember; `auto` follows the memory of the host. */
  readonly kernel: KernelSettings
  readonly policy: {
    /** Consecutive failures before a suspension. */
    readonly registerRetry: number
    readonly registerSuspend: boolean
    readonly registerSuspendTime: Seconds
    /** What holds under attack, where it is the stricter one. */
    readonly attack: { readonly registerRetry: number; readonly registerSuspendTime: Seconds }
    /** So many REGISTERs within the window, none of which led to a success: a block of scope register. */
    readonly flood: { readonly registers: number; readonly within: Seconds; readonly for: Seconds }
    /** Brute-force lockout: so many failures within the window. */
    readonly block: { readonly failures: number; readonly within: Seconds; readonly for: Seconds }
    /** The same over hours, over three or more accounts. */
    readonly slowGuessing: { readonly failures: number; readonly within: Seconds; readonly for: Seconds }
    /** So many accounts that never registered here asked for by one source: a block of scope register. */
    readonly scan: { readonly accounts: number; readonly within: Seconds; readonly for: Seconds }
    /** So many REGISTERs of one source that cannot be read: a block of scope register. */
    readonly malformed: { readonly registers: number; readonly within: Seconds; readonly for: Seconds }
    /** An account that fails from so many sources raises an alert. */
    readonly accountGuessed: { readonly sources: number; readonly within: Seconds }
  }
  readonly allow: readonly Prefix[]
  readonly sensor: {
    readonly engine: 'auto' | 'pcap' | 'cap' | 'tcpdump'
    /** The group of the kernel's log (NFLOG) that requests are read from under a flood; `auto`: 5060. */
    readonly nflog: 'auto' | 'off' | number
  }
  /** Paths of the softswitch's own logs, for what the sensor cannot see; null for those that are not read. */
  readonly evidence: {
    readonly asterisk: string | null
    readonly freeswitch: string | null
    readonly vos3000: string | null
  }
  /** Traffic summed up, to try another policy on it; `days: 0` keeps none. */
  readonly history: { readonly days: number }
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

/** A trunk with its calls a second, from its profile or by number. */
export interface ConfiguredGateway {
  readonly name: string
  readonly prefixes: readonly Prefix[]
  readonly cps: RateLimit
}

export interface KernelSettings {
  readonly elements: 'auto' | number
  readonly buckets: 'auto' | number
  readonly seen: 'auto' | number
}

/** A token bucket: so many packets a second, after `burst` at once. */
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
