import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Prefix, type Source, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { type LockedOut, RetryPolicy, type Suspended } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

const MOST_SOURCES = 65_536
/** So many suspended ports of one source within this time: it changes its port to go on guessing. */
const HOPPING_PORTS = 3
const HOPPING_WITHIN: Milliseconds = 600_000

/** An SBC or proxy brings many accounts from one port: for one that fails the others must not suffer. */
const ACCOUNTS_OF_AN_AGGREGATOR = 2
const MOST_GOOD_ACCOUNTS = 8

interface ProvenPort {
  until: EpochMilliseconds
  /** Some of the accounts that are registered from there, and until when. */
  readonly accounts: Map<string, EpochMilliseconds>
}

interface Hopping {
  since: EpochMilliseconds
  readonly ports: Set<number>
}

/**
 * From refused credentials to measures that fit: first the address and port that fails, then its whole source when
 * it hops from port to port, then a block when it tries several accounts and nobody good is behind it. What anybody
 * could have forged (grade packet) suspends an address and port that never succeeded, and nothing more.
 */
export class FailureLadder {
  readonly #retry: RetryPolicy
  readonly #provenPorts = new BoundedMap<string, ProvenPort>({ capacity: MOST_SOURCES })
  readonly #hopping = new BoundedMap<Prefix, Hopping>({ capacity: MOST_SOURCES })

  constructor(policy: DetectionPolicy) {
    this.#retry = new RetryPolicy({ settings: policy, capacity: MOST_SOURCES })
  }

  /** A registration succeeded; `until` is when it ends, undefined where it removed bindings. */
  succeeded({ account, source, time }: ExchangeEnded, until: EpochMilliseconds | undefined): void {
    this.#retry.recordSuccess({ account, source, at: time })
    if (until === undefined) return
    const key = portKey(source)
    const port = this.#provenPorts.get(key) ?? { until: 0, accounts: new Map() }
    if (port.accounts.has(account) || port.accounts.size < MOST_GOOD_ACCOUNTS)
      port.accounts.set(account, until)
    port.until = Math.max(port.until, until)
    this.#provenPorts.set(key, port)
  }

  /** What a failure leads to. `liveBinding`: somebody at this source is registered right now. */
  failed(ended: ExchangeEnded, { liveBinding }: { liveBinding: boolean }): Verdict | undefined {
    const { account, source, time } = ended
    // A refusal without a challenge says nothing about who asked (access lists and VOS3000 answer so).
    const grade = ended.grade === 'packet' || ended.outcome === 'refused' ? 'packet' : 'path'
    // After a restart nobody knows which port of a live binding is the proven one: then each may be.
    const proven = liveBinding || (this.#provenPorts.get(portKey(source))?.until ?? 0) > time
    const outcome = this.#retry.recordFailure({ account, source, at: time, grade, proven })
    if (outcome.kind === 'none') return undefined
    const verdict =
      outcome.kind === 'lockout'
        ? lockoutVerdict(outcome, { time, liveBinding })
        : suspendVerdict(outcome, {
            time,
            // Over TCP a port is one connection and never comes back: what can be refused is the next connection.
            wholeSource:
              outcome.grade === 'path' &&
              !liveBinding &&
              (this.#hops(source, time) || ended.transport === 'tcp'),
          })
    const others = this.#othersRegisteredAt(source, account, time)
    if (others < ACCOUNTS_OF_AN_AGGREGATOR) return verdict
    const spared = `${others}${others >= MOST_GOOD_ACCOUNTS - 1 ? ' or more' : ''} other accounts are registered from this very port`
    return { ...verdict, action: 'limit', reason: `${verdict.reason}; not suspended, since ${spared}` }
  }

  /** Accounts that are registered from exactly this address and port, this one not counted. */
  #othersRegisteredAt(source: Source, account: string, now: EpochMilliseconds): number {
    let others = 0
    for (const [name, until] of this.#provenPorts.get(portKey(source))?.accounts ?? []) {
      if (name !== account && until > now) others++
    }
    return others
  }

  pardon(prefix: Prefix): void {
    this.#retry.release({ prefix })
    this.#hopping.delete(prefix)
  }

  #hops({ address, port }: Source, now: EpochMilliseconds): boolean {
    const prefix = sourcePrefixOf(address)
    let hopping = this.#hopping.get(prefix)
    if (!hopping || now - hopping.since > HOPPING_WITHIN) {
      hopping = { since: now, ports: new Set() }
      this.#hopping.set(prefix, hopping)
    }
    if (hopping.ports.size < HOPPING_PORTS) hopping.ports.add(port)
    return hopping.ports.size >= HOPPING_PORTS
  }
}

/**
 * Suspends the address and port that failed; `wholeSource`: the address (IPv6 /64), where it hops from port to port or
 * its port is a TCP connection.
 */
export function suspendVerdict(
  { source, grade, evidence, until }: Suspended,
  { time, wholeSource }: { time: EpochMilliseconds; wholeSource: boolean },
): Verdict {
  return {
    time,
    name: 'retry-limit',
    address: source.address,
    port: wholeSource ? null : source.port,
    action: 'suspend',
    scope: 'register',
    grade,
    reason: `${evidence.failures} failed registrations in a row for ${evidence.account || 'an unreadable account'}`,
    evidence: {
      account: evidence.account,
      failures: evidence.failures,
      goodAccounts: evidence.goodAccounts,
      seconds: Math.round(evidence.sinceMs / 1000),
    },
    duration: Math.round((until - time) / 1000),
  }
}

/** A lockout that would cut off somebody good takes the softer rung: the port alone. */
export function lockoutVerdict(
  { source, evidence, until }: LockedOut,
  { time, liveBinding = false }: { time: EpochMilliseconds; liveBinding?: boolean },
): Verdict {
  const softer = liveBinding || evidence.goodAccounts > 0
  const said = `${evidence.failures} failed registrations over ${evidence.accounts} accounts`
  return {
    time,
    name: 'lockout',
    address: source.address,
    port: softer ? source.port : null,
    action: softer ? 'suspend' : 'block',
    scope: softer ? 'register' : 'sip',
    grade: 'path',
    reason: softer ? `${said}; others at this address are registered, so its port alone is suspended` : said,
    evidence: {
      failures: evidence.failures,
      accounts: evidence.accounts,
      goodAccounts: evidence.goodAccounts,
      lastAccount: evidence.lastAccount,
      seconds: Math.round(evidence.sinceMs / 1000),
      liveBinding,
    },
    duration: Math.round((until - time) / 1000),
  }
}

function portKey({ address, port }: Source): string {
  return `${address} ${port}`
}
