import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'

/** An account of Ringfence's own registrar. */
export interface AccountView {
  readonly aor: string
  readonly origin: 'configuration' | 'added'
  readonly bindings: number
}

/** Who is registered, and for how long. */
export interface BindingView {
  readonly aor: string
  /** Empty where it is known from before a restart, until the phone registers again. */
  readonly contact: string
  /** Address and port that registered it; empty where nobody was seen to. */
  readonly source: string
  readonly transport: 'udp' | 'tcp'
  readonly userAgent: string
  readonly registeredAt: EpochMilliseconds
  readonly secondsLeft: Seconds
  /** Learnt from the softswitch's answers, not made by the registrar. */
  readonly learnt?: boolean
  /** Whether it answers the softswitch's OPTIONS; `unasked` where it was not asked, or not often enough to tell. */
  readonly online?: 'online' | 'silent' | 'unasked'
}
