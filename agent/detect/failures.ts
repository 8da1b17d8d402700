import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import { type FailureGrade, type PolicyOutcome, RetryPolicy } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { FailingAddress, HOPPING_PORTS, portKey } from './failing-address.ts'
import {
  type FailureCounts,
  guessingPortVerdict,
  lockoutVerdict,
  strangerVerdict,
  suspendVerdict,
  unprovenPortsVerdict,
} from './failure-verdicts.ts'
import { ProvenPorts } from './proven-ports.ts'
import { RecentNames } from './recent-names.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

const MOST_SOURCES = 65_536
const MOST_PORTS = 16_384
/** With so many good accounts behind it an address is an office, whose ports are suspended one by one for ever. */
export const OFFICE = 16
/** A phone that fails does so some times in ten minutes; beyond this for each good account, guessing is what goes on. */
const FAILURES_A_GOOD_ACCOUNT = 10
const PORTS_A_PHONE = 2
/** One port, one device: what fails for so many accounts from there is no phone with a wrong password. */
const FEWEST_ACCOUNTS = 3
/** An SBC or proxy brings many accounts from one port: for one that fails the others must not suffer. */
const ACCOUNTS_OF_AN_AGGREGATOR = 2

/** What is known of the source that failed. */
export interface FailingSource {
  /** Somebody at this source is registered right now. */
  readonly liveBinding: boolean
  /** Where a live binding is known from before a restart, nobody knows its port. How many accounts there were; else 0. */
  readonly restored: number
  /** No success within the last days, nor known from before a restart. */
  readonly stranger: boolean
}

/**
 * From refused credentials to measures that fit: first the address and port that fails; then, when it hops from port
 * to port and good traffic is a small share, all ports of its source that are not registered; and a block when it
 * tries several accounts and nobody good is behind it.
 *
 * What anybody could have forged (grade packet) suspends an address and port that never succeeded, and that only over
 * a nonce which was sent to that very port. A nonce that was never seen to go there proves nothing at all: whoever
 * writes a customer's address over made-up nonces makes the softswitch refuse them, and would have him suspended while
 * he is away for a moment. It counts only against strangers, who had no success within days.
 */
export class FailureLadder {
  #policy: DetectionPolicy
  readonly #retry: RetryPolicy
  readonly #provenPorts: ProvenPorts
  readonly #addresses: BoundedMap<Prefix, FailingAddress>
  readonly #ports: BoundedMap<string, RecentNames>

  constructor(policy: DetectionPolicy, { capacity = MOST_SOURCES }: { capacity?: number } = {}) {
    this.#policy = policy
    this.#retry = new RetryPolicy({ settings: policy, capacity: Math.min(capacity, MOST_SOURCES) })
    this.#provenPorts = new ProvenPorts({ capacity: Math.min(capacity, MOST_SOURCES) })
    this.#addresses = new BoundedMap({ capacity: Math.min(capacity, MOST_PORTS) })
    this.#ports = new BoundedMap({ capacity: Math.min(capacity, MOST_PORTS) })
  }

  /** Other thresholds from now on; what stands stays for the time that it was told. */
  configure(policy: DetectionPolicy): void {
    this.#policy = policy
    this.#retry.settings = policy
  }

  /** Entries held, for the bounds that tests hold it to. */
  get size(): number {
    const { failing, suspended, lockedOut, sources } = this.#retry.stats
    const own = this.#provenPorts.size + this.#addresses.size + this.#ports.size
    return failing + suspended + lockedOut + sources + own
  }

  get provenPorts(): ProvenPorts {
    return this.#provenPorts
  }

  /** Accounts that registered from this source within the last hour, up to some dozens. */
  goodAccounts(prefix: Prefix, now: EpochMilliseconds): number {
    return this.#retry.goodAccounts(prefix, now)
  }

  /** A registration succeeded; `until` is when it ends, undefined where it removed bindings. */
  succeeded({ account, source, time }: ExchangeEnded, until: EpochMilliseconds | undefined): void {
    this.#retry.recordSuccess({ account, source, at: time })
    if (until !== undefined) this.#provenPorts.put(source, account, { now: time, until })
  }

  /** How far a failure is believed: undefined where it counts for nothing. */
  believed(
    ended: ExchangeEnded,
    { liveBinding, restored, stranger }: FailingSource,
  ): FailureGrade | undefined {
    // A refusal without a challenge says nothing about who asked (access lists and VOS3000 answer so).
    if (ended.outcome === 'failure' && ended.grade !== 'packet') return 'path'
    if (!isOverSentNonce(ended) && !stranger) return undefined
    // After a restart nobody knows which port of a live binding is the proven one: then each may be.
    const mayBeProven = liveBinding && restored > 0
    return mayBeProven || this.#provenPorts.isProven(ended.source, ended.time) ? undefined : 'packet'
  }

  /** What a failure leads to. */
  failed(ended: ExchangeEnded, about: FailingSource): Verdict | undefined {
    const grade = this.believed(ended, about)
    if (grade === undefined) return undefined
    const { account, source, time } = ended
    const port = this.#noteAtPort(ended)
    const address = this.#noteAtAddress(ended, grade)
    const outcome = this.#retry.recordFailure({ account, source, at: time, grade })
    const verdict = this.#judge(ended, outcome, { about, grade, port, address })
    if (!verdict) return undefined
    port.clear()
    return this.#sparingAggregators(verdict, ended, { about, failing: address.accounts.names(time) })
  }

  pardon(prefix: Prefix): void {
    this.#retry.release({ prefix })
    this.#addresses.delete(prefix)
  }

  #judge(
    ended: ExchangeEnded,
    outcome: PolicyOutcome,
    facts: { about: FailingSource; grade: FailureGrade; port: RecentNames; address: FailingAddress },
  ): Verdict | undefined {
    const { time, source, transport } = ended
    const { about, grade, port, address } = facts
    const good = this.goodAccounts(sourcePrefixOf(source.address), time)
    const nobodyGood = good === 0 && !about.liveBinding
    if (outcome.kind === 'lockout') {
      if (nobodyGood) return lockoutVerdict(outcome, { time })
      const hops = address.ports.names(time) >= HOPPING_PORTS
      if (hops && this.#isSmallShare(address, { about, good, ended })) {
        return this.#suspendUnproven(ended, address, good)
      }
      return lockoutVerdict(outcome, { time, liveBinding: about.liveBinding })
    }
    const { registerSuspend, registerSuspendTime, block } = this.#policy
    // Where nonces are shared anybody can forge a failure over one: a stranger's address may be taken for it, no other.
    const mayTakeAll = grade === 'path' || (isOverSentNonce(ended) && about.stranger && nobodyGood)
    if (mayTakeAll && grade === 'packet' && registerSuspend && this.#isSpreadOut(address, time)) {
      return this.#suspendStranger(ended, address)
    }
    // An office spares its address a lockout: then the port that guesses is locked out by itself.
    const spread = port.names(time)
    const guessesFromPort = spread >= FEWEST_ACCOUNTS && port.events(time) >= block.failures
    if (outcome.kind === 'none' && !(guessesFromPort && registerSuspend)) return undefined

    const hops = mayTakeAll && address.hops(source, time)
    if (hops && !nobodyGood && this.#isSmallShare(address, { about, good, ended })) {
      return this.#suspendUnproven(ended, address, good)
    }
    // Over TCP a port is one connection and never comes back: what can be refused is the next connection.
    const wholeSource = nobodyGood && (hops || (grade === 'path' && transport === 'tcp'))
    if (outcome.kind === 'suspend') return suspendVerdict(outcome, { time, wholeSource })
    return guessingPortVerdict(ended, {
      grade,
      failures: port.events(time),
      accounts: spread,
      goodAccounts: good,
      wholeSource,
      duration: grade === 'path' ? block.for : registerSuspendTime,
    })
  }

  /**
   * A guesser who owns a good account, or sits beside a few: the ports of his address that are not registered are
   * suspended as a whole. The kernel asks for proven ports first, so the good phones do not notice.
   */
  #suspendUnproven(ended: ExchangeEnded, address: FailingAddress, goodAccounts: number): Verdict {
    const counts = countsOf(address, ended.time)
    const before = address.suspended(ended.time)
    const duration = this.#escalated(counts.accounts < FEWEST_ACCOUNTS ? 0 : before)
    return unprovenPortsVerdict(ended, { ...counts, goodAccounts, times: before + 1, duration })
  }

  /** As many failures, accounts and ports as no phone has: the lockout's counterpart where nonces are shared. */
  #isSpreadOut({ accounts, ports }: FailingAddress, now: EpochMilliseconds): boolean {
    const { failures } = this.#policy.block
    return (
      accounts.events(now) >= failures &&
      accounts.names(now) >= FEWEST_ACCOUNTS &&
      ports.names(now) >= HOPPING_PORTS
    )
  }

  #suspendStranger(ended: ExchangeEnded, address: FailingAddress): Verdict {
    const counts = countsOf(address, ended.time)
    address.accounts.clear()
    return strangerVerdict(ended, { ...counts, duration: this.#policy.registerSuspendTime })
  }

  #escalated(times: number): Seconds {
    const { registerSuspendTime, block } = this.#policy
    return Math.max(registerSuspendTime, Math.min(block.for, registerSuspendTime * 2 ** Math.min(times, 20)))
  }

  /** Whether failures outweigh the good traffic of an address so far that its unproven ports may go together. */
  #isSmallShare(
    address: FailingAddress,
    { about, good, ended }: { about: FailingSource; good: number; ended: ExchangeEnded },
  ): boolean {
    const { time, transport } = ended
    // Just restarted: who is good there is not known yet, so his port alone is what a failure costs.
    if (good === 0 && about.liveBinding) return false
    if (good >= OFFICE) return false
    const accounts = address.accounts.names(time)
    // Over TCP a phone with a wrong password has a new port for each try too.
    if (transport === 'tcp' && accounts < FEWEST_ACCOUNTS) return false
    // Phones with wrong passwords have an account and a port or two each; who has many more ports than that hops.
    const looksLikePhones = transport === 'tcp' || address.ports.names(time) <= PORTS_A_PHONE * accounts
    if (good >= 2 && good >= accounts && looksLikePhones) return false
    return address.accounts.events(time) > FAILURES_A_GOOD_ACCOUNT * good
  }

  /** Passwords that were tried from one port; who is refused without any guesses nothing. */
  #noteAtPort({ source, account, outcome, time }: ExchangeEnded): RecentNames {
    const key = portKey(source)
    const port = this.#ports.get(key) ?? new RecentNames(this.#policy.block.within)
    if (outcome !== 'failure') return port
    port.add(account, time)
    this.#ports.set(key, port)
    return port
  }

  /** What was made up over nonces that nobody was given says nothing of an address. */
  #noteAtAddress(ended: ExchangeEnded, grade: FailureGrade): FailingAddress {
    const { source, account, time } = ended
    const prefix = sourcePrefixOf(source.address)
    const { within } = this.#policy.block
    const address = this.#addresses.get(prefix) ?? new FailingAddress({ within, now: time })
    if (grade === 'path' || isOverSentNonce(ended)) {
      address.accounts.add(account, time)
      if (!this.#provenPorts.isProven(source, time)) address.ports.add(portKey(source), time)
    }
    this.#addresses.set(prefix, address)
    return address
  }

  /** A port that brings more good accounts than failing ones is an SBC's or a PBX's: its failing accounts only inform. */
  #sparingAggregators(
    verdict: Verdict,
    { source, account, time }: ExchangeEnded,
    { about, failing }: { about: FailingSource; failing: number },
  ): Verdict {
    if (verdict.port === null || verdict.action === 'block') return verdict
    const others = this.#provenPorts.othersAt(source, account, time)
    const spare = (why: string): Verdict => ({
      ...verdict,
      action: 'limit',
      reason: `${verdict.reason}; not suspended, since ${why}`,
    })
    if (others.count >= ACCOUNTS_OF_AN_AGGREGATOR && (failing <= others.count || others.more)) {
      return spare(
        `${others.count}${others.more ? ' or more' : ''} other accounts are registered from this very port`,
      )
    }
    if (about.restored > ACCOUNTS_OF_AN_AGGREGATOR && this.#provenPorts.isUnheardOf(source)) {
      return spare(
        `${about.restored} accounts were registered here before the restart, maybe from this very port`,
      )
    }
    return verdict
  }
}

/** Credentials over a nonce that went last to this very address and port. */
function isOverSentNonce({ outcome, answersItsChallenge }: ExchangeEnded): boolean {
  return outcome === 'failure' && answersItsChallenge
}

function countsOf({ accounts, ports }: FailingAddress, now: EpochMilliseconds): FailureCounts {
  return { failures: accounts.events(now), accounts: accounts.names(now), ports: ports.names(now) }
}
