import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Verdict } from '../detect/verdict.ts'

const MOST_PORTS = 16_384
/** An SBC or proxy has so many times the bucket of a phone, as the chains have it. */
const TIMES_FOR_AGGREGATORS = 20

interface Port {
  /** The second that runs, as seconds since 1970, and REGISTERs in it. */
  second: number
  registers: number
  overAt: EpochMilliseconds
  suspendedUntil: EpochMilliseconds
}

/**
 * Registered ports whose REGISTERs our own rules may have dropped, because they sent as fast as their bucket allows or
 * were suspended: from the lack of an answer to those nothing follows about the softswitch. Somebody who forges a
 * customer's port can empty its bucket, and shall not be taken for a softswitch that went silent either.
 */
export class OwnDrops {
  readonly #ports = new BoundedMap<string, Port>({ capacity: MOST_PORTS })
  #perSecond: number

  /** `perSecond`: REGISTERs a second of one proven port that the kernel lets through. */
  constructor({ perSecond }: { readonly perSecond: number }) {
    this.#perSecond = perSecond
  }

  configure({ perSecond }: { readonly perSecond: number }): void {
    this.#perSecond = perSecond
  }

  /** A registered port sent a REGISTER, or again the same one. `isAggregator`: asked only where it matters. */
  register(source: Source, time: EpochMilliseconds, isAggregator: () => boolean): void {
    const port = this.#of(source)
    const second = Math.floor(time / 1_000)
    if (port.second !== second) {
      port.second = second
      port.registers = 0
    }
    port.registers++
    if (port.registers < this.#perSecond) return
    if (port.registers < this.#perSecond * TIMES_FOR_AGGREGATORS && isAggregator()) return
    port.overAt = time
  }

  /** What a verdict against one port asks for is done to what that port sends. */
  judged({ address, port, action, time, duration }: Verdict): void {
    if (port === null || (action !== 'suspend' && action !== 'block')) return
    this.#of({ address, port }).suspendedUntil = time + duration * 1_000
  }

  /** Whether something that the port has sent since then may have been dropped. */
  mayHaveDropped(source: Source, since: EpochMilliseconds): boolean {
    const port = this.#ports.get(keyOf(source))
    return port !== undefined && (port.overAt >= since || port.suspendedUntil >= since)
  }

  #of(source: Source): Port {
    const key = keyOf(source)
    const known = this.#ports.get(key)
    if (known) return known
    const never = Number.NEGATIVE_INFINITY
    const port: Port = { second: 0, registers: 0, overAt: never, suspendedUntil: never }
    this.#ports.set(key, port)
    return port
  }
}

function keyOf({ address, port }: Source): string {
  return `${address} ${port}`
}
