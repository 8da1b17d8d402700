import type { LookView } from '../dashboard/api/status.ts'
import { BoundedMap } from '../registrar/bounded-map.ts'
import { type Prefix, showSource, sourcePrefixOf } from '../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../registrar/net/time.ts'
import type { Verdict, VerdictName } from './detect/verdict.ts'

const KEPT_FOR: Milliseconds = 3_600_000
/** Whoever can make verdicts can push out those of others: there are enough for many of him. */
const MOST_KEPT = 1_000
const MOST_SHOWN = 10
/** An account's name is in it, as long as its owner likes. */
const LONGEST_REASON = 300

/** Guessers that are only limited, since somebody honest is behind the same address: nothing else tells of them. */
const GUESSERS: ReadonlySet<VerdictName> = new Set(['retry-limit', 'lockout', 'slow-guessing'])

/** Whether a verdict does nothing to anybody, and somebody should look all the same. */
export function isWorthALook({ action, name }: Pick<Verdict, 'action' | 'name'>): boolean {
  return action === 'alert' || (action === 'limit' && GUESSERS.has(name))
}

/** The alerts of the last hour and the guessers that are only limited, by source and rule. */
export class WorthALook {
  readonly #looks = new BoundedMap<string, { latest: Verdict; times: number }>({ capacity: MOST_KEPT })
  readonly #said = new BoundedMap<Prefix, EpochMilliseconds>({ capacity: MOST_KEPT })

  take(verdict: Verdict): void {
    const key = `${sourcePrefixOf(verdict.address)} ${verdict.name} ${verdict.action}`
    const known = this.#looks.get(key)
    const isRecent = known !== undefined && verdict.time - known.latest.time < KEPT_FOR
    this.#looks.set(key, { latest: verdict, times: isRecent ? known.times + 1 : 1 })
  }

  /** Whether the log has to tell of it: of a source that is limited once an hour, of an alert each time. */
  isNews({ action, address, time }: Verdict): boolean {
    if (action === 'alert') return true
    return time - (this.#said.get(sourcePrefixOf(address)) ?? Number.NEGATIVE_INFINITY) >= KEPT_FOR
  }

  /** The log told of it. */
  told({ action, address, time }: Verdict): void {
    if (action !== 'alert') this.#said.set(sourcePrefixOf(address), time)
  }

  /** Those of the last hour, the latest first. */
  latest(now: EpochMilliseconds): { readonly count: number; readonly first: readonly LookView[] } {
    this.#looks.sweep(({ latest }) => now - latest.time >= KEPT_FOR)
    const looks = [...this.#looks.entries()].map(([, look]) => look)
    const recent = looks.filter(({ latest }) => now - latest.time < KEPT_FOR).reverse()
    return { count: recent.length, first: recent.slice(0, MOST_SHOWN).map(lookView) }
  }
}

function lookView({ latest, times }: { readonly latest: Verdict; readonly times: number }): LookView {
  const { time, address, port, name, action, reason } = latest
  return {
    time,
    source: port === null ? address : showSource({ address, port }),
    name,
    action: action === 'alert' ? 'alert' : 'limit',
    times,
    reason: reason.length > LONGEST_REASON ? `${reason.slice(0, LONGEST_REASON - 1)}…` : reason,
  }
}
