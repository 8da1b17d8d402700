import { ExpiryWheel, type Timed } from '../../registrar/expiry-wheel.ts'
import {
  type Address,
  type Family,
  familyOf,
  type Prefix,
  prefixOf,
  prefixOfAddress,
  type Source,
  sourcePrefixOf,
  splitPrefix,
} from '../../registrar/net/address.ts'
import type { Clock } from '../../registrar/net/time.ts'
import type { Block, InParts, Suspension } from '../../rules/desired-state.ts'
import type { Decision, DecisionTarget, NewDecision } from '../journal/entries.ts'
import { KernelItems, OPERATOR } from './kernel-items.ts'

/** What tells one decision from another: the operator's and a verdict's on one target stand beside each other. */
export type DecisionIdentity = Pick<NewDecision, 'kind' | 'target' | 'scope' | 'by'>

/** One place of the table. */
interface Standing extends Timed {
  decision: Decision
  /** Which came before which. */
  readonly turn: number
}

/**
 * The table of what stands, with what the kernel should hold for it. Every answer is of now: what ran out is gone. Who
 * may stand in it, and that the journal hears of it, is `Decisions`' business.
 */
export class StandingDecisions {
  readonly #clock: Clock
  readonly #standing = new Map<string, Standing>()
  /** Those of verdicts of grade packet, the oldest first. */
  readonly #displaceable = new Set<Standing>()
  readonly #wheel = new ExpiryWheel<Standing>()
  readonly #kernel = new KernelItems()
  /** What stands against ports, by the source (an IPv6 /64) that the port is of. */
  readonly #ports = new Map<Prefix, Set<Standing>>()
  #turns = 0
  #blockCount = 0
  /** Blocks of the operator. */
  readonly #orderCounts: Record<Family, number> = { 4: 0, 6: 0 }

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  oldestFirst(): Decision[] {
    this.#expire()
    return [...this.#standing.values()].map(({ decision }) => decision)
  }

  find(what: DecisionIdentity): Decision | undefined {
    this.#expire()
    return this.#standing.get(keyOf(what))?.decision
  }

  /** What stands against exactly this, oldest first: for a single address or a /64 its ports too. */
  on(target: Prefix | Source): Decision[] {
    this.#expire()
    if (typeof target !== 'string') return inTurn(this.#against({ kind: 'source', ...target }))
    const { address, length } = splitPrefix(target)
    const isWhole = target === prefixOfAddress(address)
    const mayHavePorts = isWhole || length === 64
    const ports = [...((mayHavePorts && this.#ports.get(sourcePrefixOf(address))) || [])].filter(
      ({ decision: { target: held } }) => held.kind === 'source' && (!isWhole || held.address === address),
    )
    return inTurn([...this.#against({ kind: 'prefix', prefix: target }), ...ports])
  }

  /** What touches an address, oldest first: itself, a prefix around it, or one of its ports. */
  about(address: Address): Decision[] {
    this.#expire()
    const longest = familyOf(address) === 4 ? 32 : 128
    const around = Array.from({ length: longest + 1 }, (_, length) =>
      this.#against({ kind: 'prefix', prefix: prefixOf(address, length) }),
    )
    const ports = [...(this.#ports.get(sourcePrefixOf(address)) ?? [])].filter(
      ({ decision: { target } }) => target.kind === 'source' && target.address === address,
    )
    return inTurn([...around.flat(), ...ports])
  }

  #against(target: DecisionTarget): Standing[] {
    return IDENTITIES.flatMap((who) => this.#standing.get(keyOf({ ...who, target })) ?? [])
  }

  /** The oldest that a verdict of grade packet made: the first to go for somebody who is known to be there. */
  oldestForgeable(): Decision | undefined {
    this.#expire()
    const [oldest] = this.#displaceable
    return oldest?.decision
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

  /** How many the operator has made stand. */
  orderCount(family: Family): number {
    this.#expire()
    return this.#orderCounts[family]
  }

  /** How many of each kind stand. */
  get counts(): { readonly blocks: number; readonly suspensions: number } {
    this.#expire()
    return { blocks: this.#blockCount, suspensions: this.#standing.size - this.#blockCount }
  }

  /** The blocks that the kernel should hold. A suspension of a whole source is a block of scope register. */
  blocks(): InParts<Block> {
    this.#expire()
    return this.#kernel.blocks()
  }

  /** The suspended ports that the kernel should hold. */
  suspensions(): InParts<Suspension> {
    this.#expire()
    return this.#kernel.suspensions()
  }

  /** Takes the place of the one with the same identity, where one stands. */
  put(decision: Decision): void {
    const key = keyOf(decision)
    let standing = this.#standing.get(key)
    if (standing) standing.decision = decision
    else {
      standing = { decision, turn: this.#turns++, dueSecond: undefined }
      this.#standing.set(key, standing)
      this.#notePort(standing)
      if (decision.kind === 'block') this.#blockCount++
      this.#countOrder(decision, 1)
    }
    if (decision.grade === 'packet') this.#displaceable.add(standing)
    else this.#displaceable.delete(standing)
    if (decision.until === null) this.#wheel.drop(standing)
    else this.#wheel.note(standing, decision.until)
    this.#kernel.put(decision)
  }

  delete(what: DecisionIdentity): void {
    const standing = this.#standing.get(keyOf(what))
    if (standing) this.#remove(standing)
  }

  #remove(standing: Standing): void {
    const { decision } = standing
    this.#wheel.drop(standing)
    this.#standing.delete(keyOf(decision))
    this.#forgetPort(standing)
    this.#displaceable.delete(standing)
    if (decision.kind === 'block') this.#blockCount--
    this.#countOrder(decision, -1)
    this.#kernel.delete(decision)
  }

  #notePort(standing: Standing): void {
    const { target } = standing.decision
    if (target.kind !== 'source') return
    const source = sourcePrefixOf(target.address)
    const ports = this.#ports.get(source)
    if (ports) ports.add(standing)
    else this.#ports.set(source, new Set([standing]))
  }

  #forgetPort(standing: Standing): void {
    const { target } = standing.decision
    if (target.kind !== 'source') return
    const source = sourcePrefixOf(target.address)
    const ports = this.#ports.get(source)
    ports?.delete(standing)
    if (ports?.size === 0) this.#ports.delete(source)
  }

  #countOrder({ by, target }: Decision, change: 1 | -1): void {
    if (by !== OPERATOR) return
    const where = target.kind === 'prefix' ? target.prefix : target.address
    this.#orderCounts[familyOf(where)] += change
  }

  #expire(): void {
    const now = this.#clock()
    for (const standing of this.#wheel.turn(now)) {
      const { until } = standing.decision
      if (until !== null && until <= now) this.#remove(standing)
      else if (until !== null) this.#wheel.note(standing, until)
    }
  }
}

/** All that can stand on one target; whether the operator or a verdict asks is all that `by` says there. */
const IDENTITIES: readonly Omit<DecisionIdentity, 'target'>[] = [OPERATOR, ''].flatMap((by) =>
  (['block', 'suspend'] as const).flatMap((kind) =>
    (['register', 'sip'] as const).map((scope) => ({ kind, scope, by })),
  ),
)

function inTurn(some: Standing[]): Decision[] {
  return some.sort((a, b) => a.turn - b.turn).map(({ decision }) => decision)
}

function keyOf({ kind, target, scope, by }: DecisionIdentity): string {
  const what = target.kind === 'prefix' ? target.prefix : `${target.address} ${target.port}`
  return `${by === OPERATOR ? 'ordered ' : ''}${kind} ${scope} ${what}`
}
