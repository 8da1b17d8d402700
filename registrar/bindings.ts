import {
  type Binding,
  type BindingChange,
  type BindingStore,
  keyOfBinding,
  type RegisterOrder,
  type RemovalCause,
  type WantedContact,
} from './binding.ts'
import { ExpiryWheel, type Timed } from './expiry-wheel.ts'
import type { Source } from './net/address.ts'
import type { EpochMilliseconds, Seconds } from './net/time.ts'

export interface BindingSettings {
  readonly minExpires: Seconds
  readonly maxExpires: Seconds
  /** Bindings of one account. */
  readonly maxBindings: number
  /** Whether a new binding over `maxBindings` takes the place of the oldest, or is refused. */
  readonly registerReplace: boolean
}

export type RegisterResult =
  /** Done as a whole; `bindings` are those that stand now. */
  | {
      readonly kind: 'done'
      readonly bindings: readonly Binding[]
      readonly changes: readonly BindingChange[]
    }
  | { readonly kind: 'too-brief'; readonly minExpires: Seconds }
  /** An older request of the same Call-ID came late (RFC 3261 section 10.3 step 7). */
  | { readonly kind: 'out-of-order' }
  | { readonly kind: 'too-many'; readonly maxBindings: number }
  /** The whole table is full. */
  | { readonly kind: 'full' }

/** Which contacts each account is reached at. All of a request is done, or nothing (RFC 3261 section 10.3). */
export class Bindings {
  readonly #settings: BindingSettings
  readonly #capacity: number
  readonly #store: BindingStore | undefined
  readonly #aors = new Map<string, Aor>()
  readonly #wheel = new ExpiryWheel<Aor>()
  #size = 0

  constructor({ settings, capacity = 1_000_000, store }: BindingsOptions) {
    this.#settings = settings
    this.#capacity = capacity
    this.#store = store
  }

  get size(): number {
    return this.#size
  }

  /** Takes in what the store kept, but for what has expired meanwhile or belongs to nobody now. */
  restore({ now, isAccount }: { now: EpochMilliseconds; isAccount: (user: string) => boolean }): number {
    let restored = 0
    for (const binding of this.#store?.load() ?? []) {
      if (binding.expiresAt <= now || !isAccount(binding.user) || this.#size >= this.#capacity) continue
      const aor = this.#aorFor(binding.user)
      const key = keyOfBinding(binding)
      if (!aor.bindings.has(key)) this.#size++
      aor.bindings.set(key, binding)
      this.#wheel.note(aor, binding.expiresAt)
      restored++
    }
    return restored
  }

  register(order: RegisterOrder, now: EpochMilliseconds): RegisterResult {
    const plan = this.#plan(order, now)
    if (plan.kind !== 'plan') return plan
    this.#commit(order.user, plan)
    return { kind: 'done', bindings: [...plan.bindings.values()], changes: plan.changes }
  }

  /** The bindings of an account that stand now, best q first, then newest. */
  of(user: string, now: EpochMilliseconds): readonly Binding[] {
    const live = [...(this.#aors.get(user)?.bindings.values() ?? [])].filter(
      ({ expiresAt }) => expiresAt > now,
    )
    return live.sort((a, b) => b.q - a.q || b.refreshedAt - a.refreshedAt)
  }

  /** Whether an account is registered from this very address and port. */
  isAt({ user, source, now }: { user: string; source: Source; now: EpochMilliseconds }): boolean {
    for (const binding of this.#aors.get(user)?.bindings.values() ?? []) {
      const same = binding.source.port === source.port && binding.source.address === source.address
      if (same && binding.expiresAt > now) return true
    }
    return false
  }

  *list(now: EpochMilliseconds): IterableIterator<Binding> {
    for (const aor of this.#aors.values()) {
      for (const binding of aor.bindings.values()) if (binding.expiresAt > now) yield binding
    }
  }

  /** Removes what has expired since the last call. */
  expire(now: EpochMilliseconds): readonly BindingChange[] {
    const changes: BindingChange[] = []
    for (const aor of this.#wheel.turn(now)) this.#expireOf(aor.user, now, changes)
    return changes
  }

  /** Removes every binding of an account. */
  removeAll(user: string, cause: RemovalCause): readonly BindingChange[] {
    const bindings = this.#aors.get(user)?.bindings
    if (!bindings) return []
    const changes = [...bindings.values()].map(
      (binding): BindingChange => ({ kind: 'removed', binding, cause }),
    )
    this.#commit(user, { bindings: new Map(), changes })
    return changes
  }

  #plan(order: RegisterOrder, now: EpochMilliseconds): Plan | Exclude<RegisterResult, { kind: 'done' }> {
    const plan: Plan = { kind: 'plan', bindings: new Map(this.#aors.get(order.user)?.bindings), changes: [] }
    for (const [key, { expiresAt }] of plan.bindings) if (expiresAt <= now) remove(plan, key, 'expired')
    const standing = plan.bindings.size
    switch (order.wish.kind) {
      case 'fetch':
        return plan
      case 'remove-all':
        for (const [key, binding] of plan.bindings) {
          if (binding.callId === order.callId && order.cseq <= binding.cseq) return { kind: 'out-of-order' }
          remove(plan, key, 'unregistered')
        }
        return plan
      case 'set':
        for (const wanted of order.wish.contacts) {
          const refusal = this.#planContact(plan, order, wanted, now)
          if (refusal) return refusal
        }
        return this.#planRoom(plan, order, standing)
    }
  }

  #planContact(plan: Plan, order: RegisterOrder, wanted: WantedContact, now: EpochMilliseconds) {
    const known = plan.bindings.get(wanted.key)
    if (known && known.callId === order.callId) {
      if (order.cseq < known.cseq) return { kind: 'out-of-order' } as const
      // The very same request again, after its answer was forgotten: what it asked for is done already.
      if (order.cseq === known.cseq) return undefined
    }
    const { minExpires, maxExpires } = this.#settings
    if (wanted.expires === 0) {
      if (known) remove(plan, wanted.key, 'unregistered')
      return undefined
    }
    if (wanted.expires !== undefined && wanted.expires < minExpires)
      return { kind: 'too-brief', minExpires } as const
    if (this.#settings.registerReplace && wanted.instance !== null) {
      for (const [key, other] of plan.bindings) {
        if (key !== wanted.key && other.instance === wanted.instance) remove(plan, key, 'replaced')
      }
    }
    const binding: Binding = {
      user: order.user,
      contact: wanted.uri,
      q: wanted.q,
      instance: wanted.instance,
      callId: order.callId,
      cseq: order.cseq,
      source: order.source,
      transport: order.transport,
      userAgent: order.userAgent,
      registeredAt: known?.registeredAt ?? now,
      refreshedAt: now,
      expiresAt: now + Math.max(minExpires, Math.min(wanted.expires ?? USUAL_EXPIRES, maxExpires)) * 1000,
    }
    plan.bindings.set(wanted.key, binding)
    plan.changes.push({ kind: known ? 'refreshed' : 'added', binding })
    return undefined
  }

  /** Holds a plan to the bounds: by letting the account's least lately refreshed bindings go, or by refusing. */
  #planRoom(plan: Plan, order: RegisterOrder, standing: number) {
    const { maxBindings, registerReplace } = this.#settings
    const others = [...plan.bindings].filter(
      ([, binding]) => binding.callId !== order.callId || binding.cseq !== order.cseq,
    )
    others.sort(([, a], [, b]) => a.refreshedAt - b.refreshedAt)
    for (const [key] of others) {
      if (plan.bindings.size <= maxBindings || !registerReplace) break
      remove(plan, key, 'replaced')
    }
    // What stood before a smaller limit was set may stay until it expires; nothing may be added to it.
    const grows = plan.bindings.size > standing
    if (grows && plan.bindings.size > maxBindings) return { kind: 'too-many', maxBindings } as const
    if (grows && this.#size + plan.bindings.size - standing > this.#capacity) return { kind: 'full' } as const
    return plan
  }

  #commit(user: string, { bindings, changes }: Pick<Plan, 'bindings' | 'changes'>): void {
    if (changes.length === 0) return
    const aor = this.#aorFor(user)
    this.#size += bindings.size - aor.bindings.size
    aor.bindings = bindings
    if (bindings.size === 0) {
      this.#wheel.drop(aor)
      this.#aors.delete(user)
    }
    for (const binding of bindings.values()) this.#wheel.note(aor, binding.expiresAt)
    for (const change of changes) this.#store?.append(change)
  }

  #expireOf(user: string, now: EpochMilliseconds, into: BindingChange[]): void {
    const aor = this.#aors.get(user)
    if (!aor) return
    const changes: BindingChange[] = []
    for (const binding of aor.bindings.values()) {
      if (binding.expiresAt <= now) changes.push({ kind: 'removed', binding, cause: 'expired' })
    }
    if (changes.length === 0) {
      for (const binding of aor.bindings.values()) this.#wheel.note(aor, binding.expiresAt)
      return
    }
    const left = new Map([...aor.bindings].filter(([, binding]) => binding.expiresAt > now))
    this.#commit(user, { bindings: left, changes })
    into.push(...changes)
  }

  #aorFor(user: string): Aor {
    const known = this.#aors.get(user)
    if (known) return known
    const aor: Aor = { user, bindings: new Map(), dueSecond: undefined }
    this.#aors.set(user, aor)
    return aor
  }
}

export interface BindingsOptions {
  readonly settings: BindingSettings
  /** Bindings of all accounts together. */
  readonly capacity?: number
  readonly store?: BindingStore
}

/** What a phone that asks for nothing gets (RFC 3261 section 10.2.1.1 leaves it to the registrar). */
const USUAL_EXPIRES: Seconds = 3_600

interface Aor extends Timed {
  readonly user: string
  bindings: Map<string, Binding>
}

interface Plan {
  readonly kind: 'plan'
  readonly bindings: Map<string, Binding>
  readonly changes: BindingChange[]
}

function remove(plan: Plan, key: string, cause: RemovalCause): void {
  const binding = plan.bindings.get(key)
  if (!binding) return
  plan.bindings.delete(key)
  plan.changes.push({ kind: 'removed', binding, cause })
}
