import {
  type Address,
  type Prefix,
  prefixContains,
  prefixOfAddress,
  type Source,
  sourcePrefixOf,
} from '../../registrar/net/address.ts'
import type { Clock, EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Block, Suspension } from '../../rules/desired-state.ts'
import type { Verdict } from '../detect/verdict.ts'
import type { AllowEntry, Decision, DecisionTarget, NewDecision } from '../journal/entries.ts'
import { type Journal, JournalError } from '../journal/journal.ts'

/** As many as the kernel's sets hold by default. The operator's own orders are never refused for it. */
const MOST_DECISIONS = 60_000

export interface DecisionsOptions {
  readonly journal: Journal
  readonly clock: Clock
  /** The allowlist of the configuration file. */
  readonly configuredAllow: readonly Prefix[]
  /** Something that the kernel should hold has changed. */
  readonly onChange: () => void
}

/** What became of a verdict. */
export type Decided =
  | { readonly kind: 'made'; readonly decision: Decision }
  | { readonly kind: 'extended'; readonly decision: Decision }
  | { readonly kind: 'none'; readonly why: 'informs-only' | 'allowed' | 'stands-already' | 'full' }

/**
 * The decisions that stand: what is blocked or suspended, until when, by whom, and who is never to be. Every
 * change is in the journal before the kernel hears of it.
 */
export class Decisions {
  /** Verdicts that found no place. */
  refusedFull = 0
  /** Changes that the journal could not take: they stand, but do not outlive a restart. */
  journalFailures = 0
  readonly #options: DecisionsOptions
  readonly #standing = new Map<string, Decision>()
  /** What the kernel should block, by scope and prefix; an unchanged block stays the same object. */
  readonly #blocks = new Map<string, Block>()
  #operatorAllow: readonly AllowEntry[]
  #configuredAllow: readonly Prefix[]
  #nextExpiry: EpochMilliseconds = 0
  #nextUnwrittenId = -1

  constructor(options: DecisionsOptions) {
    this.#options = options
    this.#configuredAllow = options.configuredAllow
    this.#operatorAllow = options.journal.listAllow()
    for (const decision of [...options.journal.standingDecisions(options.clock())].reverse())
      this.#put(decision)
  }

  /** Newest first; those that ran out are gone. */
  standing(): Decision[] {
    this.#expire()
    return [...this.#standing.values()].reverse()
  }

  get size(): number {
    this.#expire()
    return this.#standing.size
  }

  /** How many of each kind stand. */
  get counts(): { readonly blocks: number; readonly suspensions: number } {
    this.#expire()
    let blocks = 0
    for (const { kind } of this.#standing.values()) if (kind === 'block') blocks++
    return { blocks, suspensions: this.#standing.size - blocks }
  }

  /** Decisions that touch this address: on itself, its /64, a prefix around it, or one of its ports. */
  about(address: Address): Decision[] {
    return this.standing().filter(({ target }) =>
      target.kind === 'prefix' ? prefixContains(target.prefix, address) : target.address === address,
    )
  }

  isAllowed(address: Address): boolean {
    return this.allowedPrefixes().some((prefix) => prefixContains(prefix, address))
  }

  allowedPrefixes(): Prefix[] {
    return [...new Set([...this.#configuredAllow, ...this.#operatorAllow.map((entry) => entry.target)])]
  }

  get configuredAllow(): readonly Prefix[] {
    return this.#configuredAllow
  }

  get operatorAllow(): readonly AllowEntry[] {
    return this.#operatorAllow
  }

  /** A reloaded configuration file brings its own list. */
  configure(allow: readonly Prefix[]): void {
    this.#configuredAllow = allow
    this.#options.onChange()
  }

  decide(verdict: Verdict): Decided {
    if (verdict.action === 'limit') return { kind: 'none', why: 'informs-only' }
    if (this.isAllowed(verdict.address)) return { kind: 'none', why: 'allowed' }
    const until = verdict.time + verdict.duration * 1000
    const target: DecisionTarget =
      verdict.port === null
        ? { kind: 'prefix', prefix: sourcePrefixOf(verdict.address) }
        : { kind: 'source', address: verdict.address, port: verdict.port }
    const kind = verdict.action === 'block' ? 'block' : 'suspend'
    this.#expire()
    const known = this.#standing.get(keyOf({ kind, target, scope: verdict.scope }))
    if (known) {
      if (known.until === null || known.until >= until) return { kind: 'none', why: 'stands-already' }
      this.#write(() => this.#options.journal.extendDecision(known.id, until))
      const extended = { ...known, until }
      this.#keep(extended)
      return { kind: 'extended', decision: extended }
    }
    if (this.#standing.size >= MOST_DECISIONS) {
      this.refusedFull++
      return { kind: 'none', why: 'full' }
    }
    const decision = this.#record({
      kind,
      target,
      scope: verdict.scope,
      since: verdict.time,
      until,
      by: verdict.name,
      who: null,
      grade: verdict.grade,
      reason: verdict.reason,
      evidence: verdict.evidence,
    })
    return { kind: 'made', decision }
  }

  /** The operator's word: scope sip, everything on the SIP ports. Replaces an earlier one on the same target. */
  order(order: { target: Prefix; until: EpochMilliseconds | null; reason: string; who: string }): Decision {
    const known = this.#standing.get(
      keyOf({ kind: 'block', target: { kind: 'prefix', prefix: order.target }, scope: 'sip' }),
    )
    if (known) {
      this.#write(() =>
        this.#options.journal.endDecision(known.id, { at: this.#options.clock(), by: order.who }),
      )
    }
    return this.#record({
      kind: 'block',
      target: { kind: 'prefix', prefix: order.target },
      scope: 'sip',
      since: this.#options.clock(),
      until: order.until,
      by: 'operator',
      who: order.who,
      grade: null,
      reason: order.reason,
      evidence: {},
    })
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

  /** Puts a target on the operator's allowlist; what stands against addresses in it is taken back. */
  allow(entry: AllowEntry): Decision[] {
    this.#options.journal.addAllow(entry)
    this.#operatorAllow = this.#options.journal.listAllow()
    const lifted = this.#end(
      ({ target }) =>
        target.kind === 'source'
          ? prefixContains(entry.target, target.address)
          : target.prefix === entry.target || prefixContains(entry.target, addressOf(target.prefix)),
      entry.who,
    )
    this.#options.onChange()
    return lifted
  }

  disallow(target: Prefix): AllowEntry | undefined {
    const removed = this.#options.journal.removeAllow(target)
    this.#operatorAllow = this.#options.journal.listAllow()
    if (removed) this.#options.onChange()
    return removed
  }

  /** The blocks that the kernel should hold. A suspension of a whole source is a block of scope register. */
  blocks(): Block[] {
    this.#expire()
    return [...this.#blocks.values()]
  }

  /** The suspended ports that the kernel should hold. */
  suspensions(): Suspension[] {
    this.#expire()
    const suspensions: Suspension[] = []
    for (const { target, until } of this.#standing.values()) {
      if (target.kind === 'source' && until !== null) {
        suspensions.push({ address: target.address, port: target.port, until })
      }
    }
    return suspensions
  }

  #record(decision: NewDecision): Decision {
    const recorded = this.#write(() => this.#options.journal.recordDecision(decision)) ?? {
      ...decision,
      id: this.#nextUnwrittenId--,
      endedAt: null,
      endedBy: null,
    }
    this.#keep(recorded)
    return recorded
  }

  #keep(decision: Decision): void {
    this.#put(decision)
    this.#options.onChange()
  }

  #put(decision: Decision): void {
    this.#standing.set(keyOf(decision), decision)
    if (decision.until !== null) this.#nextExpiry = Math.min(this.#nextExpiry, decision.until)
    this.#updateBlock(decision)
  }

  #delete(key: string, decision: Decision): void {
    this.#standing.delete(key)
    this.#updateBlock(decision)
  }

  /** The kernel's block of this target lasts as long as the longest decision that asks for it. */
  #updateBlock({ target, scope }: Decision): void {
    if (target.kind !== 'prefix') return
    const asking = (['block', 'suspend'] as const)
      .map((kind) => this.#standing.get(keyOf({ kind, target, scope })))
      .filter((decision) => decision !== undefined)
    const key = `${scope} ${target.prefix}`
    const [first, second] = asking
    if (!first) {
      this.#blocks.delete(key)
      return
    }
    const until = second ? later(first.until, second.until) : first.until
    if (this.#blocks.get(key)?.until !== until || !this.#blocks.has(key)) {
      this.#blocks.set(key, { target: target.prefix, scope, until })
    }
  }

  #end(isMeant: (decision: Decision) => boolean, who: string): Decision[] {
    this.#expire()
    const ended: Decision[] = []
    for (const [key, decision] of this.#standing) {
      if (!isMeant(decision)) continue
      this.#write(() =>
        this.#options.journal.endDecision(decision.id, { at: this.#options.clock(), by: who }),
      )
      this.#delete(key, decision)
      ended.push(decision)
    }
    if (ended.length > 0) this.#options.onChange()
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
    if (now < this.#nextExpiry) return
    this.#nextExpiry = Number.POSITIVE_INFINITY
    for (const [key, decision] of this.#standing) {
      if (decision.until === null) continue
      if (decision.until <= now) this.#delete(key, decision)
      else this.#nextExpiry = Math.min(this.#nextExpiry, decision.until)
    }
  }
}

/** Null is for ever. */
function later(a: EpochMilliseconds | null, b: EpochMilliseconds | null): EpochMilliseconds | null {
  return a === null || b === null ? null : Math.max(a, b)
}

function keyOf({ kind, target, scope }: Pick<NewDecision, 'kind' | 'target' | 'scope'>): string {
  return `${kind} ${scope} ${target.kind === 'prefix' ? target.prefix : `${target.address} ${target.port}`}`
}

function addressOf(prefix: Prefix): Address {
  return prefix.slice(0, prefix.indexOf('/')) as Address
}
