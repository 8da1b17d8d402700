import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Block, InParts, Suspension } from '../../rules/desired-state.ts'
import type { Decision, StandingTarget } from '../journal/entries.ts'
import { KeyedParts } from './keyed-parts.ts'

/** The name that the operator's decisions are by; all others are by the name of a verdict. */
export const OPERATOR = 'operator'

/** Until when each kind of decision asks for a block: null for ever, undefined not at all. */
type Ends = Record<Decision['kind'], EpochMilliseconds | null | undefined>

/** So many that a part of a hundred thousand blocks is a hundred, and walking over the parts is as cheap as over one. */
const PARTS = 1_024

/**
 * What decisions mean for the kernel, as two lists in parts. An item that did not change stays the same object, and a
 * part that did not change the same array, so that one order among a hundred thousand costs what one among ten does.
 */
export class KernelItems {
  readonly #ends = new Map<string, Ends>()
  readonly #blocks = new KeyedParts<Block>({ count: PARTS })
  readonly #suspensions = new KeyedParts<Suspension>({ count: PARTS })

  blocks(): InParts<Block> {
    return this.#blocks.parts()
  }

  suspensions(): InParts<Suspension> {
    return this.#suspensions.parts()
  }

  put(decision: StandingTarget): void {
    const { target, until } = decision
    if (target.kind === 'prefix') this.#ask(decision, until)
    else if (until !== null) {
      const { address, port } = target
      this.#suspensions.set(portKey(decision), { address, port, ...reachOf(decision), until })
    }
  }

  delete(decision: StandingTarget): void {
    const { target } = decision
    if (target.kind === 'prefix') this.#ask(decision, undefined)
    else this.#suspensions.delete(portKey(decision))
  }

  /** The kernel's block of a target lasts as long as the longest decision that asks for it. */
  #ask({ kind, target, scope, by }: StandingTarget, end: EpochMilliseconds | null | undefined): void {
    if (target.kind !== 'prefix') return
    const sparesProven = by !== OPERATOR
    const key = `${scope} ${sparesProven ? 'but the proven' : 'all'} ${target.prefix}`
    const ends = this.#ends.get(key) ?? { block: undefined, suspend: undefined }
    ends[kind] = end
    const until = latest(ends.block, ends.suspend)
    if (until === undefined) {
      this.#ends.delete(key)
      this.#blocks.delete(key)
      return
    }
    this.#ends.set(key, ends)
    if (this.#blocks.get(key)?.until === until) return
    this.#blocks.set(key, { target: target.prefix, scope, sparesProven, until })
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

/** A block of a port is of a TCP connection; a suspension is of its packets over UDP, REGISTERs alone or all requests. */
function reachOf({ kind, scope }: StandingTarget): Pick<Suspension, 'transport' | 'scope'> {
  if (kind === 'block') return { transport: 'tcp' }
  return scope === 'sip' ? { scope } : {}
}

/** All of these stand beside each other. */
function portKey({ kind, scope, target }: StandingTarget): string {
  return target.kind === 'source' ? `${kind} ${scope} ${target.address} ${target.port}` : ''
}
