import type { Family } from '../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../registrar/net/time.ts'
import type { KernelError, ObservedChains } from './kernel.ts'
import { describeChains, renderRestore } from './plan-chains.ts'
import { type ChainInput, type RenderedChains, renderChains } from './render-chains.ts'

/**
 * So long the tables of new limits only count before they decide. A table begins with full buckets: without this,
 * whoever is over the old limit would have a whole burst of the new one.
 */
const WARM_FOR: Milliseconds = 1_000

/**
 * The chains of one family as they should be at this moment. A change of a limit goes in two steps: first the old limits
 * decide and the tables of the new ones count beside them, then the new ones decide. Everything else changes at once.
 */
export class FamilyChains {
  readonly family: Family
  /** Whether the kernel has to be given them. */
  isDue = false
  /** Why it cannot be, or cannot be read; until the next attempt. */
  trouble: KernelError | undefined
  /** Whether they were in the kernel as they should be: what differs then was somebody else. */
  isKnown = false
  #wanted: ChainInput | undefined
  /** Whose limits decide in the kernel; undefined where none of ours do. */
  #deciding: ChainInput | undefined
  #rendered: RenderedChains = new Map()
  /** How this iptables prints them, where that is known. */
  #printed: RenderedChains | undefined
  #writing: { readonly wanted: ChainInput | undefined; readonly isWarming: boolean } | undefined
  #isWarming = false
  #warmAt: EpochMilliseconds | undefined

  constructor(family: Family) {
    this.family = family
  }

  /** Takes over what is wanted; nothing is due where that renders to the same text. */
  want(wanted: ChainInput): void {
    this.#wanted = wanted
    const before = textOf(this.#rendered)
    this.#isWarming = false
    this.#warmAt = undefined
    this.#rendered = renderChains(wanted, this.family)
    if (this.#deciding) {
      const old = withLimitsOf(wanted, this.#deciding)
      const warming = renderChains(old, this.family, wanted)
      this.#isWarming = textOf(warming) !== textOf(renderChains(old, this.family))
      if (this.#isWarming) this.#rendered = warming
    }
    if (textOf(this.#rendered) === before) return
    this.#printed = undefined
    this.isDue = true
  }

  /** When the new limits may decide; undefined where none are waiting for it. */
  get warmAt(): EpochMilliseconds | undefined {
    return this.#warmAt
  }

  get isWarming(): boolean {
    return this.#isWarming
  }

  /** Lets the new limits decide, once they have counted for long enough. */
  turnOver(now: EpochMilliseconds): void {
    if (this.#warmAt === undefined || now < this.#warmAt || this.isDue) return
    this.#isWarming = false
    this.#warmAt = undefined
    this.#rendered = renderChains(this.#wanted!, this.family)
    this.#printed = undefined
    this.isDue = true
  }

  /** What is wrong with what the kernel holds, in words; undefined where nothing is. */
  describe(observed: ObservedChains): string | undefined {
    return describeChains(this.#printed ?? this.#rendered, observed)
  }

  /** The payload that brings the kernel from what it holds to what it should. */
  beginWriting(observed: ObservedChains): string {
    this.#writing = { wanted: this.#wanted, isWarming: this.#isWarming }
    // What is printed has rounded rates: it is for comparing, not for writing.
    return renderRestore(this.#rendered, observed)
  }

  /**
   * What was begun to be written is in the kernel. `observed`: how this iptables prints it; another version of it may
   * order options in its own way.
   */
  wereWritten(now: EpochMilliseconds, observed: ObservedChains): void {
    const { wanted, isWarming } = this.#writing!
    if (!isWarming) this.#deciding = wanted
    if (wanted !== this.#wanted || isWarming !== this.#isWarming) {
      // Something else was wanted meanwhile, and what decides now may not be what that was thought to follow.
      this.want(this.#wanted!)
      this.isDue = true
      return
    }
    this.#printed = new Map(
      [...this.#rendered].map(([name, rules]) => {
        const own = observed.own.get(name)
        return [name, own?.length === rules.length ? own.map(({ text }) => text) : rules] as const
      }),
    )
    this.areThere(now)
  }

  /** They are in the kernel as they should be. */
  areThere(now: EpochMilliseconds): void {
    this.isDue = false
    this.isKnown = true
    if (this.#isWarming) this.#warmAt ??= now + WARM_FOR
    else this.#deciding = this.#wanted
  }

  /** They were taken away, by ourselves. */
  wereRemoved(): void {
    this.isKnown = false
    this.isDue = false
    this.#deciding = undefined
    if (this.#wanted) this.want(this.#wanted)
  }
}

/** What is wanted, but for the limits that already decide: those stay for the moment. */
function withLimitsOf(wanted: ChainInput, deciding: ChainInput): ChainInput {
  const cpsOf = new Map(deciding.gateways.map(({ name, cps }) => [name, cps]))
  return {
    traffic: wanted.traffic,
    limits: {
      ...deciding.limits,
      sip: { ...deciding.limits.sip, enforced: wanted.limits.sip.enforced },
      connections: { ...deciding.limits.connections, most: wanted.limits.connections.most },
    },
    sizes: { ...wanted.sizes, buckets: deciding.sizes.buckets },
    gateways: wanted.gateways.map((gateway) => ({ ...gateway, cps: cpsOf.get(gateway.name) ?? gateway.cps })),
  }
}

function textOf(chains: RenderedChains): string {
  return [...chains.values()].flat().join('\n')
}
