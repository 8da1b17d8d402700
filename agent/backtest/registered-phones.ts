import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Prefix, type Source, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import { EXPIRY_GRACE } from '../detect/lane-witness.ts'
import type { ExchangeEnded } from '../observe/observation.ts'

const MOST_SOURCES = 200_000
/** Behind one address; a large office has some hundreds. */
const MOST_OF_A_SOURCE = 5_000

/** An account that registered from an address and port. */
export interface Phone {
  readonly account: string
  readonly source: Source
  until: EpochMilliseconds
  /** Whether it registered within the time that counts. */
  counted: boolean
}

/** Who is registered from where, read off the successes of a replay. */
export class RegisteredPhones {
  readonly #bySource = new BoundedMap<Prefix, Map<string, Phone>>({ capacity: MOST_SOURCES })
  readonly #from: EpochMilliseconds
  #count = 0

  /** `from`: successes before it are not counted. */
  constructor({ from }: { readonly from: EpochMilliseconds }) {
    this.#from = from
  }

  /** Accounts at addresses and ports with a success within the time that counts. */
  get registered(): number {
    return this.#count
  }

  succeeded({ account, source, time, grantedExpires }: ExchangeEnded): void {
    const prefix = sourcePrefixOf(source.address)
    const phones = this.#bySource.get(prefix) ?? new Map<string, Phone>()
    const key = phoneKey(account, source)
    const known = phones.get(key)
    if (grantedExpires === 0) {
      if (known) known.until = Math.min(known.until, time)
      return
    }
    const until = time + grantedExpires * 1_000 + EXPIRY_GRACE
    const phone = known ?? { account, source, until, counted: false }
    if (!known && phones.size >= MOST_OF_A_SOURCE) return
    phone.until = until
    if (!phone.counted && time >= this.#from) {
      phone.counted = true
      this.#count++
    }
    phones.set(key, phone)
    this.#bySource.set(prefix, phones)
  }

  /** Those whose registration lasts at a moment. */
  liveAt(prefix: Prefix, now: EpochMilliseconds): readonly Phone[] {
    return [...(this.#bySource.get(prefix)?.values() ?? [])].filter(({ until }) => until > now)
  }

  /** Whether anybody is registered from exactly there. */
  isProven({ address, port }: Source, now: EpochMilliseconds): boolean {
    const phones = this.#bySource.get(sourcePrefixOf(address))?.values() ?? []
    for (const { source, until } of phones) {
      if (until > now && source.port === port && source.address === address) return true
    }
    return false
  }
}

export function phoneKey(account: string, { address, port }: Source): string {
  return `${address} ${port} ${account}`
}
