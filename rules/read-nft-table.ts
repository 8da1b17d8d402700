import type { Family } from '../registrar/net/address.ts'
import { KernelError, type ObservedChains, type ObservedRule } from './kernel.ts'
import { isOwnChain } from './names.ts'

/** What `iptables-save` says, and no more, of a table in which it cannot read a rule that nft made. */
export function isIncompatible(saved: string): boolean {
  return /^# Table `raw' is incompatible/m.test(saved)
}

export interface NftTableOptions {
  readonly family: Family
  /** Runs nft with these arguments and gives what it wrote. Throws `KernelError`. */
  readonly nft: (args: readonly string[]) => Promise<string>
  /** Runs iptables of the family in the same way. */
  readonly iptables: (args: readonly string[]) => Promise<string>
}

/** Rules may be exchanged between the look at the table and the look at a chain. */
const READ_ATTEMPTS = 4

/**
 * Reads the table `raw` where a rule that nft made keeps `iptables-save` from showing anything of it: the order of
 * rules and their counters as nft lists them, and their texts as iptables prints them, chain by chain. Only a chain that
 * holds such a rule is refused there. A text is read once, since the kernel gives no handle twice.
 */
export class NftTable {
  readonly #options: NftTableOptions
  #texts: ReadonlyMap<string, readonly string[] | 'refused'> = new Map()

  constructor(options: NftTableOptions) {
    this.#options = options
  }

  /** Throws `KernelError`, with what to do, where nft cannot say what is in the table. */
  async read(): Promise<ObservedChains> {
    for (let attempt = 1; ; attempt++) {
      const chains = parseTable(await this.#list())
      const known = new Map([...chains].map(([name, { key }]) => [name, this.#texts.get(key)] as const))
      const unread = [...known].filter(([, texts]) => texts === undefined).map(([name]) => name)
      if (unread.length === 0) return describe(chains, known as ReadonlyMap<string, readonly string[]>)
      if (attempt === READ_ATTEMPTS) {
        throw new KernelError('no-answer', 'The rules of the table raw change faster than they can be read.')
      }
      // What is read now counts only if the next listing still shows the same handles.
      const texts = new Map<string, readonly string[] | 'refused'>()
      for (const [name, { key }] of chains) texts.set(key, known.get(name) ?? (await this.#textsOf(name)))
      this.#texts = texts
    }
  }

  async #list(): Promise<string> {
    const { family, nft } = this.#options
    const table = family === 4 ? 'ip raw' : 'ip6 raw'
    try {
      return await nft(['-j', '-a', 'list', 'table', ...table.split(' ')])
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      const why = error.kind === 'missing-program' ? 'nft is not installed' : error.message.replace(/\.$/, '')
      throw new KernelError(
        error.kind,
        `The table raw holds a rule made with nft that iptables cannot read, so what is in the table cannot be checked or changed (${why}): install nft (apt-get install nftables), or move that rule into a table of its own; "nft -a list table ${table}" shows it.`,
      )
    }
  }

  async #textsOf(chain: string): Promise<readonly string[] | 'refused'> {
    try {
      const printed = await this.#options.iptables(['--wait', '10', '-t', 'raw', '-S', chain])
      return printed.split('\n').filter((line) => line.startsWith('-A '))
    } catch (error) {
      // Where it is gone, the next listing says so.
      if (error instanceof KernelError && /incompatible|No chain/.test(error.message)) return 'refused'
      throw error
    }
  }
}

interface NftChain {
  /** Changes with every rule that comes, goes or is exchanged, also where the table was made anew. */
  readonly key: string
  readonly rules: readonly NftRule[]
}

/** As `nft -j` lists it; libnftables-json(5). */
interface NftRule {
  readonly handle: number
  readonly expr: readonly Readonly<Record<string, unknown>>[]
}

/** Own chains and those that others use too, by name. */
function parseTable(json: string): ReadonlyMap<string, NftChain> {
  const { nftables } = JSON.parse(json) as {
    readonly nftables: readonly {
      readonly table?: { readonly handle: number }
      readonly chain?: { readonly name: string; readonly handle: number }
      readonly rule?: NftRule & { readonly chain: string }
    }[]
  }
  const table = nftables.find((item) => item.table)?.table?.handle
  const chains = new Map<string, { readonly handle: number; readonly rules: NftRule[] }>()
  for (const { chain } of nftables) {
    if (chain && (isOwnChain(chain.name) || isBuiltIn(chain.name))) {
      chains.set(chain.name, { handle: chain.handle, rules: [] })
    }
  }
  for (const { rule } of nftables) if (rule) chains.get(rule.chain)?.rules.push(rule)
  return new Map(
    [...chains].map(([name, { handle, rules }]) => [
      name,
      { key: [table, handle, ...rules.map((rule) => rule.handle)].join(' '), rules },
    ]),
  )
}

function describe(
  chains: ReadonlyMap<string, NftChain>,
  texts: ReadonlyMap<string, readonly string[] | 'refused'>,
): ObservedChains {
  const rulesOf = (name: string): readonly ObservedRule[] => {
    const { rules } = chains.get(name) ?? { rules: [] }
    const printed = texts.get(name)
    return rules.map((rule, i) => ({
      text: (Array.isArray(printed) ? printed[i] : undefined) ?? showRule(name, rule),
      ...counterOf(rule),
    }))
  }
  const own = [...chains.keys()].filter(isOwnChain)
  return {
    own: new Map(own.map((name) => [name, rulesOf(name)])),
    builtIn: { PREROUTING: rulesOf('PREROUTING'), OUTPUT: rulesOf('OUTPUT') },
  }
}

/** In a chain that iptables refuses: our jump as iptables would print it, and of any other rule where to find it. */
function showRule(chain: string, { expr, handle }: NftRule): string {
  const rest = expr.filter((part) => !('counter' in part))
  const [only] = rest
  const target = rest.length === 1 && (only?.jump as { readonly target?: unknown } | undefined)?.target
  if (typeof target === 'string') return `-A ${chain} -j ${target}`
  return `-A ${chain} (made with nft, handle ${handle})`
}

function counterOf({ expr }: NftRule): { readonly packets: number; readonly bytes: number } {
  const found = expr.find((part) => 'counter' in part)?.counter
  const { packets = 0, bytes = 0 } = (found ?? {}) as { readonly packets?: number; readonly bytes?: number }
  return { packets, bytes }
}

function isBuiltIn(name: string): name is 'PREROUTING' | 'OUTPUT' {
  return name === 'PREROUTING' || name === 'OUTPUT'
}
