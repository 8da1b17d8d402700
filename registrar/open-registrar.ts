import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AccountFile } from './account-file.ts'
import { type AccountStore, Accounts, type ConfiguredAccount, type StoredAccount } from './accounts.ts'
import type { RegistrarState } from './authenticate.ts'
import { BindingJournal } from './binding-journal.ts'
import { type BindingSettings, Bindings } from './bindings.ts'
import type { DigestAlgorithm } from './digest.ts'
import type { Endpoint } from './listen.ts'
import type { EpochMilliseconds, Seconds } from './net/time.ts'
import { NonceIssuer } from './nonce.ts'
import { NonceWindow } from './nonce-window.ts'
import { type PolicySettings, RetryPolicy } from './policy.ts'

/** Everything a registrar is told at its start: plain values, so that they can be sent to its process. */
export interface RegistrarSettings extends BindingSettings {
  readonly realm: string
  /** Each is served over UDP and TCP. */
  readonly listen: readonly Endpoint[]
  readonly accounts: readonly ConfiguredAccount[]
  readonly policy: PolicySettings
  /**
   * Where bindings (`bindings.journal`) and added accounts (`accounts.json`) outlive a restart; made where it is
   * missing. Null: only memory keeps them.
   */
  readonly directory: string | null
  /**
   * Accounts that were added, where the parent keeps them itself: then `accounts.json` is neither read nor written,
   * and the answers to `add-account` and `remove-account` say what to keep.
   */
  readonly added?: readonly StoredAccount[]
  /** How long a nonce is good. 60 s where absent. */
  readonly nonceLifetime?: Seconds
  /**
   * Offered in this order; answers with either are accepted, whichever is offered. Only MD5 where absent: baresip
   * 1.0 and sipsak 0.9.8, both in Debian 12, give up at a challenge with SHA-256 in whatever place, though RFC 8760
   * section 2.4 has them pass it over.
   */
  readonly algorithms?: readonly DigestAlgorithm[]
}

export interface OpenRegistrar {
  readonly state: RegistrarState
  readonly restored: number
  /** Writes the binding changes that have gathered. Call it several times a second, and before the end. */
  flush(now: EpochMilliseconds): void
  /** Flushes that failed, of which the bindings are in memory only. */
  journalFaults(): number
}

const NONCE_LIFETIME: Seconds = 60
/** Some 15 MB. When phones use more nonces than this within a nonce's lifetime, the oldest become stale early. */
const REMEMBERED_NONCES = 131_072

/** Builds what the registrar knows from its settings and from what outlived the last run. */
export function openRegistrar(settings: RegistrarSettings, now: EpochMilliseconds): OpenRegistrar {
  const { realm, directory, policy } = settings
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,64}$/.test(realm)) {
    throw new TypeError(
      `the realm ${JSON.stringify(realm)} must be 1 to 64 printable characters without " and \\`,
    )
  }
  if (directory !== null) mkdirSync(directory, { recursive: true, mode: 0o700 })
  const store = settings.added
    ? keptByParent(settings.added)
    : directory && new AccountFile(join(directory, 'accounts.json'))
  const accounts = new Accounts({ realm, configured: settings.accounts, ...(store ? { store } : {}) })
  const journal = directory === null ? undefined : new BindingJournal(join(directory, 'bindings.journal'))
  const bindings = new Bindings({ settings, ...(journal ? { store: journal } : {}) })
  const restored = bindings.restore({ now, isAccount: (user) => accounts.find(user) !== undefined })
  const lifetime = (settings.nonceLifetime ?? NONCE_LIFETIME) * 1000
  const state: RegistrarState = {
    accounts,
    bindings,
    nonces: new NonceIssuer({ lifetime }),
    window: new NonceWindow({ lifetime, capacity: REMEMBERED_NONCES }),
    policy: new RetryPolicy({ settings: policy }),
    algorithms: settings.algorithms ?? ['MD5'],
  }
  return {
    state,
    restored,
    flush: (at) => journal?.flush({ size: bindings.size, list: () => bindings.list(at) }),
    journalFaults: () => journal?.faults ?? 0,
  }
}

function keptByParent(accounts: readonly StoredAccount[]): AccountStore {
  return { load: () => accounts, put: () => {}, remove: () => {} }
}
