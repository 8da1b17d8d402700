import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { DistinctCount } from './distinct-count.ts'
import { portKey } from './port-key.ts'

/** What fails among the phones of an office is looked at from so many failures on: ten for each of sixteen. */
const FEWEST_FAILURES = 160
/** Over TCP every try may have a port of its own, so that only its pace tells a guesser. */
const FEWEST_OVER_TCP = 320
/** So many ports that fail … */
const FEWEST_PORTS = 64
/** New failing phones that an office may have at once, and so many more for each account that is registered there. */
const NEW_PHONES = 16
const NEW_FOR_EACH_GOOD = 2

/** What one account of a phone with a wrong password does at most within a span. */
interface Pace {
  readonly span: Milliseconds
  /** Ports: a NAT that forgets within seconds gives its phone a new one for every try, each 50 s. */
  readonly ports: number
  /** Tries over TCP: baresip makes 16 in 6 ms, then waits for 50 s. */
  readonly tries: number
}

/** Failures, and how far they spread, since a moment. */
class Spread {
  failures = 0
  tcpFailures = 0
  readonly accounts = new DistinctCount()
  /** Those that did not register here within a day. */
  readonly strangers = new DistinctCount()
  readonly ports = new DistinctCount()
  readonly #pace: Pace
  #began: EpochMilliseconds = Number.NEGATIVE_INFINITY
  lasted: Milliseconds = 0

  constructor(pace: Pace) {
    this.#pace = pace
  }

  add({ account, source, transport, time }: ExchangeEnded, isKnownHere: boolean): void {
    if (time < this.#began || time - this.#began >= this.#pace.span) this.clear(time)
    this.lasted = time - this.#began
    this.failures++
    this.accounts.add(account)
    if (!isKnownHere) this.strangers.add(account)
    if (transport === 'udp') this.ports.add(portKey(source))
    else this.tcpFailures++
  }

  isBeyondPhones(good: number): boolean {
    const { ports: portsAnAccount, tries } = this.#pace
    if (this.failures < FEWEST_FAILURES) return false
    const accounts = Math.max(1, this.accounts.estimate())
    const ports = this.ports.estimate()
    if (ports >= FEWEST_PORTS && ports > portsAnAccount * accounts) return true
    if (this.tcpFailures >= FEWEST_OVER_TCP && this.tcpFailures > tries * accounts) return true
    return this.strangers.estimate() > NEW_PHONES + NEW_FOR_EACH_GOOD * good
  }

  clear(now: EpochMilliseconds): void {
    this.#began = now
    this.failures = 0
    this.tcpFailures = 0
    this.accounts.clear()
    this.strangers.clear()
    this.ports.clear()
  }
}

/** What is told of failures that are beyond what phones do. */
export interface BeyondPhones {
  readonly failures: number
  readonly accounts: number
  readonly ports: number
  readonly lasted: Milliseconds
}

/**
 * What fails at the unregistered ports of an address where somebody is good. Phones with wrong passwords, be there five or
 * two hundred after a power cut, have a port or two an account, over the worst NAT one for every try, and a pace. Who
 * takes a new port for each of hundreds of tries is no phone, nor who fails on hundreds of accounts that never registered
 * there. Estimates, in 1.5 kB.
 */
export class FailingSpread {
  readonly #spans: readonly Spread[]

  constructor(within: Seconds) {
    this.#spans = [
      new Spread({ span: 60_000, ports: 4, tries: 40 }),
      new Spread({ span: within * 1_000, ports: 16, tries: 200 }),
    ]
  }

  /** `isKnownHere`: its account registered at this very address within a day. */
  add(ended: ExchangeEnded, { isKnownHere }: { readonly isKnownHere: boolean }): void {
    for (const span of this.#spans) span.add(ended, isKnownHere)
  }

  /** `good`: accounts that registered there within a day. Undefined where this may be phones with wrong passwords. */
  beyondPhones(good: number): BeyondPhones | undefined {
    const found = this.#spans.find((span) => span.isBeyondPhones(good))
    if (!found) return undefined
    const { failures, accounts, ports, tcpFailures, lasted } = found
    return {
      failures,
      accounts: Math.min(failures, accounts.estimate()),
      ports: Math.min(failures, ports.estimate() + tcpFailures),
      lasted,
    }
  }

  clear(now: EpochMilliseconds): void {
    for (const span of this.#spans) span.clear(now)
  }
}
