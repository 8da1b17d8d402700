import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Verdict } from '../detect/verdict.ts'
import type { LogKind } from './log-event.ts'

const MOST_SOURCES = 16_384
const WITHIN: Milliseconds = 600_000

interface Count {
  failures: number
  readonly since: EpochMilliseconds
}

/**
 * Failures that a log tells of without proving where they came from: after so many of one source people are told, and
 * nothing else comes of them.
 */
export class LogAlerts {
  readonly #failures: number
  readonly #onVerdict: (verdict: Verdict) => void
  readonly #counts = new BoundedMap<Prefix, Count>({ capacity: MOST_SOURCES })

  constructor(options: { readonly failures: number; readonly onVerdict: (verdict: Verdict) => void }) {
    this.#failures = options.failures
    this.#onVerdict = options.onVerdict
  }

  failed(
    { address, account }: { readonly address: Address; readonly account: string },
    { log, at }: { readonly log: LogKind; readonly at: EpochMilliseconds },
  ): void {
    const source = sourcePrefixOf(address)
    let count = this.#counts.get(source)
    if (!count || at - count.since > WITHIN) {
      count = { failures: 0, since: at }
      this.#counts.set(source, count)
    }
    count.failures++
    if (count.failures !== this.#failures) return
    this.#onVerdict({
      time: at,
      name: 'retry-limit',
      address,
      port: null,
      action: 'alert',
      scope: 'register',
      grade: 'packet',
      reason: `${count.failures} failed registrations in the log of ${NAMES[log]}, which does not prove where they came from`,
      evidence: {
        failures: count.failures,
        lastAccount: account,
        log,
        seconds: Math.round((at - count.since) / 1_000),
      },
      duration: 0,
    })
  }
}

const NAMES: Readonly<Record<LogKind, string>> = {
  asterisk: 'Asterisk',
  freeswitch: 'FreeSWITCH',
  vos3000: 'VOS3000',
}
