import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { SourceRecord } from '../detect/source-table.ts'
import type { ExchangeEnded, Observation } from '../observe/observation.ts'
import type { MinuteTotals, RecordBatch } from '../observe/recorded.ts'
import { ExchangeTally } from './exchange-tally.ts'
import { LastExchanges } from './last-exchanges.ts'
import { RegisterTally } from './register-tally.ts'

type Counted =
  | 'challenges'
  | 'successes'
  | 'failures'
  | 'overloads'
  | 'silences'
  | 'malformed'
  | 'exchangesLetGo'
type Counts = Record<Counted, number>

/** What the sensor tells the daemon so that it can be judged again with another policy, and a source's last exchanges. */
export class TrafficRecord {
  readonly last = new LastExchanges()
  readonly #exchanges = new ExchangeTally()
  readonly #registers = new RegisterTally()
  readonly #find: (address: Address) => SourceRecord | undefined
  /** Of the minute that runs; what is told a little late counts in the next one. */
  #counts = noCounts()

  /** `find`: what the detector knows of a source; asked after it took the observation. */
  constructor({ find }: { readonly find: (address: Address) => SourceRecord | undefined }) {
    this.#find = find
  }

  /** Takes what the detector has just taken. */
  observe(observation: Observation): void {
    switch (observation.kind) {
      case 'register': {
        const record = this.#find(observation.source.address)
        if (record) this.#registers.register(record, observation)
        return
      }
      case 'exchange':
        this.#exchange(observation)
        return
      case 'malformed': {
        this.#counts.malformed++
        const record = this.#find(observation.source.address)
        if (record) this.#registers.malformed(record, observation.source, observation.time)
        return
      }
      case 'sip':
        return
    }
  }

  /** A REGISTER of a flood that the detector counted without reading it. */
  counted(address: Address, time: EpochMilliseconds): void {
    const record = this.#find(address)
    if (record) this.#registers.counted(record, { address, port: 0 }, time)
  }

  /** What is to be told now; undefined where there is nothing. To be called once a second. */
  take(now: EpochMilliseconds): RecordBatch | undefined {
    const { exchanges, letGo } = this.#exchanges.take()
    this.#counts.exchangesLetGo += letGo
    const finished = this.#registers.take(now)
    if (exchanges.length === 0 && finished.length === 0) return undefined
    const registers = finished.flatMap(({ rows }) => rows)
    const totals = finished.map((of): MinuteTotals => {
      const counts = this.#counts
      this.#counts = noCounts()
      return {
        ...counts,
        minute: of.minute,
        registers: of.registers,
        sources: of.rows.length,
        ofSources: of.rows.reduce((sum, { slices }) => sum + slices.reduce((all, some) => all + some, 0), 0),
        sourcesLetGo: of.letGo.sources,
        ofSourcesLetGo: of.letGo.registers,
      }
    })
    return { exchanges, registers, totals }
  }

  #exchange(ended: ExchangeEnded): void {
    this.last.add(ended)
    // The record is of registrations, and so is what another policy is tried on.
    if (ended.method !== undefined) return
    this.#exchanges.add(ended)
    switch (ended.outcome) {
      case 'challenge': {
        this.#counts.challenges++
        const record = this.#find(ended.source.address)
        if (record) this.#registers.challenged(record)
        return
      }
      case 'success':
        this.#counts.successes++
        return
      case 'failure':
      case 'refused':
        this.#counts.failures++
        return
      case 'overload':
        this.#counts.overloads++
        return
      case 'silence':
        this.#counts.silences++
        return
      default:
        return
    }
  }
}

function noCounts(): Counts {
  return {
    challenges: 0,
    successes: 0,
    failures: 0,
    overloads: 0,
    silences: 0,
    malformed: 0,
    exchangesLetGo: 0,
  }
}
