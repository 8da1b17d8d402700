import { type Prefix, showSource } from '../registrar/net/address.ts'
import type { Clock } from '../registrar/net/time.ts'
import type { DesiredState } from '../rules/desired-state.ts'
import type { Config } from './config/config.ts'
import type { HostFacts } from './config/kernel-sizes.ts'
import type { Decisions } from './decide/decisions.ts'
import type { RegisteredSource } from './decide/kernel-feed.ts'
import { sparedLists } from './decide/spared.ts'
import { RETURNING_FOR } from './detect/flood.ts'
import { EXPIRY_GRACE } from './detect/lane-witness.ts'
import type { DetectionPolicy } from './detect/verdict.ts'
import type { Journal } from './journal/journal.ts'
import type { NonceSharing } from './observe/nonce-sharing.ts'
import type { RecordedExchange } from './observe/recorded.ts'
import type { KnownSuccess, LaneSettings, RegisteredBefore, SensorSettings } from './sensor/messages.ts'
import { sensorTask } from './sensor-task.ts'

/** As many as the sensor keeps; and registrations that are told it at its start, some megabytes. */
const MOST_PORTS = 65_536
const MOST_REGISTRATIONS = 20_000

export interface SensorBriefingOptions {
  readonly config: () => Config
  readonly host: HostFacts
  readonly journal: Pick<Journal, 'knownSources' | 'returningEntries' | 'provenEntries'>
  /** Who is in a lane now. */
  readonly members: () => DesiredState['members']
  /** What was recorded of registrations that last, at most so many of them. */
  readonly registrations: (options: { readonly limit: number }) => readonly RecordedExchange[]
  readonly clock: Clock
  readonly decisions: Pick<Decisions, 'allowedPrefixes'>
  /** The sources that registered within the last days, as the lanes know them. */
  readonly registered: () => readonly RegisteredSource[]
  /** The thresholds that hold now. */
  readonly policy: () => DetectionPolicy
  /** What is known of the softswitch's nonces. */
  readonly nonces: () => readonly NonceSharing[]
  /** Does what may fail without harm to anybody. */
  readonly keep: (read: () => void) => void
}

/** What the sensor is told: everything at its start, and whom it need not count as unknown when that changes. */
export class SensorBriefing {
  readonly #o: SensorBriefingOptions
  /** What it was told last of who is in which lane. */
  #toldLanes: LaneSettings | undefined

  constructor(options: SensorBriefingOptions) {
    this.#o = options
  }

  /** For a sensor that starts. */
  settings(): SensorSettings {
    const { config, host, policy, nonces } = this.#o
    return {
      ...sensorTask(config(), host),
      policy: policy(),
      known: this.#knownSources(),
      lanes: this.#lanes(),
      registered: this.#registeredBefore(),
      nonces: nonces(),
    }
  }

  /** The lanes of now, where they are others than those told last; those then count as told. */
  changedLanes(): LaneSettings | undefined {
    const lanes = this.#lanes()
    if (JSON.stringify(lanes) === JSON.stringify(this.#toldLanes)) return undefined
    this.#toldLanes = lanes
    return lanes
  }

  /** Lanes are written to the journal sooner than successes are, and know who registered a moment ago. */
  #knownSources(): readonly KnownSuccess[] {
    const { clock, journal, keep, registered } = this.#o
    const now = clock()
    const known = new Map<Prefix, KnownSuccess>()
    keep(() => {
      const since = now - RETURNING_FOR
      const accounts = new Map(journal.returningEntries(since).map((entry) => [entry.source, entry.accounts]))
      for (const success of journal.knownSources(since))
        known.set(success.source, { ...success, accounts: accounts.get(success.source) ?? 1 })
    })
    for (const { source, until, accounts } of registered()) {
      const success = known.get(source) ?? { source, at: now, until: 0 }
      known.set(source, {
        ...success,
        until: Math.max(success.until, until),
        accounts: Math.max(success.accounts ?? 1, accounts),
      })
    }
    return [...known.values()]
  }

  /**
   * Only who is in the proven lane, for over UDP nobody is registered who is not: so a guesser whose guess came true is
   * not taken for a customer by the next sensor either. Over TCP there is no lane, and the record is all that is known.
   */
  #registeredBefore(): RegisteredBefore {
    const { clock, journal, keep, members, registrations } = this.#o
    const now = clock()
    const ports: RegisteredBefore['ports'][number][] = []
    const known = new Set<string>()
    const accounts = new Set<string>()
    let recorded: readonly RecordedExchange[] = []
    keep(() => {
      // Those that end last, where there are more than the sensor keeps.
      for (const { account, address, port, until } of journal.provenEntries(now).slice(-MOST_PORTS)) {
        const source = { address, port }
        ports.push({ source, account, until: until - EXPIRY_GRACE })
        known.add(showSource(source))
        accounts.add(`${showSource(source)} ${account}`)
      }
      recorded = registrations({ limit: MOST_REGISTRATIONS })
    })
    // What only the kernel held when the daemon started.
    for (const member of members().flat()) {
      if (member.lane !== 'proven' || member.until <= now || ports.length >= MOST_PORTS) continue
      const source = { address: member.address, port: member.port }
      if (!known.has(showSource(source)))
        ports.push({ source, account: '', until: member.until - EXPIRY_GRACE })
    }
    return {
      ports,
      registrations: recorded.filter(
        ({ source, account, transport, grantedExpires, withCredentials, grade }) =>
          withCredentials &&
          (grantedExpires === 0 ||
            (transport === 'udp' ? accounts.has(`${showSource(source)} ${account}`) : grade === 'account')),
      ),
    }
  }

  #lanes(): LaneSettings {
    const config = this.#o.config()
    return {
      unknownPerSecond: config.limits.register.perSecond,
      provenPerSecond: config.limits.proven.perSecond,
      trusted: [...this.#o.decisions.allowedPrefixes(), ...sparedLists(config).gateways],
    }
  }
}
