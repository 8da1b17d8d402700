import type { FloodOrder, PacketKind } from './flood.ts'

/** Ringfence's defaults: of all unknown sources together, of one of them, and of an address that somebody registered from. */
const TOTAL = { perSecond: 2_000, burst: 4_000 }
const UNKNOWN = { perSecond: 5, burst: 10 }
const RETURNING = { perSecond: 5, burst: 20 }

/** What the limits of REGISTERs count, as whole frames. */
const COUNTED: readonly PacketKind[] = ['register', 'crlf', 'oversized']

/**
 * Milliseconds from a flood's first packet until it has crossed the first of the limits that stand in peace, and something
 * must be dropped; null where it stays below them, or other limits are there for what it sends.
 */
export function limitCrossedAfter(
  { sources, packets = ['register'] }: Pick<FloodOrder, 'sources' | 'packets'>,
  perSecond: number,
): number | null {
  if (!packets.every((kind) => COUNTED.includes(kind))) return null
  // A registered port has ten times as much, which is another matter.
  if (sources.kind === 'listed' && sources.addresses.some((address) => address.includes(':'))) return null
  const after = (limit: typeof TOTAL, amount: number) => {
    const over = perSecond - amount * limit.perSecond
    return over > 0 ? (1_000 * amount * limit.burst) / over : Number.POSITIVE_INFINITY
  }
  const times =
    sources.kind === 'listed'
      ? [after(RETURNING, sources.addresses.length)]
      : [after(TOTAL, 1), after(UNKNOWN, sources.kind === 'pool' ? sources.amount : perSecond)]
  const first = Math.min(...times)
  return Number.isFinite(first) ? first : null
}
