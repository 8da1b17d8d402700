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
}

/** The payload of a datagram that is whole again. */
export interface WholeDatagram {
  readonly protocol: number
  readonly bytes: Buffer
}

export interface FragmentLimits {
  readonly datagrams: number
  readonly bytes: number
  /** The most one source (an IPv6 /64 is one) may hold of either: one source cannot push out everybody's. */
  readonly datagramsOfSource: number
  readonly bytesOfSource: number
  readonly fragmentsOfDatagram: number
  readonly timeout: Milliseconds
}

/** What became of fragments. Each counts datagrams, but for `malformed`, which counts fragments. */
export interface FragmentCounts {
  reassembled: number
  /** Let go because fragments overlapped or contradicted each other (RFC 5722; the same for IPv4). */
  overlapping: number
  timedOut: number
  /** Let go because a bound was reached: the oldest of the same source, or the oldest of all. */
  evicted: number
  malformed: number
}

/** 30 s as in Linux's ipfrag_time; an honest datagram of 64 kB over 576-byte links has 120 fragments. */
export const FRAGMENT_LIMITS: FragmentLimits = {
  datagrams: 2048,
  bytes: 8_388_608,
  datagramsOfSource: 128,
  bytesOfSource: 524_288,
  fragmentsOfDatagram: 128,
  timeout: 30_000,
}

/** The most payload a datagram can have; more is a "ping of death". */
const MAX_DATAGRAM_BYTES = 65_535
/** What a held fragment costs beside its bytes, so that many tiny ones count for what they take. */
const FRAGMENT_OVERHEAD = 128

interface HeldFragment {
  readonly start: number
  readonly end: number
  readonly bytes: Buffer
}

interface Datagram {
  readonly key: string
  readonly holder: Holder
  readonly since: EpochMilliseconds
  /** In order, none touching another's bytes. Empty for a datagram that was given up and must stay so. */
  pieces: HeldFragment[]
  givenUp: boolean
  received: number
  /** The length of the whole, once its last fragment came. */
  length: number | undefined
  protocol: number
  cost: number
}

/** One source's share. */
interface Holder {
  readonly source: string
  /** In order of arrival. */
  readonly datagrams: Set<Datagram>
  cost: number
}

/** Puts fragmented datagrams together, within bounds, by the packets' own clock. */
export class IpFragments {
  readonly #limits: FragmentLimits
  /** In order of arrival, so that the first is the oldest. */
  readonly #datagrams = new Map<string, Datagram>()
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
    return { datagrams: this.#datagrams.size, bytes: this.#cost }
  }

  /** Takes one fragment; gives the datagram that it completes. */
  add(fragment: IpFragment): WholeDatagram | undefined {
    this.#expire(fragment.time)
    const start = fragment.fragmentOffset
    const end = start + fragment.bytes.length
    if (
      fragment.bytes.length === 0 ||
      (fragment.more && fragment.bytes.length % 8 !== 0) ||
      end > MAX_DATAGRAM_BYTES
    ) {
      this.counts.malformed++
      return undefined
    }
    const datagram = this.#find(fragment)
    if (datagram.givenUp) return undefined
    const verdict = this.#insert(datagram, fragment, start, end)
    if (verdict === 'contradiction') {
      this.counts.overlapping++
      this.#giveUp(datagram)
      return undefined
    }
    if (verdict === 'duplicate') return undefined
    if (datagram.received === datagram.length) {
      this.#remove(datagram)
      this.counts.reassembled++
      return {
        protocol: datagram.protocol,
        bytes: Buffer.concat(datagram.pieces.map((piece) => piece.bytes)),
      }
    }
    if (datagram.pieces.length >= this.#limits.fragmentsOfDatagram) {
      this.counts.evicted++
      this.#giveUp(datagram)
    }
    this.#makeRoom(datagram)
    return undefined
  }

  #find(fragment: IpFragment): Datagram {
    // RFC 8200 leaves the protocol out of an IPv6 datagram's identity; RFC 791 has it in.
    const protocol = fragment.family === 4 ? fragment.protocol : ''
    const key = `${fragment.source} ${fragment.destination} ${fragment.identification} ${protocol}`
    const known = this.#datagrams.get(key)
    if (known) return known
    const source = familyOf(fragment.source) === 4 ? fragment.source : sourcePrefixOf(fragment.source)
    let holder = this.#holders.get(source)
    if (holder === undefined) {
      holder = { source, datagrams: new Set(), cost: 0 }
      this.#holders.set(source, holder)
    }
    const datagram: Datagram = {
      key,
      holder,
      since: fragment.time,
      pieces: [],
      givenUp: false,
      received: 0,
      length: undefined,
      protocol: fragment.protocol,
      cost: 0,
    }
    this.#datagrams.set(key, datagram)
    holder.datagrams.add(datagram)
    this.#charge(datagram, FRAGMENT_OVERHEAD)
    return datagram
  }

  #insert(
    datagram: Datagram,
    fragment: IpFragment,
    start: number,
    end: number,
  ): 'kept' | 'duplicate' | 'contradiction' {
    const { pieces } = datagram
    let at = pieces.length
    while (at > 0 && pieces[at - 1]!.start > start) at--
    const before = pieces[at - 1]
    const after = pieces[at]
    // A network may duplicate a fragment; the copy is no attack (RFC 8200 section 4.5).
    if (before?.start === start && before.end === end && before.bytes.equals(fragment.bytes))
      return 'duplicate'
    if ((before && before.end > start) || (after && after.start < end)) return 'contradiction'
    const length = fragment.more ? datagram.length : end
    if (datagram.length !== undefined && length !== datagram.length) return 'contradiction'
    const last = Math.max(end, pieces.at(-1)?.end ?? 0)
    if (length !== undefined && last > length) return 'contradiction'
    datagram.length = length
    pieces.splice(at, 0, { start, end, bytes: Buffer.from(fragment.bytes) })
    datagram.received += end - start
    if (start === 0) datagram.protocol = fragment.protocol
    this.#charge(datagram, end - start + FRAGMENT_OVERHEAD)
    return 'kept'
  }

  #expire(now: EpochMilliseconds): void {
    for (const datagram of this.#datagrams.values()) {
      if (now - datagram.since < this.#limits.timeout) return
      if (!datagram.givenUp) this.counts.timedOut++
      this.#remove(datagram)
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
    while (this.#datagrams.size > this.#limits.datagrams || this.#cost > this.#limits.bytes) {
      this.#evict(this.#datagrams.values().next().value!)
    }
  }

  #evict(datagram: Datagram): void {
    if (!datagram.givenUp) this.counts.evicted++
    this.#remove(datagram)
  }

  /** Frees what is held, but remembers the datagram so that its later fragments are not taken for a new one. */
  #giveUp(datagram: Datagram): void {
    datagram.givenUp = true
    datagram.pieces = []
    this.#charge(datagram, FRAGMENT_OVERHEAD - datagram.cost)
  }

  #remove(datagram: Datagram): void {
    this.#datagrams.delete(datagram.key)
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
