import { BoundedMap } from '../../registrar/bounded-map.ts'
import { familyOf, type Prefix, prefixOf, sourcePrefixOf } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, showDuration } from '../../registrar/net/time.ts'
import type { FailureGrade } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { Escalation, escalated } from './failing-address.ts'
import { RETURNING_FOR } from './flood.ts'
import { looksLikePhones } from './looks-like-phones.ts'
import { RecentNames, sayNames } from './recent-names.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

const MOST_SITES = 16_384
/** What a provider gives one customer at least (RFC 6177). */
export const SITE_LENGTH = 56
/** Fewer networks of one site are judged each by itself. */
const FEWEST_NETWORKS = 4
/** A device with two accounts is in one network, so more than that of each is no device. */
const ACCOUNTS_A_DEVICE = 2

interface FailingSite {
  readonly networks: RecentNames
  readonly accounts: RecentNames
  /** Each account in each network where it failed. */
  readonly places: RecentNames
  readonly escalation: Escalation
}

/**
 * Failures of one IPv6 site (a /56), whose owner has 256 sources (/64) to guess from: each of them stays under every
 * limit of its own. Only where nobody of the site registered within days.
 */
export class FailingSites {
  readonly #sites: BoundedMap<Prefix, FailingSite>
  #policy: DetectionPolicy

  constructor(policy: DetectionPolicy, { capacity = Number.POSITIVE_INFINITY }: { capacity?: number } = {}) {
    this.#policy = policy
    this.#sites = new BoundedMap({ capacity: Math.min(capacity, MOST_SITES) })
  }

  configure(policy: DetectionPolicy): void {
    this.#policy = policy
  }

  get size(): number {
    return this.#sites.size
  }

  /** `lastSuccess`: of anybody in the same site. */
  failed(
    { source, account, time }: ExchangeEnded,
    { grade, lastSuccess }: { readonly grade: FailureGrade; readonly lastSuccess: EpochMilliseconds },
  ): Verdict | undefined {
    if (familyOf(source.address) !== 6 || time - lastSuccess < RETURNING_FOR) return undefined
    const { block, registerSuspend } = this.#policy
    const prefix = prefixOf(source.address, SITE_LENGTH)
    const network = sourcePrefixOf(source.address)
    const site = this.#sites.get(prefix) ?? {
      networks: new RecentNames(block.within),
      accounts: new RecentNames(block.within),
      places: new RecentNames(block.within),
      escalation: new Escalation(),
    }
    site.networks.add(network, time)
    site.accounts.add(account, time)
    site.places.add(`${network} ${account}`, time)
    this.#sites.set(prefix, site)
    const networks = site.networks.names(time)
    const failures = site.networks.events(time)
    if (!registerSuspend || networks < FEWEST_NETWORKS || failures < block.failures) return undefined
    const accounts = site.accounts.names(time)
    const severalFromPort = site.places.names(time) > ACCOUNTS_A_DEVICE * networks
    if (looksLikePhones({ accounts, ports: networks, severalFromPort, good: 0, stranger: true }))
      return undefined
    for (const names of [site.networks, site.accounts, site.places]) names.clear()
    const times = site.escalation.next(time)
    return {
      time,
      name: 'lockout',
      address: source.address,
      port: null,
      prefix,
      action: 'suspend',
      scope: 'register',
      grade,
      reason:
        `${failures} failed registrations over ${sayNames(accounts)} account${accounts === 1 ? '' : 's'} from ` +
        `${sayNames(networks)} networks (/64) of ${prefix} within ${showDuration(block.within)}, where nobody registered ` +
        'for days: all of it is suspended',
      evidence: { prefix, failures, accounts, networks, times: times + 1 },
      duration: escalated(times, this.#policy),
    }
  }

  /** Forgets the site that an address is of. */
  pardon(prefix: Prefix): void {
    this.#sites.delete(prefix)
  }
}
