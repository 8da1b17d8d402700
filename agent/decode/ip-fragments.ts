import type { Address } from '../../registrar/net/address.ts'
import { familyOf, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

/** One fragment as its IP header describes it. */
export interface IpFragment {
  readonly time: EpochMilliseconds
  readonly family: 4 | 6
  readonly source: Address
  readonly destination: Address
  readonly identification: number
  /** IPv4: the protocol; IPv6: the next header, of which the first fragment's counts. */
  readonly protocol: number
  /** Where the bytes belong in the datagram's payload. */
  readonly fragmentOffset: number
  readonly more: boolean
  /** The fragment's payload; copied where it is kept. */
  readonly bytes: Buffer
  /** Which of the ways it was captured: fragments of different ways are never put together. */
  readonly way?: string
}

/** The payload of a datagram that is whole again. */
export interface WholeDatagram {
  readonly protocol: number
  readonly bytes: Buffer
  /** What else it may be, where nobody knows whether the kernel had given its first fragments up already. */
  readonly other?: WholeDatagram
}

export interface FragmentLimits {
  readonly datagrams: number
  readonly bytes: number
  /** The most one source (an IPv6 /64 is one) may hold of either: one source cannot push out everybody's. */
  readonly datagramsOfSource: number
  readonly bytesOfSource: number
  readonly fragmentsOfDatagram: number
  /**
   * From a datagram's first fragment on; Linux's `ipfrag_time` and `ip6frag_time`. Its timers are up to an eighth of that
   * late: so long fragments both go on with what was begun and begin anew.
   */
  readonly timeouts: { readonly 4: Milliseconds; readonly 6: Milliseconds }
}

/** What became of fragments. Each counts datagrams, but for `malformed`, which counts fragments. */
export interface FragmentCounts {
  reassembled: number
  /** Let go because fragments overlapped or contradicted each other (RFC 5722; Linux does the same for IPv4). */
  overlapping: number
  timedOut: number
  /** Let go because a bound was reached: the oldest of the same source, or the oldest of all. */
  evicted: number
  malformed: number
}

/**
 * More than Linux itself holds by default (`ipfrag_high_thresh`: 4 MiB, of which a fragment takes over 768 bytes
 * however short it is), since who could push his own first fragment out of here could hide a datagram that the kernel
 * puts together.
 */
const FRAGMENT_LIMITS: FragmentLimits = {
  datagrams: 8192,
  bytes: 16_777_216,
  datagramsOfSource: 6144,
  bytesOfSource: 8_388_608,
  fragmentsOfDatagram: 8192,
  timeouts: { 4: 30_000, 6: 60_000 },
}

/** The most payload a datagram can have; more is a "ping of death". */
const MAX_DATAGRAM_BYTES = 65_535
/** What a held fragment costs beside its bytes, so that many tiny ones count for what they take. */
const FRAGMENT_OVERHEAD = 128

const LATEST_TIMER = 1.125

/**
 * Linux's `ipfrag_max_dist`: after so many other fragments of the source (IPv4 alone) what was begun is thrown away, since
 * the identification may have come round.
 */
const MAX_DISTANCE = 64

/** Fragments that follow each other without a hole. Linux keeps such runs, and takes for a copy only what one run covers. */
interface Run {
  readonly start: number
  end: number
  readonly pieces: Buffer[]
}

interface Datagram {
  readonly key: string
  readonly family: 4 | 6
  readonly holder: Holder
  since: EpochMilliseconds
  /** In order, none touching another's bytes. */
  runs: Run[]
  fragments: number
  received: number
  /** Where the last byte known so far ends, and whether that is the end of the whole. */
  length: number
  hasEnd: boolean
  protocol: number
  cost: number
  /** The source's count of fragments at the last of this datagram. */
  distance: number
}

/** One source's share. */
interface Holder {
  readonly source: string
  /** In order of arrival. */
  readonly datagrams: Set<Datagram>
  cost: number
  /** Fragments of IPv4 that came while any was held. */
  count: number
}

/**
 * Puts fragmented datagrams together, within bounds, by the packets' own clock, and as Linux does since 4.20: what one run
 * of fragments covers is a copy and passed over, whatever is in it; any other overlap and any contradiction about the
 * end throws all of the datagram away, and a later fragment begins it anew. Whoever finds a difference can hide from us
 * what the kernel reads (net/ipv4/inet_fragment.c, ip_fragment.c; net/ipv6/reassembly.c).
 */
export class IpFragments {
  readonly #limits: FragmentLimits
  /** In order of arrival, so that the first is the oldest. */
  readonly #datagrams = { 4: new Map<string, Datagram>(), 6: new Map<string, Datagram>() }
  readonly #holders = new Map<string, Holder>()
  #cost = 0
  readonly counts: FragmentCounts = { reassembled: 0, overlapping: 0, timedOut: 0, evicted: 0, malformed: 0 }

  /**
   * Whether the packets inside IP tunnels are looked at. Not on a live capture: anybody can send us a packet with another
   * one inside that claims to be the softswitch's answer to a customer.
   */
  readonly tunnels: 'read' | 'leave'

  constructor(
    limits: Partial<FragmentLimits> = {},
    { tunnels = 'read' }: { tunnels?: 'read' | 'leave' } = {},
  ) {
    this.tunnels = tunnels
    this.#limits = { ...FRAGMENT_LIMITS, ...limits }
  }

  /** Datagrams that wait for fragments, and the bytes they hold. */
  get held(): { readonly datagrams: number; readonly bytes: number } {
    return { datagrams: this.#datagrams[4].size + this.#datagrams[6].size, bytes: this.#cost }
  }

  /** Takes one fragment; gives the datagram that it completes. */
  add(fragment: IpFragment): WholeDatagram | undefined {
    this.#expire(fragment.time)
    const { family, more } = fragment
    const start = fragment.fragmentOffset
    let end = start + fragment.bytes.length
    // IPv4 cuts what is no multiple of eight; IPv6 passes over it, and neither ends the datagram by it.
    if (more && family === 4) end &= ~7
    if (end > MAX_DATAGRAM_BYTES || (more && end % 8 !== 0)) {
      this.counts.malformed++
      return undefined
    }
    const key = keyOf(fragment)
    const first = this.#find(key, fragment)
    const isDue = fragment.time - first.since >= this.#limits.timeouts[family]
    const anewKey = `${key} anew`
    const anew = isDue ? this.#find(anewKey, fragment) : this.#datagrams[family].get(anewKey)
    first.holder.count++
    const whole = this.#put(first, fragment, start, end)
    const other = anew && this.#put(anew, fragment, start, end)
    if (!whole || !other || whole.bytes.equals(other.bytes)) return whole ?? other
    return { ...whole, other }
  }

  #put(datagram: Datagram, fragment: IpFragment, start: number, end: number): WholeDatagram | undefined {
    const { family } = datagram
    if (family === 4) this.#checkDistance(datagram, fragment.time)
    const verdict = this.#insert(datagram, fragment, start, end)
    if (verdict === 'contradiction') {
      this.counts.overlapping++
      this.#remove(datagram)
      return undefined
    }
    if (verdict === 'copy') return undefined
    if (datagram.hasEnd && datagram.received === datagram.length) {
      this.#remove(datagram)
      this.counts.reassembled++
      return {
        protocol: datagram.protocol,
        bytes: Buffer.concat(datagram.runs.flatMap(({ pieces }) => pieces)),
      }
    }
    if (datagram.fragments > this.#limits.fragmentsOfDatagram) this.#evict(datagram)
    else this.#makeRoom(datagram)
    return undefined
  }

  #find(key: string, fragment: IpFragment): Datagram {
    const { family } = fragment
    const known = this.#datagrams[family].get(key)
    if (known) return known
    const source = familyOf(fragment.source) === 4 ? fragment.source : sourcePrefixOf(fragment.source)
    let holder = this.#holders.get(source)
    if (holder === undefined) {
      holder = { source, datagrams: new Set(), cost: 0, count: 0 }
      this.#holders.set(source, holder)
    }
    const datagram: Datagram = {
      key,
      family,
      holder,
      since: fragment.time,
      runs: [],
      fragments: 0,
      received: 0,
      length: 0,
      hasEnd: false,
      protocol: fragment.protocol,
      cost: 0,
      distance: holder.count,
    }
    this.#datagrams[family].set(key, datagram)
    holder.datagrams.add(datagram)
    this.#charge(datagram, FRAGMENT_OVERHEAD)
    return datagram
  }

  #checkDistance(datagram: Datagram, now: EpochMilliseconds): void {
    const { count } = datagram.holder
    const isFar = datagram.runs.length > 0 && count - datagram.distance > MAX_DISTANCE
    datagram.distance = count
    if (!isFar) return
    this.counts.timedOut++
    datagram.runs = []
    datagram.fragments = 0
    datagram.received = 0
    datagram.length = 0
    datagram.hasEnd = false
    datagram.since = now
    this.#charge(datagram, FRAGMENT_OVERHEAD - datagram.cost)
    // The oldest stand first.
    const { key, family } = datagram
    this.#datagrams[family].delete(key)
    this.#datagrams[family].set(key, datagram)
  }

  #insert(
    datagram: Datagram,
    fragment: IpFragment,
    start: number,
    end: number,
  ): 'kept' | 'copy' | 'contradiction' {
    if (!fragment.more) {
      if (end < datagram.length || (datagram.hasEnd && end !== datagram.length)) return 'contradiction'
      datagram.hasEnd = true
      datagram.length = end
    } else if (end > datagram.length) {
      if (datagram.hasEnd) return 'contradiction'
      datagram.length = end
    }
    if (start === end) return 'contradiction'
    const { runs } = datagram
    const last = runs.at(-1)
    const place = last && last.end >= end ? firstEndingAfter(runs, start) : runs.length
    const met = runs[place]
    if (met && met.start < end) return start >= met.start && end <= met.end ? 'copy' : 'contradiction'
    if (!met && last && last.end > start) return 'contradiction'
    const bytes = Buffer.from(fragment.bytes.subarray(0, end - start))
    if (!met && last?.end === start) {
      last.pieces.push(bytes)
      last.end = end
    } else runs.splice(place, 0, { start, end, pieces: [bytes] })
    datagram.fragments++
    datagram.received += end - start
    if (start === 0) datagram.protocol = fragment.protocol
    this.#charge(datagram, end - start + FRAGMENT_OVERHEAD)
    return 'kept'
  }

  #expire(now: EpochMilliseconds): void {
    for (const family of [4, 6] as const) {
      for (const datagram of this.#datagrams[family].values()) {
        if (now - datagram.since < this.#limits.timeouts[family] * LATEST_TIMER) break
        this.counts.timedOut++
        this.#remove(datagram)
      }
    }
  }

  #makeRoom(newest: Datagram): void {
    const { holder } = newest
    while (
      holder.datagrams.size > this.#limits.datagramsOfSource ||
      holder.cost > this.#limits.bytesOfSource
    ) {
      this.#evict(holder.datagrams.values().next().value!)
    }
    while (this.held.datagrams > this.#limits.datagrams || this.#cost > this.#limits.bytes) {
      this.#evict(this.#oldest())
    }
  }

  #oldest(): Datagram {
    const v4 = this.#datagrams[4].values().next().value
    const v6 = this.#datagrams[6].values().next().value
    return v4 && (!v6 || v4.since <= v6.since) ? v4 : v6!
  }

  #evict(datagram: Datagram): void {
    this.counts.evicted++
    this.#remove(datagram)
  }

  #remove(datagram: Datagram): void {
    this.#datagrams[datagram.family].delete(datagram.key)
    const { holder } = datagram
    holder.datagrams.delete(datagram)
    this.#charge(datagram, -datagram.cost)
    if (holder.datagrams.size === 0) this.#holders.delete(holder.source)
  }

  #charge(datagram: Datagram, cost: number): void {
    datagram.cost += cost
    datagram.holder.cost += cost
    this.#cost += cost
  }
}

/** RFC 8200 leaves the protocol out of an IPv6 datagram's identity; RFC 791 has it in. */
function keyOf({ family, source, destination, identification, protocol, way = '' }: IpFragment): string {
  return `${source} ${destination} ${identification} ${family === 4 ? protocol : ''} ${way}`
}

/** The place of the first run that ends behind `start`; runs are in order and apart. */
function firstEndingAfter(runs: readonly Run[], start: number): number {
  let low = 0
  let high = runs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (runs[middle]!.end > start) high = middle
    else low = middle + 1
  }
  return low
}
