import { type Family, familyOf, splitPrefix } from '../registrar/net/address.ts'
import type { DesiredState, Gateway } from './desired-state.ts'
import { gatewayTable, type LimitName, type LimitTable, limitTables, renderLimit } from './limit-tables.ts'
import { type ChainName, type SetPurpose, setName } from './names.ts'

/** What the chains depend on; lists, lanes and blocks live in sets. */
export type ChainInput = Pick<DesiredState, 'traffic' | 'limits' | 'sizes' | 'gateways'>

/** Limits that are not yet the ones that decide. */
export type NextLimits = Pick<ChainInput, 'limits' | 'sizes' | 'gateways'>

/** Writes rules of one family down, chain by chain. */
export class ChainRenderer {
  readonly chains = new Map<ChainName, readonly string[]>()
  readonly input: ChainInput
  readonly family: Family
  readonly #tables: Readonly<Record<LimitName, LimitTable>>
  readonly #next: NextLimits | undefined
  readonly #nextTables: Readonly<Record<LimitName, LimitTable>> | undefined

  constructor(input: ChainInput, family: Family, next: NextLimits | undefined) {
    this.input = input
    this.family = family
    this.#tables = limitTables(input.limits)
    this.#next = next
    this.#nextTables = next && limitTables(next.limits)
  }

  chain(name: ChainName, rules: readonly string[]): void {
    this.chains.set(
      name,
      rules
        .filter((rule, i) => rule !== '' || rules[i - 1] !== '')
        .map((rule) => (rule === '' ? `-A ${name}` : `-A ${name} ${rule}`)),
    )
  }

  readonly set = (purpose: SetPurpose, side: 'src' | 'src,src' | 'dst'): string =>
    `-m set --match-set ${setName(purpose, this.family)} ${side}`

  /**
   * The rule of a limit, behind that of the one that will follow it. A `fillable` table, which unknown sources can
   * fill, stands between two rules that only count: what is missing behind it was dropped because the table was full.
   */
  readonly over = (name: LimitName, target = '-j DROP', kind?: 'fillable', match = ''): readonly string[] => {
    const [deciding, ...next] = this.#tablesOf(name)
    const rules = [...next.map((table) => `${match}${table}`), `${match}${deciding} ${target}`]
    return kind === 'fillable' ? ['', ...rules, ''] : rules
  }

  /** The match of packets under a limit; undefined while another one will follow it, since that has to count them too. */
  under(name: LimitName): string | undefined {
    if (this.#tablesOf(name).length > 1) return undefined
    const { family, input } = this
    return renderLimit(this.#tables[name], { family, buckets: input.sizes.buckets, side: 'upto' })
  }

  /** The match of a limit, and that of the one that will follow it where there is one. */
  #tablesOf(name: LimitName): readonly string[] {
    const deciding = this.#render(this.#tables[name], this.input.sizes.buckets)
    const next = this.#nextTables && this.#render(this.#nextTables[name], this.#next!.sizes.buckets)
    return next === undefined || next === deciding ? [deciding] : [deciding, next]
  }

  /** The longer prefix goes first, since a packet is of the first gateway that it matches. */
  gatewayRules(gateways: readonly Gateway[]): readonly string[] {
    const lengthOf = (prefix: string) => Number(prefix.slice(prefix.indexOf('/') + 1))
    return gateways
      .flatMap((gateway) => gateway.prefixes.map((prefix) => ({ gateway, prefix })))
      .filter(({ prefix }) => familyOf(prefix) === this.family)
      .sort((a, b) => lengthOf(b.prefix) - lengthOf(a.prefix))
      .flatMap(({ gateway, prefix }) => {
        const { address, length } = splitPrefix(prefix)
        const source = length === 0 ? '' : `-s ${address}/${length} `
        const deciding = this.#render(gatewayTable(gateway), 1)
        const follower = this.#next?.gateways.find(({ name }) => name === gateway.name)
        const next = follower && this.#render(gatewayTable(follower), 1)
        return [
          ...(next === undefined || next === deciding ? [] : [`${source}${next}`]),
          `${source}${deciding} -j DROP`,
          `${source}-j RETURN`,
        ]
      })
  }

  /** Matches a connection too many of its source. */
  connectionsOver(times: number): readonly string[] {
    const { most } = this.input.limits.connections
    if (most === null) return []
    const mask = this.family === 4 ? 32 : 64
    return [`-m connlimit --connlimit-above ${most * times} --connlimit-mask ${mask} --connlimit-saddr`]
  }

  #render(table: LimitTable, buckets: number): string {
    return renderLimit(table, { family: this.family, buckets })
  }
}
