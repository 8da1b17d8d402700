import { BoundedMap } from '../../registrar/bounded-map.ts'
import { showSource } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, type Milliseconds, showDuration } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { FailingPort } from './failing-port.ts'
import { FEWEST_ACCOUNTS } from './looks-like-phones.ts'
import { sayNames } from './recent-names.ts'
import { NEVER } from './source-table.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

const MOST_PORTS = 4_096
/** One port is told about again after so long. */
const SAID_AGAIN: Milliseconds = 3_600_000

interface Guessed {
  readonly port: FailingPort
  saidAt: EpochMilliseconds
}

/**
 * Failures from registered ports that somebody else may have written: over a nonce that everybody is given, or one that
 * went to another port of the address. Nothing may follow for the phone that is registered there, but people are told.
 */
export class ForgeableGuesses {
  readonly #ports: BoundedMap<string, Guessed>
  #policy: DetectionPolicy

  constructor(policy: DetectionPolicy, { capacity }: { readonly capacity: number }) {
    this.#policy = policy
    this.#ports = new BoundedMap({ capacity: Math.min(capacity, MOST_PORTS) })
  }

  configure(policy: DetectionPolicy): void {
    this.#policy = policy
  }

  get size(): number {
    return this.#ports.size
  }

  /** `registered`: accounts that are registered from this very port. */
  failed({ account, source, time }: ExchangeEnded, registered: number): Verdict | undefined {
    const key = showSource(source)
    const { failures: most, within } = this.#policy.block
    const known = this.#ports.get(key) ?? { port: new FailingPort(within), saidAt: NEVER }
    known.port.add(account, time)
    this.#ports.set(key, known)
    const accounts = known.port.allAccounts(time)
    const failures = known.port.allFailures(time)
    const isWide = accounts >= FEWEST_ACCOUNTS && accounts > registered && failures >= most
    if (!isWide && !known.port.isTooFast(time)) return undefined
    if (time - known.saidAt < SAID_AGAIN) return undefined
    known.saidAt = time
    return {
      time,
      name: 'retry-limit',
      address: source.address,
      port: source.port,
      action: 'alert',
      scope: 'register',
      grade: 'packet',
      reason:
        `${failures} failed registrations over ${sayNames(accounts)} account${accounts === 1 ? '' : 's'} from port ${source.port} within ` +
        `${showDuration(within)}, where ${registered} ${registered === 1 ? 'is' : 'are'} registered: a guesser who owns an account, or somebody ` +
        'who writes this address; not suspended, since over nonces that others are given too nobody knows which',
      evidence: { failures, accounts, registered },
      duration: SAID_AGAIN / 1_000,
    }
  }
}
