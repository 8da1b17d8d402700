import { type Address, type Source, showSource } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { RETURNING_FOR } from '../detect/flood.ts'
import type { ProvenEntry } from '../journal/entries.ts'
import { type MemberParts, putOff } from './member-parts.ts'
import { Shares } from './shares.ts'

/** An end is put off to a multiple of the first of these that is at most a twelfth of what was granted. */
const STEPS: readonly Milliseconds[] = [300_000, 120_000, 60_000]
const PART_OF_GRANTED = 12
const SHORTEST_STEP: Milliseconds = 30_000
/** So much later than its registration and the grace a port may end. */
export const LONGEST_STEP: Milliseconds = 300_000

/** The kernel tells ends in whole seconds. */
const SAME_END: Milliseconds = 2_000

/** An address and port as the kernel's set of the proven holds it. */
export interface HeldPort {
  readonly address: Address
  readonly port: number
  readonly until: EpochMilliseconds
}

interface Binding {
  readonly account: string
  readonly port: ProvenPort
  until: EpochMilliseconds
}

/** An address and port, with the accounts that are registered from there: mostly one, of an SBC thousands. */
interface ProvenPort {
  readonly key: string
  readonly address: Address
  readonly port: number
  bindings: Binding | Set<Binding> | undefined
  until: EpochMilliseconds
}

export interface ProvenBounds {
  /** Addresses and ports of one account. */
  readonly maxBindings: number
  /** In all: what the kernel's set holds. */
  readonly capacity: number
}

/**
 * The addresses and ports from which accounts registered. An account that has too many loses its own oldest; where
 * there are too many in all, who has most loses one.
 */
export class ProvenPorts {
  readonly #parts: MemberParts
  readonly #ports = new Map<string, ProvenPort>()
  /** Those with several accounts. */
  readonly #shared = new Set<ProvenPort>()
  readonly #shares: Shares<Binding>
  #written = new Map<string, ProvenEntry>()
  #removed = new Map<string, ProvenEntry>()

  constructor(parts: MemberParts, { maxBindings, capacity }: ProvenBounds) {
    this.#parts = parts
    this.#shares = new Shares({ each: maxBindings, total: capacity })
  }

  get size(): number {
    return this.#ports.size
  }

  /** Entries that had to go, because their account had too many or there were too many in all. */
  get letGo(): { readonly ofAccount: number; readonly ofAll: number } {
    return { ofAccount: this.#shares.letGoOfAccount, ofAll: this.#shares.letGoOfAll }
  }

  configure({ maxBindings, capacity }: ProvenBounds): void {
    for (const binding of this.#shares.resize({ each: maxBindings, total: capacity })) this.#unbind(binding)
  }

  /** Until when somebody is registered from there; undefined where nobody is. */
  untilOf(source: Source): EpochMilliseconds | undefined {
    return this.#ports.get(keyOf(source))?.until
  }

  /** An account registered, and its registration lasts until then. */
  register(
    account: string,
    source: Source,
    times: { until: EpochMilliseconds; now: EpochMilliseconds },
  ): void {
    const { now } = times
    const lasts = Math.min(times.until - now, RETURNING_FOR)
    const step = STEPS.find((some) => some <= lasts / PART_OF_GRANTED) ?? SHORTEST_STEP
    this.#bind({ account, ...source, until: putOff(now + lasts, step) })
    // Whoever it was that the kernel held there: from now on it is known.
    const held = this.#find(heldAccount(source), this.#ports.get(keyOf(source)))
    if (held) this.#remove(held)
  }

  unregister(account: string, source: Source): void {
    const port = this.#ports.get(keyOf(source))
    const binding = this.#find(account, port) ?? this.#find(heldAccount(source), port)
    if (binding) this.#remove(binding)
  }

  restore(entry: ProvenEntry): void {
    this.#bind(entry)
  }

  /** What the kernel holds without the journal knowing: of an account whose name nobody knows any more. */
  restoreHeld({ until, ...source }: HeldPort): void {
    if ((this.untilOf(source) ?? 0) + SAME_END < until)
      this.#bind({ ...source, account: heldAccount(source), until })
  }

  /** Accounts that are registered from there. */
  accountsAt(source: Source): number {
    const bindings = this.#ports.get(keyOf(source))?.bindings
    return bindings instanceof Set ? bindings.size : bindings ? 1 : 0
  }

  /** The addresses of ports with several accounts, and how many. */
  *sharedPorts(): Generator<{ readonly address: Address; readonly accounts: number }> {
    for (const { address, bindings } of this.#shared)
      if (bindings instanceof Set) yield { address, accounts: bindings.size }
  }

  /** Lets go of what is over at an address and port. */
  expire(source: Source, now: EpochMilliseconds): void {
    const port = this.#ports.get(keyOf(source))
    if (!port) return
    for (const binding of bindingsOf(port)) {
      if (binding.until > now) continue
      this.#shares.remove(binding.account, binding)
      detach(binding)
    }
    if (port.bindings === undefined) this.#forget(port)
  }

  /** Lets go of accounts that are over while others of the same address and port are not. */
  expireShared(now: EpochMilliseconds): void {
    for (const port of this.#shared) {
      if (port.bindings instanceof Set) this.expire(port, now)
      else this.#shared.delete(port)
    }
  }

  /** What changed since the last call, for the journal. What ran out is not said: its end says it. */
  takeChanges(): { readonly written: readonly ProvenEntry[]; readonly removed: readonly ProvenEntry[] } {
    const changes = { written: [...this.#written.values()], removed: [...this.#removed.values()] }
    this.#written = new Map()
    this.#removed = new Map()
    return changes
  }

  #bind({ account, address, port: number, until }: ProvenEntry): void {
    const key = keyOf({ address, port: number })
    let port = this.#ports.get(key)
    if (!port) {
      port = { key, address, port: number, bindings: undefined, until: 0 }
      this.#ports.set(key, port)
    }
    let binding = this.#find(account, port)
    if (!binding) {
      binding = { account, port, until: 0 }
      if (attach(binding) === 'shared') this.#shared.add(port)
    }
    if (binding.until !== until) {
      const before = binding.until
      binding.until = until
      this.#note(binding, { written: true })
      if (until > port.until) this.#setUntil(port, until)
      else this.#settle(port, before)
    }
    for (const gone of this.#shares.put(account, binding)) this.#unbind(gone)
  }

  #remove(binding: Binding): void {
    this.#shares.remove(binding.account, binding)
    this.#unbind(binding)
  }

  #find(account: string, port: ProvenPort | undefined): Binding | undefined {
    return this.#shares.of(account).find((binding) => binding.port === port)
  }

  /** A binding that holds no share any more. */
  #unbind(binding: Binding): void {
    const { port } = binding
    detach(binding)
    this.#note(binding, { written: false })
    if (port.bindings === undefined) {
      this.#forget(port)
      return
    }
    this.#settle(port, binding.until)
  }

  /** A binding until then ended or was shortened: the port lasts as long as what is left. */
  #settle(port: ProvenPort, before: EpochMilliseconds): void {
    if (before < port.until) return
    let latest = 0
    for (const { until } of bindingsOf(port)) {
      latest = Math.max(latest, until)
      if (latest >= port.until) return
    }
    this.#setUntil(port, latest)
  }

  #setUntil(port: ProvenPort, until: EpochMilliseconds): void {
    port.until = until
    this.#parts.set(port.key, { lane: 'proven', address: port.address, port: port.port, until })
  }

  #forget(port: ProvenPort): void {
    this.#shared.delete(port)
    this.#ports.delete(port.key)
    this.#parts.delete(port.key)
  }

  #note(
    { account, until, port: { address, port } }: Binding,
    { written }: { readonly written: boolean },
  ): void {
    const [to, other] = written ? [this.#written, this.#removed] : [this.#removed, this.#written]
    const key = `${showSource({ address, port })} ${account}`
    other.delete(key)
    to.set(key, { account, address, port, until })
  }
}

function bindingsOf({ bindings }: ProvenPort): Iterable<Binding> {
  return bindings instanceof Set ? bindings : bindings ? [bindings] : []
}

function attach(binding: Binding): 'alone' | 'shared' {
  const { port } = binding
  if (port.bindings === undefined) {
    port.bindings = binding
    return 'alone'
  }
  if (port.bindings instanceof Set) port.bindings.add(binding)
  else port.bindings = new Set([port.bindings, binding])
  return 'shared'
}

function detach(binding: Binding): void {
  const { port } = binding
  if (port.bindings === binding) port.bindings = undefined
  else if (port.bindings instanceof Set && port.bindings.delete(binding) && port.bindings.size === 0)
    port.bindings = undefined
}

/** No account has a name with blanks in it. */
function heldAccount({ address, port }: Source): string {
  return `held ${address} ${port}`
}

function keyOf({ address, port }: Source): string {
  return `pvn ${address} ${port}`
}
