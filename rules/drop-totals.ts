import type { Family } from '../registrar/net/address.ts'
import type { ObservedChains, ObservedRule, ObservedState } from './kernel.ts'
import { type ChainName, setName } from './names.ts'
import type { DropCause, KernelCounters } from './status.ts'

/** What a rule that drops is there for, by its chain. Rules of sets say it themselves. */
const CAUSES: Readonly<Partial<Record<ChainName, DropCause>>> = {
  'RINGFENCE-ALLOWED': 'ceiling',
  'RINGFENCE-TRUSTED': 'ceiling',
  'RINGFENCE-TRUNK': 'ceiling',
  'RINGFENCE-CPS': 'gateways',
  'RINGFENCE-KNOWN': 'ceiling',
  'RINGFENCE-PEER': 'ceiling',
  'RINGFENCE-OPENING': 'sipLimit',
  'RINGFENCE-CALLS': 'sipLimit',
  'RINGFENCE-OVER': 'sipLimit',
  'RINGFENCE-KEEPALIVE': 'rest',
  'RINGFENCE-REST': 'rest',
  'RINGFENCE-PROVEN': 'registerLimit',
  'RINGFENCE-AGGREGATOR': 'registerLimit',
  'RINGFENCE-ANSWERED': 'registerLimit',
  'RINGFENCE-RETURN1': 'registerLimit',
  'RINGFENCE-RETURN2': 'registerLimit',
  'RINGFENCE-RETURN3': 'registerLimit',
  'RINGFENCE-IGNORING': 'registerLimit',
  'RINGFENCE-UNKNOWN': 'registerLimit',
  'RINGFENCE-STRICT': 'registerLimit',
  'RINGFENCE-FIRST': 'firstPackets',
  'RINGFENCE-CONNECT': 'connections',
}

/** Sums what the rules counted, across rules being replaced, which takes their counters back to zero. */
export class DropTotals {
  readonly #families = { 4: new FamilyTotals(), 6: new FamilyTotals() }

  /** The first observation of a family is where its counting begins. */
  observe({ chains, unreadable }: ObservedState): void {
    for (const family of FAMILIES) {
      if (!unreadable?.has(family)) this.#families[family].observe(chains[family])
    }
  }

  get dropped(): KernelCounters['dropped'] {
    return {
      blocks: this.#sum('blocks'),
      suspensions: this.#sum('suspensions'),
      registerLimit: this.#sum('registerLimit'),
      firstPackets: this.#sum('firstPackets') + this.#sum('unnoted'),
      sipLimit: this.#sum('sipLimit'),
      rest: this.#sum('rest'),
      gateways: this.#sum('gateways'),
      ceiling: this.#sum('ceiling'),
      connections: this.#sum('connections'),
      full: [...this.fullTables.values()].reduce((sum, packets) => sum + packets, 0),
    }
  }

  get judged(): KernelCounters['judged'] {
    return { udp: this.#sum('udp'), tcp: this.#sum('tcp') }
  }

  /** Packets that each table of buckets dropped because it was full, by its name in the kernel. */
  get fullTables(): ReadonlyMap<string, number> {
    return new Map(FAMILIES.flatMap((family) => [...this.#families[family].fullTables()]))
  }

  /** First packets that were dropped unnoted, since so many came, by the set that would have noted them. */
  get unnoted(): ReadonlyMap<string, number> {
    return new Map(
      FAMILIES.map((family) => [setName('seen', family), this.#families[family].total('unnoted')]),
    )
  }

  #sum(key: CountKey): number {
    return FAMILIES.reduce((sum, family) => sum + this.#families[family].total(key), 0)
  }
}

const FAMILIES = [4, 6] as const satisfies readonly Family[]

type CountKey = DropCause | 'unnoted' | 'udp' | 'tcp'

class FamilyTotals {
  readonly #totals = new Map<CountKey, { total: number; last: number }>()
  readonly #tables = new Map<string, { table: string; total: number; entered: number; most: number }>()
  #began = false

  total(key: CountKey): number {
    return this.#totals.get(key)?.total ?? 0
  }

  *fullTables(): Generator<readonly [string, number]> {
    // A table may be asked in several chains.
    const totals = new Map<string, number>()
    for (const { table, total } of this.#tables.values()) totals.set(table, (totals.get(table) ?? 0) + total)
    yield* totals
  }

  observe(chains: ObservedChains): void {
    for (const [key, now] of sumCounts(chains)) {
      const before = this.#totals.get(key) ?? { total: 0, last: this.#began ? 0 : now }
      const grown = now < before.last ? now : now - before.last
      this.#totals.set(key, { total: before.total + grown, last: now })
    }
    for (const { chain, table, entered, missing } of findMissing(chains)) {
      const key = `${chain} ${table}`
      const before = this.#tables.get(key) ?? { total: 0, entered, most: this.#began ? 0 : missing }
      // Rules are read one after the other while packets go on, the later ones later: what is missing is never
      // overrated, and the most that was missing is what is sure.
      const most = entered < before.entered ? 0 : before.most
      const grown = Math.max(0, missing - most)
      this.#tables.set(key, { table, total: before.total + grown, entered, most: most + grown })
    }
    this.#began = true
  }
}

function sumCounts({ own }: ObservedChains): ReadonlyMap<CountKey, number> {
  const sums = new Map<CountKey, number>()
  for (const [chain, rules] of own) {
    for (const { text, packets } of rules) {
      const key = keyOf(chain, text)
      if (key !== undefined) sums.set(key, (sums.get(key) ?? 0) + packets)
    }
  }
  return sums
}

function keyOf(chain: string, rule: string): CountKey | undefined {
  if (chain === 'RINGFENCE') {
    if (/ -g RINGFENCE-(?:UDP|JUDGE)$/.test(rule) || isShortWay(rule)) return 'udp'
    return rule.endsWith(' -g RINGFENCE-TCP') ? 'tcp' : undefined
  }
  if (!rule.endsWith(' -j DROP')) return undefined
  if (/--match-set rf-(?:deny|sip|reg)\d /.test(rule)) return 'blocks'
  if (/--match-set rf-(?:sus[ap]|psip)\d /.test(rule)) return 'suspensions'
  return chain === 'RINGFENCE-UNNOTED' ? 'unnoted' : CAUSES[chain as ChainName]
}

/**
 * Proven packets that were judged right at the entrance: on a host that forwards, some of them are for somebody else. They
 * count all the same, or a host whose phones are all proven would seem to have packets go around its rules.
 */
function isShortWay(rule: string): boolean {
  return / --match-set rf-pvn\d src,src .* -j RETURN$/.test(rule)
}

interface Missing {
  readonly chain: string
  readonly table: string
  readonly entered: number
  readonly missing: number
}

/**
 * A table of buckets that is full drops a packet inside its match, and no rule counts it. So such a table stands
 * between two rules that only count: what entered, was not over the limit and did not come out was dropped. A table
 * that does not decide yet may stand there as well.
 */
function findMissing({ own }: ObservedChains): readonly Missing[] {
  const found: Missing[] = []
  for (const [chain, rules] of own) {
    const isCounting = ({ text }: ObservedRule) => text === `-A ${chain}`
    let start = -1
    rules.forEach((rule, i) => {
      if (!isCounting(rule)) return
      const between = start < 0 ? [] : rules.slice(start + 1, i)
      const deciding = between.find(({ text }) => / -[jg] \S+$/.test(text))
      const table = / --hashlimit-name (\S+) /.exec((deciding ?? between[0])?.text ?? '')?.[1]
      if (table !== undefined) {
        const entered = rules[start]!.packets
        found.push({ chain, table, entered, missing: entered - (deciding?.packets ?? 0) - rule.packets })
      }
      start = i
    })
  }
  return found
}
