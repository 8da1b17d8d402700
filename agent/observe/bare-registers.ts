import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Transport } from './observation.ts'

const MOST_PORTS = 16_384
/** So many other REGISTERs of one port at once: the kernel's limit may have dropped the one that is waited for. */
const CROWD = 8

/** A REGISTER without credentials that an answer is waited for. */
export interface BareRegister {
  /** Tells its transaction from others of this client. */
  readonly key: string
  readonly at: EpochMilliseconds
  readonly source: Source
  readonly transport: Transport
  readonly serverPort: number
  /** The To header, cut short. */
  readonly to: string
  readonly userAgent: string
}

interface Waiting {
  readonly register: BareRegister
  others: number
}

/**
 * Bare REGISTERs of ports that are registered, one of each port at a time: how long a challenge takes, and whether it
 * comes at all. Whoever forges a registered phone's address and port takes its one place and no more, and where he
 * sends many nothing is concluded from a missing answer.
 */
export class BareRegisters {
  readonly #waiting = new BoundedMap<string, Waiting>({ capacity: MOST_PORTS })

  get size(): number {
    return this.#waiting.size
  }

  /** Whether another one of this port would be of no use. */
  isCrowded(source: Source): boolean {
    return (this.#waiting.get(keyOf(source))?.others ?? 0) > CROWD
  }

  asked(register: BareRegister): void {
    const place = keyOf(register.source)
    const waiting = this.#waiting.get(place)
    if (!waiting) this.#waiting.set(place, { register, others: 0 })
    else if (waiting.register.key !== register.key) waiting.others++
  }

  /** The port got a final answer: the REGISTER that it answers, where that is the one that was waited for. */
  answered(source: Source, key: string): BareRegister | undefined {
    const place = keyOf(source)
    const waiting = this.#waiting.get(place)
    if (!waiting) return undefined
    this.#waiting.delete(place)
    return waiting.register.key === key ? waiting.register : undefined
  }

  /** Takes out those that are older than `patience`, and gives the ones of which that means something. */
  takeSilent(now: EpochMilliseconds, patience: Milliseconds): readonly BareRegister[] {
    const silent: BareRegister[] = []
    this.#waiting.sweep(({ register, others }) => {
      if (now - register.at <= patience) return false
      if (others <= CROWD) silent.push(register)
      return true
    })
    return silent
  }
}

function keyOf({ address, port }: Source): string {
  return `${address} ${port}`
}
