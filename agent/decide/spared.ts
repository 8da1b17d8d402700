import {
  type Address,
  type Prefix,
  prefixContains,
  prefixOfAddress,
  showPrefix,
  splitPrefix,
} from '../../registrar/net/address.ts'
import { refusalOfBlock } from '../../rules/check-desired-state.ts'
import type { Config } from '../config/config.ts'
import { PrefixSet } from '../detect/prefix-set.ts'
import type { DecisionTarget } from '../journal/entries.ts'

/** Why no verdict may touch a target. */
export type SparedFrom = 'allowed' | 'own-address' | 'gateway'

/** Those whom the configuration names. */
export interface SparedLists {
  readonly allow: readonly Prefix[]
  /** The softswitch's addresses behind this gateway; none where it is this host. */
  readonly protect: readonly Prefix[]
  readonly gateways: readonly Prefix[]
}

/** Whom a configuration says that no verdict may touch. */
export function sparedLists({
  allow,
  protect,
  gateways,
}: Pick<Config, 'allow' | 'protect' | 'gateways'>): SparedLists {
  return {
    allow,
    protect: protect.addresses === 'local' ? [] : protect.addresses,
    gateways: gateways.flatMap(({ prefixes }) => prefixes),
  }
}

/** Who is never blocked or suspended by a verdict: this host, what it protects, its gateways, the allowlist. */
export class Spared {
  /** Asked each time, since addresses come and go (VRRP, DHCP). */
  readonly #ownAddresses: () => Iterable<Address>
  readonly #protect: readonly Prefix[]
  readonly #gateways: PrefixSet
  readonly #allow: PrefixSet

  constructor(lists: SparedLists, ownAddresses: () => Iterable<Address>) {
    this.#ownAddresses = ownAddresses
    this.#protect = lists.protect
    this.#gateways = new PrefixSet(lists.gateways)
    this.#allow = new PrefixSet(lists.allow)
  }

  allows(address: Address): boolean {
    return this.#allow.holds(address)
  }

  /** The prefix of the allowlist that holds the whole target; undefined where none does. */
  allowedAround(target: Prefix): Prefix | undefined {
    return this.#allow.around(target)
  }

  /** Why a verdict about `address` may not reach `target`, which is that address, its port or its /64. */
  fromVerdict(target: DecisionTarget, address: Address): SparedFrom | undefined {
    if (this.#allow.holds(address)) return 'allowed'
    if (this.#gateways.holds(address)) return 'gateway'
    const prefix = target.kind === 'prefix' ? target.prefix : prefixOfAddress(target.address)
    if (this.#ownAddressIn(prefix) !== undefined) return 'own-address'
    return this.#protect.some((own) => overlap(own, prefix)) ? 'own-address' : undefined
  }

  /** Why the operator may not block a target, in one sentence; undefined where he may. */
  fromOrder(target: Prefix): string | undefined {
    const refusal = refusalOfBlock(target)
    if (refusal !== undefined) return refusal
    const own = this.#ownAddressIn(target)
    if (own === undefined) return undefined
    const shown = showPrefix(target)
    const what = shown === own ? 'is' : `holds ${own},`
    return `${shown} ${what} an address of this host: blocking it would cut the host off from itself.`
  }

  #ownAddressIn(prefix: Prefix): Address | undefined {
    for (const address of this.#ownAddresses()) if (prefixContains(prefix, address)) return address
    return undefined
  }
}

function overlap(a: Prefix, b: Prefix): boolean {
  return prefixContains(a, splitPrefix(b).address) || prefixContains(b, splitPrefix(a).address)
}
