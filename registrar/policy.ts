import { BoundedMap } from './bounded-map.ts'
import { LockoutCount } from './lockout-count.ts'
import type { Prefix, Source } from './net/address.ts'
import { sourcePrefixOf } from './net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from './net/time.ts'

export interface PolicySettings {
  /** Consecutive failures of one account at one address before it is suspended. */
  readonly registerRetry: number
  readonly registerSuspend: boolean
  readonly registerSuspendTime: Seconds
  /** The lockout of an address: so many failures over any accounts within a time. */
  readonly block: { readonly failures: number; readonly within: Seconds; readonly for: Seconds }
}

export const DEFAULT_POLICY: PolicySettings = {
  registerRetry: 6,
  registerSuspend: true,
  registerSuspendTime: 180,
  block: { failures: 20, within: 600, for: 3_600 },
}

/**
 * Who could have forged the failure. `path`: it carried a nonce that only the source can have received. `packet`:
 * nothing proves that the source sent it.
 */
export type FailureGrade = 'packet' | 'path'

export interface Failure {
  /** As the request named it; it need not exist. */
  readonly account: string
  readonly source: Source
  readonly at: EpochMilliseconds
  readonly grade: FailureGrade
  /** Whether this address and port has lately succeeded: then failures of grade `packet` count for nothing. */
  readonly proven?: boolean
}

export interface FailureEvidence {
  readonly failures: number
  /** Distinct accounts that failed. */
  readonly accounts: number
  /** Distinct accounts that succeeded from there lately. */
  readonly goodAccounts: number
  /** How long ago the first of these failures was. */
  readonly sinceMs: Milliseconds
}

export interface Suspended {
  readonly kind: 'suspend'
  readonly account: string
  /** Where the last failure came from: the address and port that the kernel may suspend. */
  readonly source: Source
  /** `account-address`: refused wherever in `prefix` it comes from. `account-port`: at this address and port only. */
  readonly unit: 'account-address' | 'account-port'
  readonly prefix: Prefix
  readonly until: EpochMilliseconds
  readonly grade: FailureGrade
  readonly evidence: FailureEvidence & { readonly account: string }
}

export interface LockedOut {
  readonly kind: 'lockout'
  readonly prefix: Prefix
  readonly source: Source
  readonly scope: 'sip'
  readonly until: EpochMilliseconds
  readonly grade: 'path'
  readonly evidence: FailureEvidence & { readonly lastAccount: string }
}

export type PolicyOutcome = { readonly kind: 'none'; readonly failures: number } | Suspended | LockedOut

/** An account at a source, asked about at a time. */
export interface Standing {
  readonly account: string
  readonly source: Source
  readonly now: EpochMilliseconds
  /**
   * Whether this account has a live binding (or another recent success) from this very address and port. Such a
   * phone stays served while others of its address are suspended, unless it is the one that failed.
   */
  readonly proven: boolean
}

/**
 * The retry and suspend policy, for the registrar (every failure `path`) and for a guard that reads a softswitch's
 * answers. No clock and no I/O. A failure never counts for another source, and a success clears the count of its own
 * account at its own source only.
 */
export class RetryPolicy {
  #settings: PolicySettings
  readonly #failing: BoundedMap<string, Failing>
  readonly #suspended: BoundedMap<string, Suspension>
  readonly #lockedOut: BoundedMap<Prefix, LockedOut>
  readonly #lockouts: LockoutCount

  constructor({
    settings = DEFAULT_POLICY,
    capacity = 65_536,
  }: { settings?: PolicySettings; capacity?: number } = {}) {
    this.#settings = settings
    this.#failing = new BoundedMap({ capacity })
    this.#suspended = new BoundedMap({ capacity })
    this.#lockedOut = new BoundedMap({ capacity })
    this.#lockouts = new LockoutCount({ capacity })
  }

  /** Other numbers from now on; what is suspended stays so for the time it was told. */
  set settings(settings: PolicySettings) {
    this.#settings = settings
  }

  get settings(): PolicySettings {
    return this.#settings
  }

  /** Entries held, and how many had to be let go because a table was full. */
  get stats(): { failing: number; suspended: number; lockedOut: number; sources: number; letGo: number } {
    return {
      failing: this.#failing.size,
      suspended: this.#suspended.size,
      lockedOut: this.#lockedOut.size,
      sources: this.#lockouts.size,
      letGo: this.#failing.letGo + this.#suspended.letGo + this.#lockedOut.letGo + this.#lockouts.letGo,
    }
  }

  recordFailure(failure: Failure): PolicyOutcome {
    const { account, source, at, grade } = failure
    if (grade === 'packet' && failure.proven) return { kind: 'none', failures: 0 }
    const prefix = sourcePrefixOf(source.address)
    const unit = grade === 'path' ? 'account-address' : 'account-port'
    const key = keyOf(account, source, unit)
    const known = this.#failing.get(key)
    const fresh = !known || at - known.lastAt > FORGOTTEN_AFTER
    const failing = fresh ? { count: 0, firstAt: at, lastAt: at, ports: [source.port] } : known
    failing.count++
    failing.lastAt = at
    note(failing.ports, source.port)
    this.#failing.set(key, failing)

    const lockout = grade === 'path' ? this.#countTowardsLockout(failure, prefix) : undefined
    if (lockout) return lockout
    if (!this.#settings.registerSuspend || failing.count < this.#settings.registerRetry) {
      return { kind: 'none', failures: failing.count }
    }
    this.#failing.delete(key)
    const until = at + this.#settings.registerSuspendTime * 1000
    this.#suspended.set(key, { account, prefix, until, ports: failing.ports })
    const evidence = {
      account,
      failures: failing.count,
      accounts: 1,
      goodAccounts: this.#lockouts.goodAccounts(prefix, at),
      sinceMs: at - failing.firstAt,
    }
    return { kind: 'suspend', account, source, unit, prefix, until, grade, evidence }
  }

  recordSuccess({ account, source, at }: { account: string; source: Source; at: EpochMilliseconds }): void {
    this.#failing.delete(keyOf(account, source, 'account-address'))
    this.#failing.delete(keyOf(account, source, 'account-port'))
    this.#lockouts.noteSuccess(sourcePrefixOf(source.address), account, at)
  }

  /** Accounts that succeeded at this source within the last hour, counted up to some dozens. */
  goodAccounts(prefix: Prefix, now: EpochMilliseconds): number {
    return this.#lockouts.goodAccounts(prefix, now)
  }

  /** Until when this account is refused at this source; undefined where it is not. */
  suspendedUntil({ account, source, now, proven }: Standing): EpochMilliseconds | undefined {
    if (this.#suspended.size === 0) return undefined
    let until: EpochMilliseconds | undefined
    for (const unit of ['account-address', 'account-port'] as const) {
      const key = keyOf(account, source, unit)
      const suspension = this.#suspended.get(key)
      if (!suspension) continue
      if (suspension.until <= now) {
        this.#suspended.delete(key)
      } else if (!proven || suspension.ports.includes(source.port)) {
        until = Math.max(until ?? 0, suspension.until)
      }
    }
    return until
  }

  /** Until when an address is locked out, whatever the account; undefined where it is not. */
  lockedOutUntil({ source, now }: { source: Source; now: EpochMilliseconds }): EpochMilliseconds | undefined {
    if (this.#lockedOut.size === 0) return undefined
    const prefix = sourcePrefixOf(source.address)
    const lockout = this.#lockedOut.get(prefix)
    if (!lockout) return undefined
    if (lockout.until > now) return lockout.until
    this.#lockedOut.delete(prefix)
    return undefined
  }

  /** Takes back whatever stands against a source: of one account, or of all of them with the lockout too. */
  release({ prefix, account }: { prefix: Prefix; account?: string }): {
    suspensions: number
    lockouts: number
  } {
    let suspensions = 0
    for (const [key, suspension] of this.#suspended.entries()) {
      if (suspension.prefix !== prefix || (account !== undefined && suspension.account !== account)) continue
      this.#suspended.delete(key)
      suspensions++
    }
    if (account !== undefined) return { suspensions, lockouts: 0 }
    this.#lockouts.forget(prefix)
    return { suspensions, lockouts: this.#lockedOut.delete(prefix) ? 1 : 0 }
  }

  #countTowardsLockout({ account, source, at }: Failure, prefix: Prefix): LockedOut | undefined {
    const { block } = this.#settings
    const evidence = this.#lockouts.noteFailure(prefix, account, at, block)
    if (!evidence) return undefined
    const lockout: LockedOut = {
      kind: 'lockout',
      prefix,
      source,
      scope: 'sip',
      until: at + block.for * 1000,
      grade: 'path',
      evidence: { ...evidence, lastAccount: account },
    }
    this.#lockedOut.set(prefix, lockout)
    return lockout
  }
}

interface Failing {
  count: number
  firstAt: EpochMilliseconds
  lastAt: EpochMilliseconds
  /** The last ports that failed, oldest first. */
  readonly ports: number[]
}

interface Suspension {
  readonly account: string
  readonly prefix: Prefix
  readonly until: EpochMilliseconds
  readonly ports: readonly number[]
}

/** A failure an hour ago says nothing about the one of now. */
const FORGOTTEN_AFTER: Milliseconds = 3_600_000
const PORTS_KEPT = 16
/** An account's name is the attacker's choice: what is kept of it has an end. */
const ACCOUNT_KEPT = 128

function note(ports: number[], port: number): void {
  if (ports.includes(port)) return
  if (ports.length === PORTS_KEPT) ports.shift()
  ports.push(port)
}

function keyOf(account: string, source: Source, unit: Suspended['unit']): string {
  const place =
    unit === 'account-address' ? sourcePrefixOf(source.address) : `${source.address} ${source.port}`
  return `${place} ${account.slice(0, ACCOUNT_KEPT)}`
}
