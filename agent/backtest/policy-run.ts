import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Prefix, type Source, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import { Detector } from '../detect/detector.ts'
import type { DetectionPolicy, Verdict } from '../detect/verdict.ts'
import type { ExchangeEnded, Observation } from '../observe/observation.ts'
import { JudgedSource } from './judged-source.ts'
import { type Phone, phoneKey, RegisteredPhones } from './registered-phones.ts'

/** A replay has no flood to fear, so it may remember more than the sensor does. */
const MOST_SOURCES = 2_000_000
/** Sources with verdicts, and phones that are named. */
const MOST_JUDGED = 100_000
const MOST_PHONES = 100_000

export interface TouchedPhone {
  readonly phone: Pick<Phone, 'account' | 'source'>
  readonly time: EpochMilliseconds
  readonly verdict: Verdict
}

export interface PolicyRunOptions {
  readonly policy: DetectionPolicy
  /** Whether no verdict may reach it: the allowlist, a gateway, an address of the softswitch. */
  readonly isSpared?: (verdict: Verdict) => boolean
  readonly judgedElsewhere?: (serverPort: number) => boolean
  /** What came before only warms the detector up. */
  readonly from?: EpochMilliseconds
  readonly onVerdict?: (verdict: Verdict) => void
}

/** One policy over a stretch of traffic: what it decides, and which registered phones that touches. */
export class PolicyRun {
  readonly detector: Detector
  readonly judged = new Map<Prefix, JudgedSource>()
  readonly touched = new Map<string, TouchedPhone>()
  readonly spared = new Set<string>()
  readonly phones: RegisteredPhones
  readonly counts = { blocks: 0, suspensions: 0, informing: 0, notKept: 0 }
  readonly #from: EpochMilliseconds
  /** Blocks of whole sources, those of before the time that counts too. */
  readonly #blockedUntil = new BoundedMap<Prefix, EpochMilliseconds>({ capacity: MOST_JUDGED })
  readonly #isSpared: (verdict: Verdict) => boolean

  constructor({
    policy,
    isSpared = () => false,
    judgedElsewhere,
    from = Number.NEGATIVE_INFINITY,
    onVerdict = () => {},
  }: PolicyRunOptions) {
    this.#from = from
    this.#isSpared = isSpared
    this.phones = new RegisteredPhones({ from })
    this.detector = new Detector({
      policy,
      maxSources: MOST_SOURCES,
      ...(judgedElsewhere ? { judgedElsewhere } : {}),
      onVerdict: (verdict) => {
        onVerdict(verdict)
        this.#judge(verdict)
      },
    })
  }

  observe(observation: Observation): void {
    const succeeds = observation.kind === 'exchange' && observation.outcome === 'success'
    if (succeeds) this.#meetMeasures(observation)
    this.detector.observe(observation)
    if (succeeds) this.phones.succeeded(observation)
  }

  countFlood(address: Address, time: EpochMilliseconds): boolean {
    return this.detector.countFlood(address, time)
  }

  /** Whether a block of the whole source stands until then at least. */
  blocks(source: Prefix, until: EpochMilliseconds): boolean {
    return (this.#blockedUntil.get(source) ?? Number.NEGATIVE_INFINITY) >= until
  }

  #judge(verdict: Verdict): void {
    const { time, action, port, address, duration } = verdict
    const source = sourcePrefixOf(address)
    const until = time + duration * 1_000
    // What began before and still stands belongs to the time that counts.
    const informs = action === 'limit' || action === 'alert'
    if (this.#isSpared(verdict)) return
    if (action === 'block' && port === null)
      this.#blockedUntil.set(source, Math.max(until, this.#blockedUntil.get(source) ?? until))
    if ((informs ? time : until) < this.#from) return
    const judged = this.#judgedOf(source)
    if (!judged) {
      this.counts.notKept++
      return
    }
    const noted = judged.note(verdict, this.#from)
    if (noted === 'prolonged') return
    if (informs) {
      this.counts.informing++
      return
    }
    if (noted === 'begun-apart') this.counts.notKept++
    if (action === 'block') this.counts.blocks++
    else this.counts.suspensions++
    for (const phone of this.phones.liveAt(source, time)) {
      if (port === null) this.#spare(phone)
      else if (phone.source.port === port && phone.source.address === address)
        this.#touch(phone, verdict, time)
    }
  }

  /** A phone that registers while something stands against its address. */
  #meetMeasures({ source, account, time, transport }: ExchangeEnded): void {
    const judged = this.judged.get(sourcePrefixOf(source.address))
    for (const { verdict, from, until } of judged?.measuresThat(source) ?? []) {
      if (time <= from || time >= until) continue
      // The kernel serves a proven port before it looks at what stands against its address.
      const isSpared = verdict.port === null && transport === 'udp' && this.phones.isProven(source, time)
      if (isSpared) this.#spare({ account, source })
      else this.#touch({ account, source }, verdict, time)
    }
  }

  #touch(phone: { account: string; source: Source }, verdict: Verdict, time: EpochMilliseconds): void {
    if (time < this.#from) return
    const key = phoneKey(phone.account, phone.source)
    if (this.touched.has(key) || this.touched.size >= MOST_PHONES) return
    const { account, source } = phone
    this.touched.set(key, { phone: { account, source }, time, verdict })
    this.spared.delete(key)
    const judged = this.judged.get(sourcePrefixOf(source.address))
    if (judged) judged.phonesTouched++
  }

  #spare({ account, source }: { account: string; source: Source }): void {
    const key = phoneKey(account, source)
    if (!this.touched.has(key) && this.spared.size < MOST_PHONES) this.spared.add(key)
  }

  #judgedOf(source: Prefix): JudgedSource | undefined {
    let judged = this.judged.get(source)
    if (!judged && this.judged.size < MOST_JUDGED) {
      judged = new JudgedSource()
      this.judged.set(source, judged)
    }
    return judged
  }
}
