import type { Address, Prefix } from '../../registrar/net/address.ts'
import type { AllowEntry } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import { Spared, type SparedLists } from './spared.ts'

/**
 * The operator's allowlist beside that of the configuration, each change in the journal first; and so whom nothing may
 * be decided against.
 */
export class Allowlist {
  readonly #journal: Pick<Journal, 'listAllow' | 'addAllow' | 'removeAllow'>
  readonly #ownAddresses: () => Iterable<Address>
  #configured: SparedLists
  #operator: readonly AllowEntry[]
  #spared: Spared
  /** That of the configuration in force: the same list for as long as nothing changes it. */
  #prefixes:
    | {
        readonly configured: readonly Prefix[]
        readonly operator: readonly AllowEntry[]
        readonly both: readonly Prefix[]
      }
    | undefined

  constructor(options: {
    readonly journal: Pick<Journal, 'listAllow' | 'addAllow' | 'removeAllow'>
    readonly configured: SparedLists
    /** The host's own addresses, of now. */
    readonly ownAddresses: () => Iterable<Address>
  }) {
    this.#journal = options.journal
    this.#ownAddresses = options.ownAddresses
    this.#configured = options.configured
    this.#operator = options.journal.listAllow()
    this.#spared = this.#listSpared()
  }

  get configured(): readonly Prefix[] {
    return this.#configured.allow
  }

  get operator(): readonly AllowEntry[] {
    return this.#operator
  }

  /** Who is spared now, whether by these lists or for another reason. */
  get spared(): Spared {
    return this.#spared
  }

  /** The operator's list with that of the configuration, or of another one. */
  prefixes(configured: readonly Prefix[] = this.#configured.allow): readonly Prefix[] {
    if (this.#prefixes?.configured === configured && this.#prefixes.operator === this.#operator)
      return this.#prefixes.both
    const both = [...new Set([...configured, ...this.#operator.map(({ target }) => target)])]
    if (configured === this.#configured.allow) this.#prefixes = { configured, operator: this.#operator, both }
    return both
  }

  /** A reloaded configuration file brings its own lists. */
  configure(configured: SparedLists): void {
    this.#configured = configured
    this.#spared = this.#listSpared()
  }

  add(entry: AllowEntry): void {
    this.#journal.addAllow(entry)
    this.#readOperators()
  }

  /** Gives the entry that was removed; undefined where none was of exactly this target. */
  remove(target: Prefix): AllowEntry | undefined {
    const removed = this.#journal.removeAllow(target)
    this.#readOperators()
    return removed
  }

  #readOperators(): void {
    this.#operator = this.#journal.listAllow()
    this.#spared = this.#listSpared()
  }

  #listSpared(): Spared {
    return new Spared({ ...this.#configured, allow: this.prefixes() }, this.#ownAddresses)
  }
}
