import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'

/** Whether there is an attack, or phones come back after an outage; and what that is judged by. */
export interface WeatherView {
  readonly state: 'peace' | 'attack' | 'recovery'
  readonly since: EpochMilliseconds
  /** In one sentence, with the figures. */
  readonly why: string
  /** What is usual at this hour of the week. While it is learnt, it decides nothing. */
  readonly baseline: {
    readonly state: 'learning' | 'learnt'
    /** Hours of the last weeks that are known, and how many are needed. */
    readonly hours: number
    readonly hoursNeeded: number
    /** Rates a second, new sources a minute; null where nothing is known yet. */
    readonly usual: {
      readonly registers: number | null
      readonly successes: number | null
      /** Successes of REGISTERs, 0 to 1. */
      readonly share: number | null
      readonly endpoints: number | null
      readonly newSources: number | null
    } | null
    /** REGISTERs a second from which on it is far more than usual. */
    readonly bound: number | null
  }
  /** REGISTERs a second that the softswitch can answer, and how that is known. */
  readonly capacity: {
    readonly perSecond: number | null
    readonly how: 'configured' | 'measured' | 'at-least' | 'unknown'
    readonly why: string
    /** What all unknown sources may send for it; null where `limits.total` is a number. */
    readonly leftForUnknown: number | null
  }
  /** What is not usual now, each as a sentence. */
  readonly anomalies: readonly { readonly since: EpochMilliseconds; readonly sentence: string }[]
  /** What holds now, under attack the tighter one. */
  readonly policy: { readonly registerRetry: number; readonly registerSuspendTime: Seconds }
  /** The softswitch answers nobody though registered phones ask, as a sentence; null where it answers. */
  readonly outage: {
    readonly since: EpochMilliseconds
    readonly phones: number
    readonly sentence: string
  } | null
  /**
   * The last changes of state, newest first, with the figures that they were decided from: rates a second over
   * `seconds`; `atLeast`: REGISTERs were so many or more; `arrivals`: packets by the kernel's own count. While an attack
   * or the strict limits stand, `peakRegisters` (`peakAtLeast`) and `peakArrivals` grow; `endedAt` says when it was over.
   */
  readonly changes: readonly {
    readonly time: EpochMilliseconds
    readonly what: 'weather' | 'strict' | 'anomaly' | 'outage'
    readonly state: string
    readonly why: string
    readonly figures: Readonly<Record<string, string | number | boolean | null>>
  }[]
}

/** Which limits decide about unknown sources. */
export interface StrictView {
  readonly state: 'peace' | 'strict'
  readonly since: EpochMilliseconds
  /** In one sentence. */
  readonly why: string
  /** What the operator ordered; `auto` leaves it to the detector. */
  readonly order: 'auto' | 'on' | 'off'
}
