import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import { type FailureGrade, type PolicyOutcome, RetryPolicy } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { escalated, FailingAddress, HOPPING_PORTS, portKey } from './failing-address.ts'
import { FailingPort, TRIES_OF_A_PHONE } from './failing-port.ts'
import {
  cutConnection,
  type FailureCounts,
  guessingPortVerdict,
  lockoutVerdict,
  strangerVerdict,
  suspendVerdict,
  unprovenPortsVerdict,
} from './failure-verdicts.ts'
import { FEWEST_ACCOUNTS, PORTS_A_PHONE } from './looks-like-phones.ts'
import { ProvenPorts } from './proven-ports.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

const MOST_SOURCES = 65_536
const MOST_PORTS = 16_384
/** With so many good accounts behind it an address is an office, whose ports are suspended one by one for ever. */
export const OFFICE = 16
/** A phone that fails does so some times in ten minutes; beyond this for each good account, guessing is what goes on. */
const FAILURES_A_GOOD_ACCOUNT = 10
/** An SBC or proxy brings many accounts from one port: for one that fails the others must not suffer. */
const ACCOUNTS_OF_AN_AGGREGATOR = 2
/** Over TCP one is enough, since a cut connection is cut for all that it carries. */
const ACCOUNTS_OF_A_SHARED_CONNECTION = 1
/** One account and so many ports: as many as no phone has, whatever the account. */
const FAR_TOO_MANY_PORTS = 8
const LONGEST_NAME = 128

/** What is known of the source that failed. */
export interface FailingSource {
  /** Somebody at this source is registered right now. */
  readonly liveBinding: boolean
  /** Where a live binding is known from before a restart, nobody knows its port. How many accounts there were; else 0. */
  readonly restored: number
  /** No success within the last days, nor known from before a restart. */
  readonly stranger: boolean
  /** Accounts that registered from there within about a day, up to some dozens, those of before a restart with them. */
  readonly goodAccounts: number
  /** Those that were seen to do so. */
  readonly seenGood: number
  /** An SBC or proxy is there, which brings many accounts. */
  readonly isAggregator: boolean
}

/**
 * From refused credentials to measures that fit: first the address and port that fails; then, when it hops from port
 * to port and good traffic is a small share, all ports of its source that are not registered; and a block when it
 * tries several accounts as phones do not, and nobody good is behind it. Over TCP a port is a connection, which is cut.
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
  readonly #ports: BoundedMap<string, FailingPort>

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

  /** Accounts that registered from this source within the last hour, up to some dozens: for one, where no day is remembered. */
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
    { liveBinding, restored, stranger }: Pick<FailingSource, 'liveBinding' | 'restored' | 'stranger'>,
  ): FailureGrade | undefined {
    // A refusal without a challenge says nothing about who asked (access lists and VOS3000 answer so).
    if (ended.outcome === 'failure' && ended.grade !== 'packet' && (stranger || isCertain(ended)))
      return 'path'
    if (!isOverSentNonce(ended) && !stranger) return undefined
    // After a restart nobody knows which port of a live binding is the proven one: then each may be.
    const mayBeProven = liveBinding && restored > 0
    return mayBeProven || this.#provenPorts.isProven(ended.source, ended.time) ? undefined : 'packet'
  }

  /** What a failure leads to. */
  failed(ended: ExchangeEnded, about: FailingSource): readonly Verdict[] {
    const grade = this.believed(ended, about)
    if (grade === undefined) return []
    const { account, source, time } = ended
    const port = this.#noteAtPort(ended)
    const address = this.#noteAtAddress(ended, grade)
    if (port.allAccounts(time) >= FEWEST_ACCOUNTS) address.noteSeveralFromPort(time)
    const outcome = this.#retry.recordFailure({ account, source, at: time, grade })
    const facts = { about, grade, port, address }
    const verdicts = this.#judge(ended, outcome, facts)
    if (verdicts.length === 0) return verdicts
    const counted = { failures: port.accounts.events(time), accounts: port.accounts.names(time) }
    if (ended.method !== undefined && this.#isOwnersFault(ended, counted)) return []
    port.accounts.clear()
    return verdicts.map((verdict) => reaching(this.#sparing(verdict, ended, facts), ended))
  }

  /** A registered port that fails on another account or two now and then is a PBX with a wrong password for a trunk. */
  #isOwnersFault(
    { source, time }: ExchangeEnded,
    { failures, accounts }: Pick<FailureCounts, 'failures' | 'accounts'>,
  ): boolean {
    const isFew = accounts < FEWEST_ACCOUNTS && failures < this.#policy.block.failures
    return isFew && this.#provenPorts.isProven(source, time)
  }

  pardon(prefix: Prefix): void {
    this.#retry.release({ prefix })
    this.#addresses.delete(prefix)
  }

  #judge(ended: ExchangeEnded, outcome: PolicyOutcome, facts: Facts): readonly Verdict[] {
    const { time, source } = ended
    const { about, grade, port, address } = facts
    const { goodAccounts: good } = about
    const { registerSuspend, registerSuspendTime, block } = this.#policy
    const nobodyGood = good === 0 && !about.liveBinding
    const looksLikePhones = () => address.looksLikePhones(time, { good, stranger: about.stranger })
    const phones = looksLikePhones()
    // Where nonces are shared anybody can forge a failure over one: a stranger's address may be taken for it, no other.
    const mayTakeAll = grade === 'path' || (isOverSentNonce(ended) && about.stranger && nobodyGood)
    if (nobodyGood && mayTakeAll && !phones) {
      const isLockout = outcome.kind === 'lockout' || this.#isLockout(address, time)
      if (grade === 'path' && isLockout) return [this.#lockOut(ended, address, outcome)]
      if (grade === 'packet' && registerSuspend && this.#isSpreadOut(address, time)) {
        return [this.#suspendStranger(ended, address)]
      }
    }
    if (outcome.kind === 'lockout' && !nobodyGood && !phones) {
      const hops = address.ports.names(time) >= HOPPING_PORTS
      if (hops && this.#isSmallShare(address, facts, ended))
        return [this.#suspendUnproven(ended, address, good)]
      // One wrong try of a registered phone is not what the others are locked out for.
      if (port.accounts.names(time) >= FEWEST_ACCOUNTS || !this.#provenPorts.isProven(source, time)) {
        return this.#atPort(
          lockoutVerdict(
            { ...outcome, evidence: { ...outcome.evidence, goodAccounts: good } },
            { time, ...about },
          ),
          ended,
          facts,
        )
      }
    }
    // An office spares its address a lockout: then the port that guesses is locked out by itself.
    const spread = port.accounts.names(time)
    const guessesFromPort = spread >= FEWEST_ACCOUNTS && port.accounts.events(time) >= block.failures
    if (outcome.kind !== 'suspend' && !(guessesFromPort && registerSuspend)) return []

    if (mayTakeAll) address.noteSuspended(source, time)
    const hops = mayTakeAll && address.suspendedPorts(time) >= HOPPING_PORTS && !looksLikePhones()
    if (hops && !nobodyGood && this.#isSmallShare(address, facts, ended)) {
      const unproven = this.#suspendUnproven(ended, address, good)
      return isConnection(ended, grade) ? [...this.#cut(ended, outcome, facts), unproven] : [unproven]
    }
    if (!hops || !nobodyGood) return this.#cut(ended, outcome, facts)
    // Who never registered has longer to wait each time that he comes back.
    const before = about.stranger ? address.suspended(time) : 0
    const duration = escalated(before, this.#policy)
    const whole =
      outcome.kind === 'suspend'
        ? suspendVerdict(outcome, { time, wholeSource: true, duration, times: before + 1 })
        : guessingPortVerdict(ended, {
            grade,
            failures: port.accounts.events(time),
            accounts: spread,
            goodAccounts: good,
            wholeSource: true,
            duration: Math.max(duration, grade === 'path' ? block.for : registerSuspendTime),
          })
    return isConnection(ended, grade) ? [...this.#cut(ended, outcome, facts), whole] : [whole]
  }

  /** The port alone that fails. */
  #cut(
    ended: ExchangeEnded,
    outcome: PolicyOutcome,
    { about, grade, port, address }: Facts,
  ): readonly Verdict[] {
    const { time } = ended
    const { registerSuspendTime, block } = this.#policy
    const verdict =
      outcome.kind === 'suspend'
        ? suspendVerdict(outcome, { time, wholeSource: false, duration: registerSuspendTime })
        : guessingPortVerdict(ended, {
            grade,
            failures: port.accounts.events(time),
            accounts: port.accounts.names(time),
            goodAccounts: about.goodAccounts,
            wholeSource: false,
            duration: grade === 'path' ? block.for : registerSuspendTime,
          })
    return this.#atPort(verdict, ended, { about, grade, port, address })
  }

  /** Over TCP a port is one connection: no packet of it may reach the softswitch any more. */
  #atPort(verdict: Verdict, ended: ExchangeEnded, { grade }: Facts): readonly Verdict[] {
    return [isConnection(ended, grade) ? cutConnection(verdict) : verdict]
  }

  /** As many failures over accounts as nobody makes who means no harm; phones are asked for before. */
  #isLockout({ path }: FailingAddress, now: EpochMilliseconds): boolean {
    return path.events(now) >= this.#policy.block.failures && path.names(now) >= FEWEST_ACCOUNTS
  }

  /** Nobody good is there: the address is locked out. */
  #lockOut(ended: ExchangeEnded, address: FailingAddress, outcome: PolicyOutcome): Verdict {
    const { time, source, account } = ended
    const { within, for: duration } = this.#policy.block
    const { path } = address
    const counts = { failures: path.events(time), accounts: path.names(time) }
    address.clear()
    if (outcome.kind === 'lockout') return lockoutVerdict(outcome, { time })
    return lockoutVerdict(
      {
        source,
        until: time + duration * 1_000,
        evidence: {
          ...counts,
          goodAccounts: 0,
          lastAccount: account.slice(0, LONGEST_NAME),
          sinceMs: within * 1_000,
        },
      },
      { time },
    )
  }

  /**
   * A guesser who owns a good account, or sits beside a few: the ports of his address that are not registered are
   * suspended as a whole. The kernel asks for proven ports first, so the good phones do not notice.
   */
  #suspendUnproven(ended: ExchangeEnded, address: FailingAddress, goodAccounts: number): Verdict {
    const counts = countsOf(address, ended.time)
    const before = address.suspended(ended.time)
    const duration = escalated(counts.accounts < FEWEST_ACCOUNTS ? 0 : before, this.#policy)
    return unprovenPortsVerdict(ended, { ...counts, goodAccounts, times: before + 1, duration })
  }

  /** As many failures, accounts and ports as no phone has: the lockout's counterpart where nonces are shared. */
  #isSpreadOut({ accounts, ports }: FailingAddress, now: EpochMilliseconds): boolean {
    const spread = ports.names(now)
    const several = accounts.names(now) >= FEWEST_ACCOUNTS && spread >= HOPPING_PORTS
    return accounts.events(now) >= this.#policy.block.failures && (several || spread > FAR_TOO_MANY_PORTS)
  }

  #suspendStranger(ended: ExchangeEnded, address: FailingAddress): Verdict {
    const counts = countsOf(address, ended.time)
    const before = address.suspended(ended.time)
    address.clear()
    return strangerVerdict(ended, { ...counts, times: before + 1, duration: escalated(before, this.#policy) })
  }

  /** Whether failures outweigh the good traffic of an address so far that its unproven ports may go together. */
  #isSmallShare(address: FailingAddress, { about }: Facts, { time, transport }: ExchangeEnded): boolean {
    const { goodAccounts: good, seenGood, liveBinding, stranger } = about
    // Just restarted: who is good there is not known yet, so his port alone is what a failure costs.
    if (seenGood === 0 && liveBinding) return false
    if (good >= OFFICE) return false
    const accounts = address.accounts.names(time)
    const failures = address.accounts.events(time)
    // Over TCP a phone with a wrong password may have a new port for each try: what tells it from a guesser is its pace.
    const isPaceOfPhones = transport === 'udp' || failures <= TRIES_OF_A_PHONE * accounts
    if (transport === 'tcp' && accounts < FEWEST_ACCOUNTS && isPaceOfPhones) return false
    if (isPaceOfPhones && address.looksLikePhones(time, { good, stranger })) return false
    // Phones with wrong passwords have an account and a port or two each; who has many more ports than that hops.
    const fewPorts = transport === 'tcp' || address.ports.names(time) <= PORTS_A_PHONE * accounts
    if (isPaceOfPhones && good >= 2 && good >= accounts && fewPorts) return false
    return failures > FAILURES_A_GOOD_ACCOUNT * good
  }

  /** Passwords that were tried from one port; who is refused without any guesses nothing. */
  #noteAtPort({ source, account, outcome, time }: ExchangeEnded): FailingPort {
    const key = portKey(source)
    const port = this.#ports.get(key) ?? new FailingPort(this.#policy.block.within)
    if (outcome !== 'failure') return port
    port.add(account, time)
    this.#ports.set(key, port)
    return port
  }

  /** What was made up over nonces that nobody was given says nothing of an address. */
  #noteAtAddress(ended: ExchangeEnded, grade: FailureGrade): FailingAddress {
    const { source, account, time, transport } = ended
    const prefix = sourcePrefixOf(source.address)
    const { within } = this.#policy.block
    const address = this.#addresses.get(prefix) ?? new FailingAddress({ within })
    if (grade === 'path' || isOverSentNonce(ended)) {
      address.accounts.add(account, time)
      if (grade === 'path') address.path.add(account, time)
      if (!this.#provenPorts.isProven(source, time)) address.notePort(source, transport, time)
    }
    this.#addresses.set(prefix, address)
    return address
  }

  /**
   * A port that brings more good accounts than failing ones is an SBC's or a PBX's: its failing accounts only inform. Not
   * where it fails faster than phones do, over TCP, whose connections the kernel does not limit.
   */
  #sparing(verdict: Verdict, ended: ExchangeEnded, { about, port, address }: Facts): Verdict {
    const { source, account, time, transport } = ended
    if (verdict.port === null) return verdict
    const isTcp = transport === 'tcp'
    if (isTcp && port.isTooFast(time)) return verdict
    const failing = address.accounts.names(time)
    const others = this.#provenPorts.othersAt(source, account, time)
    const spare = (why: string): Verdict => ({
      ...verdict,
      action: 'limit',
      scope: 'register',
      reason: `${verdict.reason}; not ${isTcp ? 'cut off' : 'suspended'}, since ${why}`,
    })
    const enough = isTcp ? ACCOUNTS_OF_A_SHARED_CONNECTION : ACCOUNTS_OF_AN_AGGREGATOR
    const failingThere = isTcp ? port.allAccounts(time) : failing
    if (others.count >= enough && (failingThere <= others.count || others.more)) {
      const [are, s] = others.count === 1 ? ['is', ''] : ['are', 's']
      return spare(
        `${others.count}${others.more ? ' or more' : ''} other account${s} ${are} registered from this very port`,
      )
    }
    if (isTcp && about.isAggregator) return spare('an SBC or proxy brings many accounts from this address')
    if (about.restored > ACCOUNTS_OF_AN_AGGREGATOR && this.#provenPorts.isUnheardOf(source)) {
      return spare(
        `${about.restored} accounts were registered here before the restart, maybe from this very port`,
      )
    }
    return verdict
  }
}

/** Who guesses by INVITE is not stopped by the loss of his REGISTERs. */
function reaching(verdict: Verdict, { method }: ExchangeEnded): Verdict {
  if (method === undefined) return verdict
  const reason = `${verdict.reason.replace('failed registrations', 'refused passwords')}, the last one in ${method}`
  return { ...verdict, scope: verdict.action === 'suspend' ? 'sip' : verdict.scope, reason }
}

/** What a failure is judged by. */
interface Facts {
  readonly about: FailingSource
  readonly grade: FailureGrade
  readonly port: FailingPort
  readonly address: FailingAddress
}

/** Whether its port is a connection whose other end is proven to be there. */
function isConnection({ transport }: ExchangeEnded, grade: FailureGrade): boolean {
  return transport === 'tcp' && grade === 'path'
}

/** Whether it is known that the softswitch gives nonces to one source each. A handshake needs no nonce. */
function isCertain({ pathCertain, transport }: ExchangeEnded): boolean {
  return transport === 'tcp' || pathCertain !== false
}

/** Credentials over a nonce that went last to this very address and port. */
function isOverSentNonce({ outcome, answersItsChallenge }: ExchangeEnded): boolean {
  return outcome === 'failure' && answersItsChallenge
}

function countsOf({ accounts, ports }: FailingAddress, now: EpochMilliseconds): FailureCounts {
  return { failures: accounts.events(now), accounts: accounts.names(now), ports: ports.names(now) }
}
