import {
  type Address,
  familyOf,
  type Prefix,
  prefixContains,
  prefixHolds,
  prefixOfAddress,
  type Source,
  showPrefix,
  sourcePrefixOf,
} from '../../registrar/net/address.ts'
import type { Clock, EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Block, InParts, Suspension } from '../../rules/desired-state.ts'
import type { Verdict } from '../detect/verdict.ts'
import type { AllowEntry, Decision, DecisionTarget, NewDecision } from '../journal/entries.ts'
import { type Journal, JournalError } from '../journal/journal.ts'
import { Allowlist } from './allowlist.ts'
import { OPERATOR } from './kernel-items.ts'
import type { SparedFrom, SparedLists } from './spared.ts'
import { StandingDecisions } from './standing-decisions.ts'

/** Who ended a decision that made room: what the journal says of it. */
const DISPLACED = 'a verdict of grade path that needed its place'

export interface DecisionsOptions {
  readonly journal: Journal
  readonly clock: Clock
  readonly configured: SparedLists
  /** The host's own addresses, of now. */
  readonly ownAddresses: () => Iterable<Address>
  readonly capacity: DecisionRoom
  /** Something that the kernel should hold has changed. */
  readonly onChange: (what: DecisionChange) => void
}

/**
 * What changed: the `lists` of those who are spared, what stands by an `order`, or by a `verdict`, of which there may be
 * thousands.
 */
export type DecisionChange = 'lists' | 'order' | 'verdict'

/** How much may stand at once. Verdicts and the operator have sets of their own, so neither takes the other's places. */
export interface DecisionRoom {
  /** Decisions of verdicts, of all kinds together. */
  readonly verdicts: number
  /** Blocks of the operator, in each family. */
  readonly orders: number
}

/** What became of what stood when a target came on the allowlist. */
export interface Allowed {
  /** All that lay wholly inside it: taken back. */
  readonly lifted: readonly Decision[]
  /** Blocks of more than the target: they stand, for the rest of theirs. */
  readonly wider: readonly Decision[]
}

/** What became of a verdict. */
export type Decided =
  | { readonly kind: 'made'; readonly decision: Decision }
  | { readonly kind: 'extended'; readonly decision: Decision }
  | { readonly kind: 'none'; readonly why: 'informs-only' | 'stands-already' | 'full' | SparedFrom }

/**
 * The decisions that stand: what is blocked or suspended, until when, by whom, and who is never to be. Every
 * change is in the journal before the kernel hears of it.
 */
export class Decisions {
  /** Verdicts that found no place among the others. */
  refusedFull = 0
  /** Decisions of grade packet that had to go before their time, for a verdict of grade path. */
  displaced = 0
  /** Changes that the journal could not take: they stand, but do not outlive a restart. */
  journalFailures = 0
  readonly #options: DecisionsOptions
  readonly #standing: StandingDecisions
  readonly #allowlist: Allowlist
  #capacity: DecisionRoom
  #nextUnwrittenId = -1

  constructor(options: DecisionsOptions) {
    this.#options = options
    this.#capacity = options.capacity
    this.#allowlist = new Allowlist(options)
    this.#standing = new StandingDecisions(options)
    for (const decision of [...options.journal.standingDecisions(options.clock())].reverse())
      this.#standing.put(decision)
  }

  /** Newest first; those that ran out are gone. */
  standing(): Decision[] {
    return this.#standing.oldestFirst().reverse()
  }

  get size(): number {
    return this.#standing.size
  }

  /** How many verdicts have made stand. */
  get verdictCount(): number {
    return this.#standing.verdictCount
  }

  /** How many of each kind stand. */
  get counts(): { readonly blocks: number; readonly suspensions: number } {
    return this.#standing.counts
  }

  /** Decisions that touch this address: on itself, its /64, a prefix around it, or one of its ports. */
  about(address: Address): Decision[] {
    return this.#standing.about(address).reverse()
  }

  isAllowed(address: Address): boolean {
    return this.#allowlist.spared.allows(address)
  }

  /** The prefix of the allowlist that holds the whole target, so that nothing is dropped for it; undefined where none does. */
  allowedAround(target: DecisionTarget): Prefix | undefined {
    return this.#allowlist.spared.allowedAround(
      target.kind === 'prefix' ? target.prefix : prefixOfAddress(target.address),
    )
  }

  /** The operator's list with that of the configuration, or of another one. */
  allowedPrefixes(configured?: readonly Prefix[]): readonly Prefix[] {
    return this.#allowlist.prefixes(configured)
  }

  get configuredAllow(): readonly Prefix[] {
    return this.#allowlist.configured
  }

  get operatorAllow(): readonly AllowEntry[] {
    return this.#allowlist.operator
  }

  /** A reloaded configuration file brings its own lists. */
  configure(configured: SparedLists, { capacity }: { readonly capacity: DecisionRoom }): void {
    this.#capacity = capacity
    this.#allowlist.configure(configured)
    this.#options.onChange('lists')
  }

  /** Why the operator may not block a target, in one sentence; undefined where he may. Asked before `order`. */
  refusalOfOrder(target: Prefix): string | undefined {
    const refusal = this.#allowlist.spared.fromOrder(target)
    if (refusal !== undefined) return refusal
    const family = familyOf(target)
    const { orders } = this.#capacity
    const isNew = !this.#standing.find({
      kind: 'block',
      target: { kind: 'prefix', prefix: target },
      scope: 'sip',
      by: OPERATOR,
    })
    if (!isNew || this.#standing.orderCount(family) < orders) return undefined
    return `${showPrefix(target)} found no place: ${orders} blocks of IPv${family} that the operator ordered stand, and the kernel's set holds no more. Take some back, or raise kernel.elements.`
  }

  decide(verdict: Verdict): Decided {
    if (verdict.action === 'limit' || verdict.action === 'alert') return { kind: 'none', why: 'informs-only' }
    const until = verdict.time + verdict.duration * 1000
    const target: DecisionTarget =
      verdict.port === null
        ? { kind: 'prefix', prefix: verdict.prefix ?? sourcePrefixOf(verdict.address) }
        : { kind: 'source', address: verdict.address, port: verdict.port }
    const sparedFrom = this.#allowlist.spared.fromVerdict(target, verdict.address)
    if (sparedFrom !== undefined) return { kind: 'none', why: sparedFrom }
    const kind = verdict.action === 'block' ? 'block' : 'suspend'
    const { scope, name: by } = verdict
    const ordered = this.#standing.find({ kind, target, scope, by: OPERATOR })
    if (ordered && outlasts(ordered.until, until)) return { kind: 'none', why: 'stands-already' }
    const known = this.#standing.find({ kind, target, scope, by })
    if (known) {
      if (outlasts(known.until, until)) return { kind: 'none', why: 'stands-already' }
      this.#write(() => this.#options.journal.extendDecision(known.id, until))
      const extended = { ...known, until }
      this.#standing.put(extended)
      this.#options.onChange('verdict')
      return { kind: 'extended', decision: extended }
    }
    if (!this.#hasRoom && !(verdict.grade === 'path' && this.#displace())) {
      this.refusedFull++
      return { kind: 'none', why: 'full' }
    }
    const decision = this.#record({
      kind,
      target,
      scope,
      since: verdict.time,
      until,
      by,
      who: null,
      grade: verdict.grade,
      reason: verdict.reason,
      evidence: verdict.evidence,
    })
    this.#options.onChange('verdict')
    return { kind: 'made', decision }
  }

  /**
   * Forged floods make as many decisions as there are addresses: those must not keep the place from somebody who is
   * known to be there. Says whether a place is free now.
   */
  #displace(): boolean {
    const oldest = this.#standing.oldestForgeable()
    if (oldest === undefined) return false
    this.#write(() =>
      this.#options.journal.endDecision(oldest.id, { at: this.#options.clock(), by: DISPLACED }),
    )
    this.#standing.delete(oldest)
    this.displaced++
    return this.#hasRoom
  }

  /** Whether one more verdict finds a place. */
  get #hasRoom(): boolean {
    return this.verdictCount < this.#capacity.verdicts
  }

  /**
   * The operator's word: scope sip, everything on the SIP ports. Replaces an earlier one on the same target. What
   * `refusalOfOrder` refuses must not come here.
   */
  order(order: { target: Prefix; until: EpochMilliseconds | null; reason: string; who: string }): Decision {
    const target: DecisionTarget = { kind: 'prefix', prefix: order.target }
    const known = this.#standing.find({ kind: 'block', target, scope: 'sip', by: OPERATOR })
    if (known) {
      this.#write(() =>
        this.#options.journal.endDecision(known.id, { at: this.#options.clock(), by: order.who }),
      )
    }
    const decision = this.#record({
      kind: 'block',
      target,
      scope: 'sip',
      since: this.#options.clock(),
      until: order.until,
      by: OPERATOR,
      who: order.who,
      grade: null,
      reason: order.reason,
      evidence: {},
    })
    this.#options.onChange('order')
    return decision
  }

  /** Takes back what stands on exactly this target; for a single address its suspended ports too. */
  lift(target: Prefix | Source, who: string): Decision[] {
    const lifted = this.#end(this.#standing.on(target), who)
    if (lifted.length > 0) this.#options.onChange('order')
    return lifted
  }

  /**
   * Puts a target on the operator's allowlist. What stands against nothing but addresses in it is taken back; a block of
   * more than that stands for the others, since the kernel asks the allowlist first anyway.
   */
  allow(entry: AllowEntry): Allowed {
    this.#allowlist.add(entry)
    const inside = this.#standing
      .oldestFirst()
      .filter(({ target }) =>
        target.kind === 'source'
          ? prefixContains(entry.target, target.address)
          : prefixHolds(entry.target, target.prefix),
      )
    const lifted = this.#end(inside, entry.who)
    const wider = this.standing().filter(
      ({ target }) => target.kind === 'prefix' && prefixHolds(target.prefix, entry.target),
    )
    this.#options.onChange('lists')
    return { lifted, wider }
  }

  disallow(target: Prefix): AllowEntry | undefined {
    const removed = this.#allowlist.remove(target)
    if (removed) this.#options.onChange('lists')
    return removed
  }

  /** The blocks that the kernel should hold. A suspension of a whole source is a block of scope register. */
  blocks(): InParts<Block> {
    return this.#standing.blocks()
  }

  /** The suspended ports that the kernel should hold. */
  suspensions(): InParts<Suspension> {
    return this.#standing.suspensions()
  }

  #record(decision: NewDecision): Decision {
    const recorded = this.#write(() => this.#options.journal.recordDecision(decision)) ?? {
      ...decision,
      id: this.#nextUnwrittenId--,
      endedAt: null,
      endedBy: null,
    }
    this.#standing.put(recorded)
    return recorded
  }

  #end(ended: Decision[], who: string): Decision[] {
    for (const decision of ended) {
      this.#write(() =>
        this.#options.journal.endDecision(decision.id, { at: this.#options.clock(), by: who }),
      )
      this.#standing.delete(decision)
    }
    return ended
  }

  /** A full disk must not keep an attacker out of the kernel's sets: it is counted, and the decision stands. */
  #write<T>(change: () => T): T | undefined {
    try {
      return change()
    } catch (error) {
      if (!(error instanceof JournalError)) throw error
      this.journalFailures++
      return undefined
    }
  }
}

/** Null is for ever. */
function outlasts(standing: EpochMilliseconds | null, until: EpochMilliseconds): boolean {
  return standing === null || standing >= until
}
