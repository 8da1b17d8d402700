import { BoundedMap } from '../../registrar/bounded-map.ts'
import { hashText } from '../../registrar/hash-text.ts'
import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'

/** Accounts of one port that are told apart: more than any office has failing phones. */
const MOST_ACCOUNTS = 32

interface ProvenPort {
  until: EpochMilliseconds
  /** Some of the accounts that are registered from there, and until when. */
  readonly accounts: Map<number, EpochMilliseconds>
}

/** Which addresses and ports have a registration that lasts, and for how many accounts. */
export class ProvenPorts {
  readonly #ports: BoundedMap<string, ProvenPort>

  constructor({ capacity }: { capacity: number }) {
    this.#ports = new BoundedMap({ capacity })
  }

  get size(): number {
    return this.#ports.size
  }

  put(
    source: Source,
    account: string,
    { now, until }: { now: EpochMilliseconds; until: EpochMilliseconds },
  ): void {
    const key = keyOf(source)
    const port = this.#ports.get(key) ?? { until: 0, accounts: new Map<number, EpochMilliseconds>() }
    const name = hashText(account)
    if (port.accounts.size >= MOST_ACCOUNTS) {
      for (const [gone, end] of port.accounts) if (end <= now) port.accounts.delete(gone)
    }
    if (port.accounts.has(name) || port.accounts.size < MOST_ACCOUNTS) port.accounts.set(name, until)
    port.until = Math.max(port.until, until)
    this.#ports.set(key, port)
  }

  isProven(source: Source, now: EpochMilliseconds): boolean {
    return (this.#ports.get(keyOf(source))?.until ?? 0) > now
  }

  /** Whether this very account is registered from there. */
  isProvenFor(source: Source, account: string, now: EpochMilliseconds): boolean {
    return (this.#ports.get(keyOf(source))?.accounts.get(hashText(account)) ?? 0) > now
  }

  /** Whether nobody was ever seen to register from there. */
  isUnheardOf(source: Source): boolean {
    return !this.#ports.has(keyOf(source))
  }

  /** Accounts that are registered from exactly this address and port. */
  accountsAt(source: Source, now: EpochMilliseconds): number {
    let accounts = 0
    for (const until of this.#ports.get(keyOf(source))?.accounts.values() ?? []) if (until > now) accounts++
    return accounts
  }

  /** The same without this account; `more`: there may be more than could be counted. */
  othersAt(
    source: Source,
    account: string,
    now: EpochMilliseconds,
  ): { readonly count: number; readonly more: boolean } {
    const own = this.#ports.get(keyOf(source))?.accounts.get(hashText(account)) ?? 0
    const count = this.accountsAt(source, now) - (own > now ? 1 : 0)
    return { count, more: count >= MOST_ACCOUNTS - 1 }
  }
}

function keyOf({ address, port }: Source): string {
  return `${address} ${port}`
}
