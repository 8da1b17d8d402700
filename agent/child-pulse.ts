import { readFileSync } from 'node:fs'
import type { Seconds } from '../registrar/net/time.ts'

/** A child that says something every second and was not heard for so long is missed. */
const MISSED_AFTER: Seconds = 3
/** Then it is looked at whether it can go on by itself. */
const JUDGED_AFTER: Seconds = 10
/** Before its first word: Node starts slowly on a host that has much to do. */
const FIRST_WORD_WITHIN: Seconds = 30
/** With so much processor time it would have said something, however much it has to do. */
const BUSY_WITHOUT_END: Seconds = 10
/** Of the kernel's clock ticks in /proc (USER_HZ), which is 100 wherever Linux runs Node. */
const TICKS_A_SECOND = 100

/** How the kernel says that a process does. */
export interface Vitals {
  /** The letter of proc(5): R, S, D, T, t, Z … */
  readonly state: string
  /** Processor time that it has had. */
  readonly cpu: Seconds
}

export type PulseJudgement =
  | { readonly kind: 'well' }
  /** Said once, when the silence is noticed; `why`: how the process stands. */
  | { readonly kind: 'missed'; readonly silent: Seconds; readonly why: string }
  | { readonly kind: 'silent' }
  /** It will not go on by itself. */
  | { readonly kind: 'stuck'; readonly silent: Seconds; readonly why: string }

const WELL: PulseJudgement = { kind: 'well' }
const SILENT: PulseJudgement = { kind: 'silent' }

/**
 * Whether a child that says something every second still does. It is asked once a second, and counts how often it was
 * asked and not the time: after a moment in which the daemon itself stood still the child's words are only waiting.
 *
 * One that has no processor (starved under a flood) or waits for the disk (swapped out) is left alone: started again it
 * would have less. One that is stopped, that sleeps without waking, or that runs and runs and says nothing is stuck.
 */
export class ChildPulse {
  readonly #look: () => Vitals | undefined
  #silent = 0
  #hasSpoken = false
  #missed: Vitals | undefined
  #isMissed = false

  constructor(look: () => Vitals | undefined) {
    this.#look = look
  }

  /** It was missed and has said nothing since. */
  get isMissed(): boolean {
    return this.#isMissed
  }

  heard(): void {
    this.#silent = 0
    this.#hasSpoken = true
    this.#isMissed = false
  }

  /** To be called once a second. */
  tick(): PulseJudgement {
    this.#silent++
    const missedAfter = this.#hasSpoken ? MISSED_AFTER : FIRST_WORD_WITHIN
    if (this.#silent < missedAfter) return WELL
    const now = this.#look()
    if (!this.#isMissed) {
      this.#isMissed = true
      this.#missed = now
      return { kind: 'missed', silent: this.#silent, why: now ? sayState(now) : 'it cannot be looked at' }
    }
    if (this.#silent < missedAfter - MISSED_AFTER + JUDGED_AFTER) return SILENT
    const why = whyStuck(this.#missed, now)
    return why === undefined ? SILENT : { kind: 'stuck', silent: this.#silent, why }
  }
}

function whyStuck(before: Vitals | undefined, now: Vitals | undefined): string | undefined {
  if (!before || !now) return undefined
  if (isStopped(now)) return 'it is stopped'
  const had = now.cpu - before.cpu
  if (had >= BUSY_WITHOUT_END) return `it had ${Math.round(had)} s of processor time and is busy without end`
  if (now.state === 'S' && had === 0) return 'it sleeps and does not wake'
  return undefined
}

function sayState(vitals: Vitals): string {
  if (isStopped(vitals)) return 'it is stopped'
  switch (vitals.state) {
    case 'R':
      return 'it is busy, or gets no processor'
    case 'D':
      return 'it waits for the disk or for memory'
    default:
      return 'it sleeps'
  }
}

function isStopped({ state }: Vitals): boolean {
  return state === 'T' || state === 't'
}

/** Reads how a process does; undefined where there is none of that number. */
export function readVitals(pid: number): Vitals | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name stands in parentheses and may hold anything, parentheses too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const cpu = (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
    return { state: fields[0] ?? '', cpu }
  } catch {
    return undefined
  }
}
