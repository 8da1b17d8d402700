import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import { type FailureGrade, type PolicyOutcome, RetryPolicy, type Suspended } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { escalated, FailingAddress, HOPPING_PORTS } from './failing-address.ts'
import { FailingPort } from './failing-port.ts'
import type { FailingSource } from './failing-source.ts'
import {
  isCertain,
  isConnection,
  isOfVeryPort,
  isOverIssuedNonce,
  isOverSentNonce,
} from './failure-evidence.ts'
import {
  cutConnection,
  type FailureCounts,
  guessingPortVerdict,
  lockoutVerdict,
  reaching,
  slowedVerdict,
  strangerVerdict,
  suspendVerdict,
  unprovenPortsVerdict,
} from './failure-verdicts.ts'
import { ForgeableGuesses } from './forgeable-guesses.ts'
import type { LaneEvidence } from './lane-evidence.ts'
import { FEWEST_ACCOUNTS } from './looks-like-phones.ts'
import { portKey } from './port-key.ts'
import { ProvenPorts } from './proven-ports.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'
import { isSmallShare, sparing } from './who-is-spared.ts'

const MOST_SOURCES = 65_536
/** Accounts that fail, each at its source: two for each of the addresses and ports that are told apart. */
const MOST_FAILING = 32_768
const MOST_PORTS = 16_384
/** One account and so many ports: as many as no phone has, whatever the account. */
const FAR_TOO_MANY_PORTS = 8
const LONGEST_NAME = 128

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
  readonly #forgeable: ForgeableGuesses
  readonly #onLane: (evidence: LaneEvidence) => void

  constructor(
    policy: DetectionPolicy,
    {
      capacity = MOST_SOURCES,
      onLane = () => {},
    }: { capacity?: number; onLane?: (evidence: LaneEvidence) => void } = {},
  ) {
    this.#policy = policy
    this.#retry = new RetryPolicy({ settings: policy, capacity: Math.min(capacity, MOST_FAILING) })
    this.#provenPorts = new ProvenPorts({ capacity: Math.min(capacity, MOST_SOURCES) })
    this.#addresses = new BoundedMap({ capacity: Math.min(capacity, MOST_PORTS) })
    this.#ports = new BoundedMap({ capacity: Math.min(capacity, MOST_PORTS) })
    this.#forgeable = new ForgeableGuesses(policy, { capacity })
    this.#onLane = onLane
  }

  /** Other thresholds from now on; what stands stays for the time that it was told. */
  configure(policy: DetectionPolicy): void {
    this.#policy = policy
    this.#retry.settings = policy
    this.#forgeable.configure(policy)
  }

  /** Entries held, for the bounds that tests hold it to. */
  get size(): number {
    const { failing, suspended, lockedOut, sources } = this.#retry.stats
    const own = this.#provenPorts.size + this.#addresses.size + this.#ports.size + this.#forgeable.size
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
    this.#ports.get(portKey(source))?.succeeded(account)
    if (until !== undefined) this.#provenPorts.put(source, account, { now: time, until })
  }

  /** How far a failure is believed: undefined where it counts for nothing. */
  believed(
    ended: ExchangeEnded,
    { liveBinding, restored, stranger }: Pick<FailingSource, 'liveBinding' | 'restored' | 'stranger'>,
  ): FailureGrade | undefined {
    // After a restart nobody knows which port of a live binding is the proven one: then each may be.
    const mayBeProven = (liveBinding && restored > 0) || this.#provenPorts.isProven(ended.source, ended.time)
    // A refusal without a challenge says nothing about who asked (access lists and VOS3000 answer so).
    if (ended.outcome === 'failure' && ended.grade !== 'packet' && (stranger || isCertain(ended))) {
      // His neighbour behind the same address has nonces of that address too, and a forger may write any port over them.
      return mayBeProven && !isOfVeryPort(ended) ? undefined : 'path'
    }
    if (!isOverSentNonce(ended) && !stranger) return undefined
    return mayBeProven ? undefined : 'packet'
  }

  /** What a failure leads to. */
  failed(ended: ExchangeEnded, about: FailingSource): readonly Verdict[] {
    const grade = this.believed(ended, about)
    if (grade === undefined) return this.#tellForgeable(ended)
    const { account, source, time } = ended
    const port = this.#noteAtPort(ended)
    const address = this.#noteAtAddress(ended, grade, about)
    if (port.allAccounts(time) >= FEWEST_ACCOUNTS) address.noteSeveralFromPort(time)
    const outcome = this.#retry.recordFailure({ account, source, at: time, grade })
    const row = this.#rowAtPort(ended, { grade, outcome, port })
    const facts = { about, grade, port, address, row }
    const slowed = this.#slowed(ended, facts)
    const verdicts = this.#judge(ended, outcome, facts)
    if (verdicts.length === 0) return slowed
    const counted = { failures: port.accounts.events(time), accounts: port.accounts.names(time) }
    if (ended.method !== undefined && this.#isOwnersFault(ended, counted)) return slowed
    port.measured(account)
    const judged = { about, port, address, provenPorts: this.#provenPorts }
    return [...slowed, ...verdicts.map((verdict) => reaching(sparing(verdict, ended, judged), ended))]
  }

  /** Over a nonce that somebody was given, from a registered port: people are told, and nothing else may follow. */
  #tellForgeable(ended: ExchangeEnded): readonly Verdict[] {
    const { source, time, outcome, method } = ended
    if (outcome !== 'failure' || method !== undefined) return []
    if (!isOverSentNonce(ended) && ended.nonceIssued !== true) return []
    if (!this.#provenPorts.isProven(source, time)) return []
    const told = this.#forgeable.failed(ended, this.#provenPorts.accountsAt(source, time))
    return told ? [told] : []
  }

  /**
   * What suspends a port has to have come from that very port, or a forger who owns a nonce of the address spreads his
   * failures over ports, and the last of them is somebody else's.
   */
  #rowAtPort(
    ended: ExchangeEnded,
    {
      grade,
      outcome,
      port,
    }: {
      readonly grade: FailureGrade
      readonly outcome: PolicyOutcome
      readonly port: FailingPort
    },
  ): Suspended | undefined {
    const { account, source, time } = ended
    const ofAddress = outcome.kind === 'suspend' ? outcome : undefined
    // Over TCP every try may have a port of its own, and nobody else can have written it.
    if (grade === 'packet' || (isConnection(ended, grade) && ofAddress)) return ofAddress
    const { failures, firstAt } = port.addToRow(account, time)
    const { registerRetry, registerSuspend, registerSuspendTime } = this.#policy
    if (!registerSuspend || failures < registerRetry) return undefined
    return {
      kind: 'suspend',
      account,
      source,
      unit: 'account-port',
      prefix: sourcePrefixOf(source.address),
      until: time + registerSuspendTime * 1_000,
      grade,
      evidence: {
        account,
        failures,
        accounts: 1,
        goodAccounts: this.#retry.goodAccounts(sourcePrefixOf(source.address), time),
        sinceMs: time - firstAt,
      },
    }
  }

  /**
   * Where everybody gets the same nonces, what fails beyond all phones may be forged. Then nobody is suspended for it: the
   * address's ports that are not registered share the smallest bucket of the kernel until it is over.
   */
  #slowed(ended: ExchangeEnded, { about, grade, address }: Facts): readonly Verdict[] {
    if (grade !== 'packet' || about.stranger || about.isAggregator || ended.outcome !== 'failure') return []
    const { time, source } = ended
    const spread = address.spread('packet')
    const beyond = spread.beyondPhones(about.goodAccounts)
    if (!beyond) return []
    spread.clear(time)
    // Who goes on while he is slowed stays so; it is told when it begins.
    const goesOn = time < address.slowedUntil
    const before = goesOn ? 0 : address.suspended(time)
    const duration = escalated(before, this.#policy)
    const until = Math.max(address.slowedUntil, time + duration * 1_000)
    address.slow(until)
    this.#onLane({ kind: 'guessing', at: time, source: sourcePrefixOf(source.address), until })
    if (goesOn) return []
    const { goodAccounts } = about
    return [slowedVerdict(ended, { ...beyond, goodAccounts, times: before + 1, duration })]
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
    const { time } = ended
    const { about, grade, port, address, row } = facts
    const { goodAccounts: good } = about
    const { registerSuspend, registerSuspendTime, block } = this.#policy
    const nobodyGood = good === 0 && !about.liveBinding
    const looksLikePhones = () => address.looksLikePhones(time, { good, stranger: about.stranger })
    const phones = looksLikePhones()
    // What anybody can forge over a nonce that the softswitch gave to somebody: a stranger's address may be taken for it,
    // no other. Else a guesser with two addresses is believed nothing, who uses at each the nonces of the other.
    const mayTakeAll = grade === 'path' || (isOverIssuedNonce(ended) && about.stranger && nobodyGood)
    if (nobodyGood && mayTakeAll && !phones) {
      const isLockout = outcome.kind === 'lockout' || this.#isLockout(address, time)
      if (grade === 'path' && isLockout) return [this.#lockOut(ended, address, outcome)]
      if (grade === 'packet' && registerSuspend && this.#isSpreadOut(address, time)) {
        return [this.#suspendStranger(ended, address)]
      }
    }
    // An office spares its address a lockout: then the port that guesses is locked out by itself.
    const spread = port.accounts.names(time)
    const guessesFromPort = spread >= FEWEST_ACCOUNTS && port.accounts.events(time) >= block.failures
    const fails = row !== undefined || guessesFromPort
    if (grade === 'path' && !nobodyGood) {
      const beyond = this.#beyondPhones(ended, facts, { fails })
      if (beyond) return beyond
    }
    if (outcome.kind === 'lockout' && !nobodyGood && !phones) {
      const hops = address.ports.names(time) >= HOPPING_PORTS
      if (hops && isSmallShare(address, about, ended))
        return [...this.#cutToo(ended, facts, { fails }), this.#suspendUnproven(ended, address, good)]
      // One wrong try of a registered phone is not what the others are locked out for.
      const isOfPort = port.accounts.events(time) >= outcome.evidence.failures
      if (isOfPort && port.accounts.names(time) >= FEWEST_ACCOUNTS) {
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
    if (outcome.kind !== 'suspend' && !(fails && registerSuspend)) return []

    if (mayTakeAll) address.noteSuspended(ended, time)
    const hops = mayTakeAll && address.suspendedPorts(time) >= HOPPING_PORTS && !looksLikePhones()
    if (hops && !nobodyGood && isSmallShare(address, about, ended)) {
      return [...this.#cutToo(ended, facts, { fails }), this.#suspendUnproven(ended, address, good)]
    }
    if (!hops || !nobodyGood) return fails ? this.#cut(ended, facts) : []
    // Who never registered has longer to wait each time that he comes back.
    const before = about.stranger ? address.suspended(time) : 0
    const duration = escalated(before, this.#policy)
    const inRow = outcome.kind === 'suspend' ? outcome : row
    const whole =
      inRow !== undefined
        ? suspendVerdict(inRow, { time, wholeSource: true, duration, times: before + 1 })
        : guessingPortVerdict(ended, {
            grade,
            failures: port.accounts.events(time),
            accounts: spread,
            goodAccounts: good,
            wholeSource: true,
            duration: Math.max(duration, grade === 'path' ? block.for : registerSuspendTime),
          })
    return isConnection(ended, grade) ? [...this.#cut(ended, facts), whole] : [whole]
  }

  /**
   * Beyond all phones, beside however many good ones: the ports of the address that are not registered are suspended. The
   * kernel asks for proven ports first, so the good phones do not notice.
   */
  #beyondPhones(
    ended: ExchangeEnded,
    facts: Facts,
    { fails }: { readonly fails: boolean },
  ): readonly Verdict[] | undefined {
    const { time } = ended
    const { about, address, grade } = facts
    const { goodAccounts: good, seenGood, liveBinding } = about
    // Just restarted: who is good there is not known yet.
    if (seenGood === 0 && liveBinding) return undefined
    const spread = address.spread(grade)
    const beyond = spread.beyondPhones(good)
    if (!beyond) return undefined
    spread.clear(time)
    const before = address.suspended(time)
    const duration = escalated(before, this.#policy)
    const unproven = unprovenPortsVerdict(ended, {
      ...beyond,
      goodAccounts: good,
      times: before + 1,
      duration,
    })
    return [...this.#cutToo(ended, facts, { fails }), unproven]
  }

  /**
   * What a suspension of all ports that are not registered leaves out: a connection, which goes on, and a registered port
   * that itself fails as often as a port may. Else who registers an account at each port guesses from all of them.
   */
  #cutToo(ended: ExchangeEnded, facts: Facts, { fails }: { readonly fails: boolean }): readonly Verdict[] {
    const isLeftOut = fails && this.#provenPorts.isProven(ended.source, ended.time)
    return isLeftOut || isConnection(ended, facts.grade) ? this.#cut(ended, facts) : []
  }

  /** The port alone that fails. */
  #cut(ended: ExchangeEnded, facts: Facts): readonly Verdict[] {
    const { time } = ended
    const { about, grade, port, row } = facts
    const { registerSuspendTime, block } = this.#policy
    const verdict =
      row !== undefined
        ? suspendVerdict(row, { time, wholeSource: false, duration: registerSuspendTime })
        : guessingPortVerdict(ended, {
            grade,
            failures: port.accounts.events(time),
            accounts: port.accounts.names(time),
            goodAccounts: about.goodAccounts,
            wholeSource: false,
            duration: grade === 'path' ? block.for : registerSuspendTime,
          })
    return this.#atPort(verdict, ended, facts)
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
  #noteAtAddress(
    ended: ExchangeEnded,
    grade: FailureGrade,
    { stranger, goodAccounts, liveBinding, isKnownHere }: FailingSource,
  ): FailingAddress {
    const { source, account, time, transport } = ended
    const prefix = sourcePrefixOf(source.address)
    const { within } = this.#policy.block
    const address = this.#addresses.get(prefix) ?? new FailingAddress({ within })
    if (grade === 'path' || isOverSentNonce(ended) || (stranger && isOverIssuedNonce(ended))) {
      address.noteFailure(account, grade, time)
      if (!this.#provenPorts.isProven(source, time)) {
        address.notePort(source, transport, time)
        // Where nobody is good other measures come long before, and a flood from there must cost little.
        const isOffice = goodAccounts > 0 || liveBinding || !stranger
        if (isOffice && ended.outcome === 'failure') address.spread(grade).add(ended, { isKnownHere })
      }
    }
    this.#addresses.set(prefix, address)
    return address
  }
}

/** What a failure is judged by. */
interface Facts {
  readonly about: FailingSource
  readonly grade: FailureGrade
  readonly port: FailingPort
  readonly address: FailingAddress
  /** Failures in a row of one account from this very port, as many as suspend it. */
  readonly row: Suspended | undefined
}

function countsOf({ accounts, ports }: FailingAddress, now: EpochMilliseconds): FailureCounts {
  return { failures: accounts.events(now), accounts: accounts.names(now), ports: ports.names(now) }
}
