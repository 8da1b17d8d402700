import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, familyOf, prefixOf, type Source, showSource } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Binding, BindingsLearnt } from '../observe/bindings.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { NEVER } from './source-table.ts'
import type { Verdict } from './verdict.ts'

const MOST_REPLACED = 4_096
/** What the old phone sent before it can have heard of the takeover says nothing. */
const SETTLES: Milliseconds = 5_000
/** Two phones that push each other out are told about once in so long. */
const SAID_AGAIN: Milliseconds = 21_600_000

interface Replaced {
  readonly binding: Binding & { readonly source: Source }
  readonly at: EpochMilliseconds
  readonly by: Pick<ExchangeEnded, 'source' | 'grade' | 'userAgent'>
}

/**
 * Live bindings that are replaced or taken back from another network (IPv4 /16, IPv6 /32) by another device, while
 * the old phone goes on speaking. A phone that roams keeps its User-Agent, and one that was carried away falls silent;
 * what is left may be somebody who knows the password. Only the admin can tell, so this informs and no more.
 */
export class Takeovers {
  /** By the address of the old phone. */
  readonly #replaced = new BoundedMap<Address, Replaced>({ capacity: MOST_REPLACED })
  readonly #saidAt = new BoundedMap<string, EpochMilliseconds>({ capacity: MOST_REPLACED })

  get size(): number {
    return this.#replaced.size + this.#saidAt.size
  }

  /** What a success changed. */
  learnt({ replaced }: BindingsLearnt, { time, source, grade, userAgent }: ExchangeEnded): void {
    for (const binding of replaced) {
      if (!hasSource(binding) || binding.userAgent === '' || binding.userAgent === userAgent) continue
      if (networkOf(binding.source.address) === networkOf(source.address)) continue
      this.#replaced.set(binding.source.address, { binding, at: time, by: { source, grade, userAgent } })
    }
  }

  /** Something came from an address; `account`: for whom, where that is known. */
  spoke(source: Source, time: EpochMilliseconds, account?: string): Verdict | undefined {
    if (this.#replaced.size === 0) return undefined
    const replaced = this.#replaced.get(source.address)
    if (!replaced) return undefined
    const { binding, at, by } = replaced
    if (time > binding.expiresAt) {
      this.#replaced.delete(source.address)
      return undefined
    }
    const isOld = source.port === binding.source.port || account === binding.account
    if (!isOld || time - at < SETTLES) return undefined
    this.#replaced.delete(source.address)
    if (time - (this.#saidAt.get(binding.account) ?? NEVER) < SAID_AGAIN) return undefined
    this.#saidAt.set(binding.account, time)
    const from = showSource(binding.source)
    const to = showSource(by.source)
    return {
      time,
      name: 'hijack',
      address: by.source.address,
      port: by.source.port,
      action: 'alert',
      scope: 'register',
      grade: by.grade,
      reason:
        `the registration of ${binding.account} from ${from} was replaced from ${to}, another network and another ` +
        'User-Agent, while the old phone still speaks: ask its owner, and change the password if it was not he',
      evidence: {
        account: binding.account,
        from,
        to,
        userAgentBefore: binding.userAgent,
        userAgentNow: by.userAgent,
        seconds: Math.round((time - at) / 1000),
      },
      duration: SAID_AGAIN / 1000,
    }
  }
}

function hasSource(binding: Binding): binding is Binding & { readonly source: Source } {
  return binding.source !== null
}

function networkOf(address: Address): string {
  return prefixOf(address, familyOf(address) === 4 ? 16 : 32)
}
