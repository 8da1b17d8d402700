import type { Family } from '../../registrar/net/address.ts'
import type { DesiredState } from '../desired-state.ts'
import { type NextLimits, type RenderedChains, renderChains } from '../render-chains.ts'
import { HeldElements } from './held-elements.ts'
import { TableNames } from './table-names.ts'
import { type ReadChains, readChains } from './walk.ts'

/** All of a desired state that many packets are judged by, worked out once. */
export class PreparedRules {
  readonly state: DesiredState
  readonly held: HeldElements
  readonly #next: NextLimits | undefined
  readonly #chains = new Map<Family, { readonly read: ReadChains; readonly tables: TableNames }>()

  constructor(state: DesiredState, next?: NextLimits) {
    this.state = state
    this.held = new HeldElements(state)
    this.#next = next
  }

  chains(family: Family): { readonly read: ReadChains; readonly tables: TableNames } {
    const known = this.#chains.get(family)
    if (known !== undefined) return known
    const rendered: RenderedChains = renderChains(this.state, family, this.#next)
    const chains = { read: readChains(rendered), tables: new TableNames(this.state, family) }
    this.#chains.set(family, chains)
    return chains
  }
}
