import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { RecentNames } from './recent-names.ts'
import { NEVER } from './source-table.ts'
import type { Verdict } from './verdict.ts'

const MOST_SOURCES = 65_536
const SPAN: Seconds = 86_400
/** So many accounts that registered from one address within a day … */
const FEWEST_ACCOUNTS = 10
/** … and so many of them from one port: an SBC; the phones of an office have a port each. */
const FEWEST_AT_A_PORT = 4
/** … or so many Vias in a REGISTER: a proxy put its own before the phone's. */
const FEWEST_VIAS = 2

interface Behind {
  readonly accounts: RecentNames
  lastShared: EpochMilliseconds
}

/**
 * Addresses that bring many accounts of others: SBCs and proxies. Only successes count, so nobody becomes one without
 * ten good accounts. They are never blocked or suspended as an address.
 */
export class Aggregators {
  readonly #sources: BoundedMap<Prefix, Behind>

  constructor({ capacity = MOST_SOURCES }: { capacity?: number } = {}) {
    this.#sources = new BoundedMap({ capacity: Math.min(capacity, MOST_SOURCES) })
  }

  get size(): number {
    return this.#sources.size
  }

  /** `accountsAtPort`: those registered from this very address and port. */
  registered({ account, source, time, vias }: ExchangeEnded, accountsAtPort: number): void {
    const prefix = sourcePrefixOf(source.address)
    const behind = this.#sources.get(prefix) ?? { accounts: new RecentNames(SPAN), lastShared: NEVER }
    behind.accounts.add(account, time)
    if ((vias ?? 1) >= FEWEST_VIAS || accountsAtPort >= FEWEST_AT_A_PORT) behind.lastShared = time
    this.#sources.set(prefix, behind)
  }

  isAggregator(prefix: Prefix, now: EpochMilliseconds): boolean {
    const behind = this.#sources.get(prefix)
    return (
      behind !== undefined &&
      now - behind.lastShared < SPAN * 1000 &&
      behind.accounts.names(now) >= FEWEST_ACCOUNTS
    )
  }

  /** Accounts that registered from there within about a day, counted up to 64. */
  accountsBehind(prefix: Prefix, now: EpochMilliseconds): number {
    return this.#sources.get(prefix)?.accounts.names(now) ?? 0
  }

  /** A measure against the whole address of an aggregator becomes one that informs. */
  spare(verdict: Verdict): Verdict {
    const { action, port, address, time } = verdict
    if (port !== null || action === 'limit' || action === 'alert') return verdict
    const prefix = sourcePrefixOf(address)
    if (!this.isAggregator(prefix, time)) return verdict
    const accounts = this.accountsBehind(prefix, time)
    return {
      ...verdict,
      action: 'limit',
      reason: `${verdict.reason}; nothing is done, since an SBC or proxy brings ${accounts} accounts from this address`,
      evidence: { ...verdict.evidence, aggregator: true },
    }
  }
}
