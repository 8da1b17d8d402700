import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { PacketView } from './packet-view.ts'
import type { LimitMatch } from './parse-rule.ts'

interface Bucket {
  tokens: number
  at: EpochMilliseconds
  expiresAt: EpochMilliseconds
}

/** How often the kernel looks for buckets that may go (`--hashlimit-htable-gcinterval`). */
const COLLECTS_EVERY = 1_000
/** Tokens are fractions; what is this near to a whole one is one. */
const ENOUGH = 1 - 1e-9

/**
 * The tables of hashlimit: token buckets that begin full. Rules that name the same table share its buckets. It has the
 * kernel's bound: a table that is full takes nothing new, and then the kernel drops the packet inside the match.
 */
export class Buckets {
  readonly #tables = new Map<
    string,
    { readonly buckets: Map<string, Bucket>; collectedAt: EpochMilliseconds }
  >()

  /** Takes a token for a packet. */
  spend(limit: LimitMatch, view: PacketView, now: EpochMilliseconds): 'under' | 'over' | 'full' {
    const table = this.#table(limit.table)
    const key = keyOf(limit, view)
    let bucket = table.buckets.get(key)
    if (bucket === undefined || bucket.expiresAt <= now) {
      table.buckets.delete(key)
      if (limit.most !== null && table.buckets.size >= limit.most && !hasRoom(table, limit.most, now)) {
        return 'full'
      }
      bucket = { tokens: limit.burst, at: now, expiresAt: 0 }
      table.buckets.set(key, bucket)
    }
    const gained = ((now - bucket.at) * limit.tokens) / limit.per
    bucket.tokens = Math.min(limit.burst, bucket.tokens + gained)
    bucket.at = now
    bucket.expiresAt = now + limit.expire
    if (bucket.tokens < ENOUGH) return 'over'
    bucket.tokens = Math.max(0, bucket.tokens - 1)
    return 'under'
  }

  #table(name: string) {
    const known = this.#tables.get(name)
    if (known !== undefined) return known
    const table = { buckets: new Map<string, Bucket>(), collectedAt: 0 }
    this.#tables.set(name, table)
    return table
  }
}

function keyOf({ bits, byPort }: LimitMatch, view: PacketView): string {
  const source = bits === 0 ? '' : bits === null ? view.address('src') : view.prefix('src', bits)
  return byPort ? `${source} ${view.port('src')}` : source
}

function hasRoom(
  table: { readonly buckets: Map<string, Bucket>; collectedAt: EpochMilliseconds },
  most: number,
  now: EpochMilliseconds,
): boolean {
  if (now - table.collectedAt < COLLECTS_EVERY) return false
  table.collectedAt = now
  for (const [key, { expiresAt }] of table.buckets) if (expiresAt <= now) table.buckets.delete(key)
  return table.buckets.size < most
}
