import type { Family } from '../../registrar/net/address.ts'
import type { DesiredState } from '../desired-state.ts'
import {
  gatewayTable,
  type LimitTable,
  limitTables,
  renderLimit,
  SAMPLE_TABLE,
  seenTable,
} from '../limit-tables.ts'
import { SEEN_FOR } from '../names.ts'

/** Whose limit a hashlimit table of the rules is, by its name in the kernel. */
export class TableNames {
  readonly #tables = new Map<string, { readonly name: string; readonly table: LimitTable }[]>()

  constructor(
    { limits, sizes, gateways }: Pick<DesiredState, 'limits' | 'sizes' | 'gateways'>,
    family: Family,
  ) {
    const tables: [string, LimitTable, number][] = [
      ...Object.entries(limitTables(limits)).map(([name, table]): [string, LimitTable, number] => [
        name,
        table,
        sizes.buckets,
      ]),
      ...gateways.map((gateway): [string, LimitTable, number] => [gateway.name, gatewayTable(gateway), 1]),
      ['sample', SAMPLE_TABLE, 1],
      ['seen', seenTable(sizes, SEEN_FOR), 1],
    ]
    for (const [name, table, buckets] of tables) {
      const kernelName = /--hashlimit-name (\S+)/.exec(renderLimit(table, { family, buckets }))![1]!
      this.#tables.set(kernelName, [...(this.#tables.get(kernelName) ?? []), { name, table }])
    }
  }

  /** Peace and attack share a table where their limits are the same: then the chain tells which one is asked. */
  find(kernelName: string, chain: string): LimitTable | undefined {
    const known = this.#tables.get(kernelName)
    const strict = chain === 'RINGFENCE-STRICT'
    return (known?.find(({ name }) => name.startsWith('strict') === strict) ?? known?.[0])?.table
  }
}
