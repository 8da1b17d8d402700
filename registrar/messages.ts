import type { AccountRefusal } from './accounts.ts'
import type { RemovalCause, Transport } from './binding.ts'
import type { RegistrarCounts } from './counters.ts'
import type { DigestHashes } from './digest.ts'
import type { Endpoint, ListenFailure } from './listen.ts'
import type { Prefix, Source } from './net/address.ts'
import type { EpochMilliseconds } from './net/time.ts'
import type { RegistrarSettings } from './open-registrar.ts'
import type { LockedOut, PolicySettings, Suspended } from './policy.ts'
import type { RegistrarStats } from './server.ts'

/** What the parent says. The first message is `start`; anything before it is answered with nothing. */
export type ToRegistrar =
  | { readonly type: 'start'; readonly settings: RegistrarSettings }
  /** Answered by an `answer` of the same id. */
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  | { readonly type: 'stop' }

export type Question =
  /** Bindings in no particular order; `limit` 1,000 where absent. */
  | { readonly kind: 'bindings'; readonly user?: string; readonly offset?: number; readonly limit?: number }
  | { readonly kind: 'accounts' }
  | { readonly kind: 'stats' }
  /** `aor`: `1001`, `1001@REALM` or `sip:1001@REALM`. */
  | {
      readonly kind: 'add-account'
      readonly aor: string
      readonly password: string
      readonly replace?: boolean
    }
  /** Its bindings go, too. */
  | { readonly kind: 'remove-account'; readonly aor: string }
  /** Takes back suspensions and the lockout of a source, or the suspension of one account there. */
  | { readonly kind: 'release'; readonly prefix: Prefix; readonly account?: string }
  /** Other numbers for the policy from now on. */
  | { readonly kind: 'set-policy'; readonly policy: PolicySettings }

/** What the registrar's process says. Nothing here is said for each packet. */
export type FromRegistrar =
  | {
      readonly type: 'ready'
      readonly listening: readonly Endpoint[]
      readonly accounts: number
      readonly bindings: number
    }
  /** It could not start; the process ends with exit code 1. The message is a sentence for people. */
  | {
      readonly type: 'failed'
      readonly code: ListenFailure | 'data' | 'bad-settings'
      readonly message: string
    }
  /** Once a second: what happened in it, and how things stand. */
  | {
      readonly type: 'counts'
      readonly at: EpochMilliseconds
      readonly counts: RegistrarCounts
      readonly bindings: number
      readonly accounts: number
      readonly connections: number
      /** Suspensions and lockouts that were not sent, since there were too many in one second. */
      readonly omitted: number
      /** Since the start: writes of the binding journal that failed. */
      readonly journalFaults: number
    }
  /** At once. */
  | {
      readonly type: 'suspended'
      readonly at: EpochMilliseconds
      readonly suspension: Suspended
      readonly userAgent: string
    }
  | {
      readonly type: 'locked-out'
      readonly at: EpochMilliseconds
      readonly lockout: LockedOut
      readonly userAgent: string
    }
  /** At most four times a second. Refreshes are only counted. */
  | {
      readonly type: 'bindings'
      readonly changes: readonly BindingNote[]
      readonly refreshed: number
      /** Changes left out of `changes`, since there were too many: ask for the list. */
      readonly omitted: number
      readonly total: number
    }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer }
  /** A bug that was survived, at most one a second. */
  | { readonly type: 'fault'; readonly message: string }

export interface BindingNote {
  readonly change: 'added' | RemovalCause
  readonly binding: BindingEntry
}

export interface BindingEntry {
  readonly user: string
  /** `user@REALM`. */
  readonly aor: string
  readonly contact: string
  readonly source: Source
  readonly transport: Transport
  readonly userAgent: string
  readonly registeredAt: EpochMilliseconds
  readonly expiresAt: EpochMilliseconds
}

export interface AccountEntry {
  readonly user: string
  readonly aor: string
  readonly origin: 'configuration' | 'added'
  readonly bindings: number
}

export type Answer =
  | { readonly kind: 'bindings'; readonly bindings: readonly BindingEntry[]; readonly total: number }
  | { readonly kind: 'accounts'; readonly accounts: readonly AccountEntry[] }
  | { readonly kind: 'stats'; readonly stats: RegistrarStats }
  /** `ha1` is what to keep of the password, for a parent that keeps accounts itself. */
  | { readonly kind: 'account'; readonly account: AccountEntry; readonly ha1: DigestHashes }
  | { readonly kind: 'released'; readonly suspensions: number; readonly lockouts: number }
  | { readonly kind: 'policy-set' }
  | {
      readonly kind: 'refused'
      readonly refusal: AccountRefusal | 'not-started' | 'fault'
      readonly message: string
    }
