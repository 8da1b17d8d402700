import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Block, Suspension } from '../../rules/desired-state.ts'
import type { Decision } from '../journal/entries.ts'

/** The name that the operator's decisions are by; all others are by the name of a verdict. */
export const OPERATOR = 'operator'

/** A block, and until when each kind of decision asks for it: null for ever, undefined not at all. */
interface AskedBlock {
  block: Block
  readonly ends: Record<Decision['kind'], EpochMilliseconds | null | undefined>
}

/**
 * What decisions mean for the kernel, as two lists. An item that did not change stays the same object in the same
 * order, and a list that did not change the same list, so that one change among a hundred thousand is found quickly.
 */
export class KernelItems {
  readonly #blocks = new Map<string, AskedBlock>()
  readonly #suspensions = new Map<string, Suspension>()
  #blockList: readonly Block[] | undefined
  #suspensionList: readonly Suspension[] | undefined

  blocks(): readonly Block[] {
    this.#blockList ??= Array.from(this.#blocks.values(), ({ block }) => block)
    return this.#blockList
  }

  suspensions(): readonly Suspension[] {
    this.#suspensionList ??= [...this.#suspensions.values()]
    return this.#suspensionList
  }

  put(decision: Decision): void {
    const { target, until } = decision
    if (target.kind === 'prefix') this.#ask(decision, until)
    else if (until !== null) {
      const { address, port } = target
      this.#suspensions.set(portKey(target), { address, port, until })
      this.#suspensionList = undefined
    }
  }

  delete(decision: Decision): void {
    const { target } = decision
    if (target.kind === 'prefix') this.#ask(decision, undefined)
    else if (this.#suspensions.delete(portKey(target))) this.#suspensionList = undefined
  }

  /** The kernel's block of a target lasts as long as the longest decision that asks for it. */
  #ask({ kind, target, scope, by }: Decision, end: EpochMilliseconds | null | undefined): void {
    if (target.kind !== 'prefix') return
    const sparesProven = by !== OPERATOR
    const key = `${scope} ${sparesProven ? 'but the proven' : 'all'} ${target.prefix}`
    const known = this.#blocks.get(key)
    const ends = known?.ends ?? { block: undefined, suspend: undefined }
    ends[kind] = end
    const until = latest(ends.block, ends.suspend)
    if (until === undefined) {
      if (this.#blocks.delete(key)) this.#blockList = undefined
      return
    }
    if (known?.block.until === until) return
    const block = { target: target.prefix, scope, sparesProven, until }
    if (known) known.block = block
    else this.#blocks.set(key, { block, ends })
    this.#blockList = undefined
  }
}

function latest(
  a: EpochMilliseconds | null | undefined,
  b: EpochMilliseconds | null | undefined,
): EpochMilliseconds | null | undefined {
  if (a === undefined) return b
  if (b === undefined) return a
  return a === null || b === null ? null : Math.max(a, b)
}

function portKey({ address, port }: { readonly address: string; readonly port: number }): string {
  return `${address} ${port}`
}
