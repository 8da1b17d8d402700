import type { Prefix, Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { SourceRecord } from '../detect/source-table.ts'
import type { RegisterSeen, Transport } from '../observe/observation.ts'
import { ownCopy } from '../observe/own-copy.ts'
import {
  MALFORMED_FLOOR,
  MINUTE,
  REGISTER_FLOOR,
  type RegisterMinute,
  SLICE,
  SLICES,
} from '../observe/recorded.ts'
import { beginOf } from './exchange-tally.ts'

/** Sources counted in one minute, and how many of them get a row: those with the most REGISTERs. */
const MOST_COUNTED = 5_000
const MOST_ROWS = 200
const MOST_NAMES = 16
const LONGEST_NAME = 64
/** To read an account costs more than to count a REGISTER: of a busy source one in so many is read. */
const READ_FIRST = 64
const READ_EVERY = 16

interface Tally {
  readonly source: Prefix
  port: number
  transport: Transport
  readonly slices: number[]
  registers: number
  answering: number
  challenges: number
  accounts: number
  readonly names: Set<string>
  userAgent: string
  malformed: number
}

export interface FinishedMinute {
  readonly minute: EpochMilliseconds
  readonly registers: number
  readonly rows: readonly RegisterMinute[]
  readonly letGo: { readonly sources: number; readonly registers: number }
}

/**
 * Counts the REGISTERs of busy sources by the minute. A flood of a million forged sources costs nothing here: a source
 * is counted once the detector has known it for `REGISTER_FLOOR` REGISTERs, and of those so many at most.
 */
export class RegisterTally {
  readonly #mostRows: number
  readonly #mostCounted: number
  #minute: EpochMilliseconds = 0
  #registers = 0
  #tallies = new Map<Prefix, Tally>()
  #letGoRegisters = 0
  #finished: FinishedMinute[] = []

  constructor({ mostRows = MOST_ROWS, mostCounted = MOST_COUNTED } = {}) {
    this.#mostRows = mostRows
    this.#mostCounted = mostCounted
  }

  register(record: SourceRecord, seen: RegisterSeen): void {
    const tally = this.#count(record, seen.source, seen.time)
    if (!tally) return
    tally.transport = seen.transport
    if (seen.answersChallenge || seen.answersSentNonce) tally.answering++
    if (tally.registers > READ_FIRST && tally.registers % READ_EVERY !== 0) return
    tally.accounts = Math.max(tally.accounts, record.phones?.estimate() ?? 0)
    if (tally.names.size < MOST_NAMES) tally.names.add(ownCopy(seen.account, LONGEST_NAME))
    if (tally.userAgent === '') tally.userAgent = ownCopy(seen.userAgent, LONGEST_NAME)
  }

  /** A REGISTER that was counted without being read. */
  counted(record: SourceRecord, source: Source, time: EpochMilliseconds): void {
    this.#count(record, source, time)
  }

  malformed(record: SourceRecord, source: Source, time: EpochMilliseconds): void {
    this.#turn(time)
    if (record.malformed < MALFORMED_FLOOR && record.registers < REGISTER_FLOOR) return
    const tally = this.#tallies.get(record.source) ?? this.#begin(record, source)
    if (tally) tally.malformed++
  }

  challenged({ source }: SourceRecord): void {
    const tally = this.#tallies.get(source)
    if (tally) tally.challenges++
  }

  /** The minutes that are over. */
  take(now: EpochMilliseconds): readonly FinishedMinute[] {
    this.#turn(now)
    const finished = this.#finished
    this.#finished = []
    return finished
  }

  #count(record: SourceRecord, source: Source, time: EpochMilliseconds): Tally | undefined {
    this.#turn(time)
    this.#registers++
    if (record.registers < REGISTER_FLOOR) return undefined
    const known = this.#tallies.get(record.source)
    const tally = known ?? this.#begin(record, source)
    if (!tally) {
      this.#letGoRegisters++
      return undefined
    }
    tally.port = source.port
    // Those that it was known by belong to this minute too, where it was first seen in it.
    const amount = !known && record.firstSeen >= this.#minute ? REGISTER_FLOOR : 1
    const slice = Math.min(SLICES - 1, Math.max(0, Math.floor((time - this.#minute) / SLICE)))
    tally.slices[slice] = (tally.slices[slice] ?? 0) + amount
    tally.registers += amount
    return tally
  }

  #begin({ source }: SourceRecord, { port }: Source): Tally | undefined {
    if (this.#tallies.size >= this.#mostCounted) return undefined
    const tally: Tally = {
      source,
      port,
      transport: 'udp',
      slices: [0, 0, 0, 0, 0, 0],
      registers: 0,
      answering: 0,
      challenges: 0,
      accounts: 0,
      names: new Set(),
      userAgent: '',
      malformed: 0,
    }
    this.#tallies.set(source, tally)
    return tally
  }

  #turn(time: EpochMilliseconds): void {
    if (time < this.#minute + MINUTE) return
    const minute = beginOf(time, MINUTE)
    if (this.#minute !== 0) this.#finish()
    this.#minute = minute
    this.#registers = 0
    this.#letGoRegisters = 0
    this.#tallies = new Map()
  }

  #finish(): void {
    const busy = [...this.#tallies.values()]
      .filter(({ registers, malformed }) => registers >= REGISTER_FLOOR || malformed >= MALFORMED_FLOOR)
      .sort((a, b) => b.registers + b.malformed - (a.registers + a.malformed))
    const letGo = busy.slice(this.#mostRows)
    this.#finished.push({
      minute: this.#minute,
      registers: this.#registers,
      rows: busy.slice(0, this.#mostRows).map((tally) => rowOf(tally, this.#minute)),
      letGo: {
        sources: letGo.length,
        registers: letGo.reduce((sum, { registers }) => sum + registers, this.#letGoRegisters),
      },
    })
  }
}

function rowOf(
  { registers: _all, names, accounts, ...tally }: Tally,
  minute: EpochMilliseconds,
): RegisterMinute {
  return { ...tally, minute, names: [...names], accounts: Math.max(accounts, names.size) }
}
