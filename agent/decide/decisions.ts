import { ExpiryWheel, type Timed } from '../../registrar/expiry-wheel.ts'
import {
  type Address,
  type Family,
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
import type { Block, Suspension } from '../../rules/desired-state.ts'
import type { Verdict } from '../detect/verdict.ts'
import type { AllowEntry, Decision, DecisionTarget, NewDecision } from '../journal/entries.ts'
import { type Journal, JournalError } from '../journal/journal.ts'
import { KernelItems, OPERATOR } from './kernel-items.ts'
import { Spared, type SparedFrom, type SparedLists } from './spared.ts'

/** Who ended a decision that made room: what the journal says of it. */
const DISPLACED = 'displaced by a verdict of grade path'

/** One standing decision, with what the kernel should hold for it. */
interface Standing extends Timed {
  decision: Decision
}

export interface DecisionsOptions {
  readonly journal: Journal
  readonly clock: Clock
  readonly configured: SparedLists
  /** The host's own addresses, of now. */
  readonly ownAddresses: () => Iterable<Address>
  readonly capacity: DecisionRoom
  /** Something that the kernel should hold has changed; `soon`: by a verdict, of which there may be thousands. */
  readonly onChange: (when: 'now' | 'soon') => void
}

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
  readonly #standing = new Map<string, Standing>()
  /** Those of verdicts of grade packet, the oldest first. */
  readonly #displaceable = new Set<Standing>()
  readonly #wheel = new ExpiryWheel<Standing>()
  readonly #kernel = new KernelItems()
  #capacity: DecisionRoom
  #blockCount = 0
  /** Blocks of the operator. */
  readonly #orderCounts: Record<Family, number> = { 4: 0, 6: 0 }
  #operatorAllow: readonly AllowEntry[]
  #configured: SparedLists
  /** The allowlist of the configuration in force: the same list for as long as nothing changes it. */
  #allowed:
    | {
        readonly configured: readonly Prefix[]
        readonly operator: readonly AllowEntry[]
        readonly prefixes: readonly Prefix[]
      }
    | undefined
  #spared: Spared
  #nextUnwrittenId = -1

  constructor(options: DecisionsOptions) {
    this.#options = options
    this.#capacity = options.capacity
    this.#configured = options.configured
    this.#operatorAllow = options.journal.listAllow()
    this.#spared = this.#listSpared()
    for (const decision of [...options.journal.standingDecisions(options.clock())].reverse())
      this.#put(decision)
  }

  /** Newest first; those that ran out are gone. */
  standing(): Decision[] {
    this.#expire()
    return [...this.#standing.values()].map(({ decision }) => decision).reverse()
  }

  get size(): number {
    this.#expire()
    return this.#standing.size
  }

  /** How many verdicts have made stand. */
  get verdictCount(): number {
    this.#expire()
    return this.#standing.size - this.#orderCounts[4] - this.#orderCounts[6]
  }

  /** How many of each kind stand. */
  get counts(): { readonly blocks: number; readonly suspensions: number } {
    this.#expire()
    return { blocks: this.#blockCount, suspensions: this.#standing.size - this.#blockCount }
  }

  /** Decisions that touch this address: on itself, its /64, a prefix around it, or one of its ports. */
  about(address: Address): Decision[] {
    return this.standing().filter(({ target }) =>
      target.kind === 'prefix' ? prefixContains(target.prefix, address) : target.address === address,
    )
  }

  isAllowed(address: Address): boolean {
    return this.#spared.allows(address)
  }

  /** The prefix of the allowlist that holds the whole target, so that nothing is dropped for it; undefined where none does. */
  allowedAround(target: DecisionTarget): Prefix | undefined {
    return this.#spared.allowedAround(
      target.kind === 'prefix' ? target.prefix : prefixOfAddress(target.address),
    )
  }

  /** The operator's list with that of the configuration, or of another one. */
  allowedPrefixes(configured: readonly Prefix[] = this.#configured.allow): readonly Prefix[] {
    if (this.#allowed?.configured === configured && this.#allowed.operator === this.#operatorAllow)
      return this.#allowed.prefixes
    const prefixes = [...new Set([...configured, ...this.#operatorAllow.map(({ target }) => target)])]
    const allowed = { configured, operator: this.#operatorAllow, prefixes }
    if (configured === this.#configured.allow) this.#allowed = allowed
    return prefixes
  }

  get configuredAllow(): readonly Prefix[] {
    return this.#configured.allow
  }

  get operatorAllow(): readonly AllowEntry[] {
    return this.#operatorAllow
  }

  /** A reloaded configuration file brings its own lists. */
  configure(configured: SparedLists, { capacity }: { readonly capacity: DecisionRoom }): void {
    this.#configured = configured
    this.#capacity = capacity
    this.#spared = this.#listSpared()
    this.#options.onChange('now')
  }

  /** Why the operator may not block a target, in one sentence; undefined where he may. Asked before `order`. */
  refusalOfOrder(target: Prefix): string | undefined {
    const refusal = this.#spared.fromOrder(target)
    if (refusal !== undefined) return refusal
    const family = familyOf(target)
    const { orders } = this.#capacity
    this.#expire()
    const isNew = !this.#find({
      kind: 'block',
      target: { kind: 'prefix', prefix: target },
      scope: 'sip',
      by: OPERATOR,
    })
    if (!isNew || this.#orderCounts[family] < orders) return undefined
    return `${showPrefix(target)} found no place: ${orders} blocks of IPv${family} that the operator ordered stand, and the kernel's set holds no more. Take some back, or raise kernel.elements.`
  }

  decide(verdict: Verdict): Decided {
    if (verdict.action === 'limit' || verdict.action === 'alert') return { kind: 'none', why: 'informs-only' }
    const until = verdict.time + verdict.duration * 1000
    const target: DecisionTarget =
      verdict.port === null
        ? { kind: 'prefix', prefix: sourcePrefixOf(verdict.address) }
        : { kind: 'source', address: verdict.address, port: verdict.port }
    const sparedFrom = this.#spared.fromVerdict(target, verdict.address)
    if (sparedFrom !== undefined) return { kind: 'none', why: sparedFrom }
    const kind = verdict.action === 'block' ? 'block' : 'suspend'
    this.#expire()
    const { scope, name: by } = verdict
    const ordered = this.#find({ kind, target, scope, by: OPERATOR })
    if (ordered && outlasts(ordered.until, until)) return { kind: 'none', why: 'stands-already' }
    const known = this.#find({ kind, target, scope, by })
    if (known) {
      if (outlasts(known.until, until)) return { kind: 'none', why: 'stands-already' }
      this.#write(() => this.#options.journal.extendDecision(known.id, until))
      const extended = { ...known, until }
      this.#put(extended)
      this.#options.onChange('soon')
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
    this.#options.onChange('soon')
    return { kind: 'made', decision }
  }

  /**
   * Forged floods make as many decisions as there are addresses: those must not keep the place from somebody who is
   * known to be there. Says whether a place is free now.
   */
  #displace(): boolean {
    const [oldest] = this.#displaceable
    if (oldest === undefined) return false
    const { id } = oldest.decision
    this.#write(() => this.#options.journal.endDecision(id, { at: this.#options.clock(), by: DISPLACED }))
    this.#delete(oldest)
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
    const known = this.#find({ kind: 'block', target, scope: 'sip', by: OPERATOR })
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
    this.#options.onChange('now')
    return decision
  }

  /** Takes back what stands on exactly this target; for a single address its suspended ports too. */
  lift(target: Prefix | Source, who: string): Decision[] {
    return this.#end(({ target: held }) => {
      if (typeof target !== 'string') {
        return held.kind === 'source' && held.address === target.address && held.port === target.port
      }
      if (held.kind === 'prefix') return held.prefix === target
      return sourcePrefixOf(held.address) === target || prefixOfAddress(held.address) === target
    }, who)
  }

  /**
   * Puts a target on the operator's allowlist. What stands against nothing but addresses in it is taken back; a block of
   * more than that stands for the others, since the kernel asks the allowlist first anyway.
   */
  allow(entry: AllowEntry): Allowed {
    this.#options.journal.addAllow(entry)
    this.#readAllowed()
    const lifted = this.#end(
      ({ target }) =>
        target.kind === 'source'
          ? prefixContains(entry.target, target.address)
          : prefixHolds(entry.target, target.prefix),
      entry.who,
    )
    const wider = this.standing().filter(
      ({ target }) => target.kind === 'prefix' && prefixHolds(target.prefix, entry.target),
    )
    this.#options.onChange('now')
    return { lifted, wider }
  }

  disallow(target: Prefix): AllowEntry | undefined {
    const removed = this.#options.journal.removeAllow(target)
    this.#readAllowed()
    if (removed) this.#options.onChange('now')
    return removed
  }

  /** The blocks that the kernel should hold. A suspension of a whole source is a block of scope register. */
  blocks(): readonly Block[] {
    this.#expire()
    return this.#kernel.blocks()
  }

  /** The suspended ports that the kernel should hold. */
  suspensions(): readonly Suspension[] {
    this.#expire()
    return this.#kernel.suspensions()
  }

  #readAllowed(): void {
    this.#operatorAllow = this.#options.journal.listAllow()
    this.#spared = this.#listSpared()
  }

  #listSpared(): Spared {
    return new Spared({ ...this.#configured, allow: this.allowedPrefixes() }, this.#options.ownAddresses)
  }

  #find(what: Identity): Decision | undefined {
    return this.#standing.get(keyOf(what))?.decision
  }

  #record(decision: NewDecision): Decision {
    const recorded = this.#write(() => this.#options.journal.recordDecision(decision)) ?? {
      ...decision,
      id: this.#nextUnwrittenId--,
      endedAt: null,
      endedBy: null,
    }
    this.#put(recorded)
    return recorded
  }

  #put(decision: Decision): void {
    const key = keyOf(decision)
    let standing = this.#standing.get(key)
    if (standing) standing.decision = decision
    else {
      standing = { decision, dueSecond: undefined }
      this.#standing.set(key, standing)
      if (decision.kind === 'block') this.#blockCount++
      this.#countOrder(decision, 1)
    }
    if (decision.grade === 'packet') this.#displaceable.add(standing)
    else this.#displaceable.delete(standing)
    if (decision.until === null) this.#wheel.drop(standing)
    else this.#wheel.note(standing, decision.until)
    this.#kernel.put(decision)
  }

  #delete(standing: Standing): void {
    const { decision } = standing
    this.#wheel.drop(standing)
    this.#standing.delete(keyOf(decision))
    this.#displaceable.delete(standing)
    if (decision.kind === 'block') this.#blockCount--
    this.#countOrder(decision, -1)
    this.#kernel.delete(decision)
  }

  #countOrder({ by, target }: Decision, change: 1 | -1): void {
    if (by !== OPERATOR) return
    const where = target.kind === 'prefix' ? target.prefix : target.address
    this.#orderCounts[familyOf(where)] += change
  }

  #end(isMeant: (decision: Decision) => boolean, who: string): Decision[] {
    this.#expire()
    const ended: Decision[] = []
    for (const standing of this.#standing.values()) {
      const { decision } = standing
      if (!isMeant(decision)) continue
      this.#write(() =>
        this.#options.journal.endDecision(decision.id, { at: this.#options.clock(), by: who }),
      )
      this.#delete(standing)
      ended.push(decision)
    }
    if (ended.length > 0) this.#options.onChange('now')
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

  #expire(): void {
    const now = this.#options.clock()
    for (const standing of this.#wheel.turn(now)) {
      const { until } = standing.decision
      if (until !== null && until <= now) this.#delete(standing)
      else if (until !== null) this.#wheel.note(standing, until)
    }
  }
}

/** What tells one decision from another: the operator's and a verdict's on one target stand beside each other. */
type Identity = Pick<NewDecision, 'kind' | 'target' | 'scope' | 'by'>

function keyOf({ kind, target, scope, by }: Identity): string {
  const what = target.kind === 'prefix' ? target.prefix : `${target.address} ${target.port}`
  return `${by === OPERATOR ? 'ordered ' : ''}${kind} ${scope} ${what}`
}

/** Null is for ever. */
function outlasts(standing: EpochMilliseconds | null, until: EpochMilliseconds): boolean {
  return standing === null || standing >= until
}
