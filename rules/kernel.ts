import type { Family } from '../registrar/net/address.ts'
import type { Seconds } from '../registrar/net/time.ts'
import type { BuiltInChain, SetPurpose } from './names.ts'

/** One element of an own set, as the kernel holds it. */
export interface ObservedElement {
  /** Remaining seconds; 0 where the element stands until it is deleted. */
  readonly timeout: Seconds
  readonly packets: number
  readonly bytes: number
}

export interface ObservedSet {
  /** What decides whether the set is of the form we want, e.g. `hash:net family inet maxelem 65536 counters`. */
  readonly form: string
  /** The number of elements that the kernel reports; some of them may have expired a moment ago. */
  readonly size: number
  /** Element text to what is known of it; undefined where the elements were not asked for. */
  readonly elements: ReadonlyMap<string, ObservedElement> | undefined
}

export interface ObservedRule {
  /** The rule as `iptables-save` prints it, e.g. `-A RINGFENCE -i lo -j RETURN`. */
  readonly text: string
  readonly packets: number
  readonly bytes: number
}

/** The table `raw` of one family, as far as it is ours. */
export interface ObservedChains {
  /** Own chains by name, each with its rules in order. */
  readonly own: ReadonlyMap<string, readonly ObservedRule[]>
  /** All rules of the chains that others use too, in order. */
  readonly builtIn: Readonly<Record<BuiltInChain, readonly ObservedRule[]>>
}

export interface ObservedState {
  readonly chains: { readonly 4: ObservedChains; readonly 6: ObservedChains }
  /** Own sets by name. */
  readonly sets: ReadonlyMap<string, ObservedSet>
  /** Sets that were left by a change that was cut short, or by another version. */
  readonly straySets: readonly string[]
  /** Families whose chains could not be read, and why; where neither could be, `observe` throws. They seem empty above. */
  readonly unreadable?: ReadonlyMap<Family, KernelError>
}

/** A line that the kernel did not take, with its words. */
export interface RefusedLine {
  readonly line: string
  readonly message: string
}

/**
 * The kernel as the engine sees it: text goes in, observations come out. `IptablesKernel` is the real one,
 * `ImaginedKernel` the one in memory; `test/rules/kernel-contract.ts` holds both to the same behaviour.
 * A kernel whose world is broken throws `KernelError`.
 */
export interface Kernel {
  /** E.g. `iptables-nft`, `iptables-legacy`, `imagined`; `unknown` before anything was asked of it. */
  readonly backend: string
  /** `elements`: the purposes of the sets whose elements are read. Foreign sets are never read. */
  observe(options: { readonly elements: readonly SetPurpose[] }): Promise<ObservedState>
  /**
   * Runs set commands (`create`, `add`, `del`, `flush`, `destroy`, `swap` as `ipset` reads them) in order; all but
   * `swap` are idempotent. A line that is refused does not keep the others from being taken.
   */
  applySets(commands: readonly string[]): Promise<readonly RefusedLine[]>
  /** Loads the payload of one `iptables-restore --noflush`: all of it, or nothing and a `KernelError`. */
  applyChains(family: Family, text: string): Promise<void>
  /**
   * Rules of others that name a chain or set of ours, in any table of the family, each as a command; what others made
   * in another way than by iptables is not found. Throws `KernelError`.
   */
  usersOfOurs(family: Family): Promise<readonly string[]>
  /** Whether somebody reads this group of the kernel's log (NFLOG). Never throws: where nobody can tell, it is read. */
  isLogRead(group: number): Promise<boolean>
  close(): Promise<void>
}

export type KernelErrorKind =
  /** A program is not installed. */
  | 'missing-program'
  /** Not root, or without CAP_NET_ADMIN. */
  | 'not-permitted'
  /** A program refused what it was given. */
  | 'refused'
  /** A program did not answer in time, or died. */
  | 'no-answer'

/** The kernel could not be asked or changed. The message says in one sentence what to do, where that is known. */
export class KernelError extends Error {
  readonly kind: KernelErrorKind
  /** The offending line of the payload, where it is known. */
  readonly line: string | null

  constructor(kind: KernelErrorKind, message: string, line: string | null = null) {
    super(message)
    this.name = 'KernelError'
    this.kind = kind
    this.line = line
  }
}
