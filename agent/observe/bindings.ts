import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Prefix, prefixContains, type Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded, LearntBinding, Transport } from './observation.ts'
import type { RecordedExchange } from './recorded.ts'

const MOST_BINDINGS = 65_536
const MOST_ADDRESSES = 65_536
/** Phones that are told apart behind one address. */
const MOST_PORTS = 4_096
const LONGEST_NAME = 128
/** Phones refresh late, and the kernel's proven lane lasts so much longer too. */
const GRACE: Milliseconds = 60_000
/** Of one account, whose contacts are not known. */
const MOST_UNNAMED = 15
/** Contacts that a row of the record keeps. */
export const MOST_RECORDED = 2

/** When an address and port is let go, and how it was reached. */
interface PortEnd {
  readonly until: EpochMilliseconds
  readonly transport: Transport
}

/** Where an account can be reached, as the softswitch said it in a 200. */
export interface Binding {
  readonly account: string
  /** The URI as it was written, cut short; empty where it is known from before a restart, and the next 200 will say it. */
  readonly contact: string
  /** Who registered it; null for one that another phone's 200 listed and that nobody was seen to register. */
  readonly source: Source | null
  readonly transport: Transport
  readonly userAgent: string
  /** When it was first seen, and when it was last refreshed. */
  readonly registeredAt: EpochMilliseconds
  readonly refreshedAt: EpochMilliseconds
  readonly expiresAt: EpochMilliseconds
}

/** An address and port that somebody is registered from. */
export interface BoundPort extends Source {
  readonly transport: Transport
  /** When the registration that was made there last ends. */
  readonly until: EpochMilliseconds
}

/** What a believed 200 changed about one account. */
export interface BindingsLearnt {
  readonly account: string
  readonly at: EpochMilliseconds
  /** What this REGISTER bound; undefined where it bound nothing, or nobody can say which of several contacts is its own. */
  readonly own: Binding | undefined
  /** As it stood before this REGISTER; undefined where it is a new contact. */
  readonly before: Binding | undefined
  /** Live until now, and listed no more: replaced by this REGISTER, or taken back by it (`removed`); none by a query. */
  readonly replaced: readonly Binding[]
  /** The account's other live bindings, which stay. */
  readonly beside: readonly Binding[]
  /** This REGISTER took bindings back and made none. */
  readonly removed: boolean
}

/**
 * Who is registered with the softswitch, learnt from its 200s: each lists all of the account's contacts (RFC 3261
 * section 10.3), so what it does not list is no more. Only successes that are believed belong here (a 200 over a
 * nonce that was sent to the phone): whoever calls `learn` sees to that. The clock is the observations' own.
 */
export class LearntBindings {
  readonly #accounts: BoundedMap<string, readonly Binding[]>
  readonly #ports = new BoundedMap<Address, Map<number, PortEnd>>({ capacity: MOST_ADDRESSES })
  readonly #capacity: number
  #size = 0
  #letGo = 0

  constructor({ capacity = MOST_BINDINGS }: { readonly capacity?: number } = {}) {
    this.#capacity = capacity
    this.#accounts = new BoundedMap({ capacity })
  }

  /** Bindings kept, some of which may have run out since. */
  get size(): number {
    return this.#size
  }

  /** Bindings that had to go for lack of room while they lasted. */
  get letGo(): number {
    return this.#letGo
  }

  /** Takes the contacts of a success over. */
  learn(ended: ExchangeEnded): BindingsLearnt {
    return this.#learn(ended, { isWhole: true, since: ended.time })
  }

  /**
   * Takes over what was recorded of registrations before a restart, oldest first. A row keeps few of the contacts that
   * a 200 listed, so what it does not list is not taken for gone where there may have been more.
   */
  restore(rows: readonly RecordedExchange[]): void {
    for (const row of rows) {
      const { first, last, count, slot, ...ended } = row
      const isWhole = row.bindings.length < MOST_RECORDED
      this.#learn({ ...ended, kind: 'exchange', time: last, answeredIn: null }, { isWhole, since: first })
    }
  }

  /**
   * Somebody is registered over UDP from there until then, as is known from before a restart; `account`: empty where
   * nobody knows any more who it is. By what contact the next 200 says.
   */
  restorePort(
    source: Source,
    of: { readonly account: string; readonly until: EpochMilliseconds; readonly now: EpochMilliseconds },
  ): void {
    const { account, until, now } = of
    this.#setPort(source, { until: until + GRACE, transport: 'udp' })
    if (account === '') return
    const seen = { registeredAt: now, refreshedAt: now, expiresAt: until }
    const binding: Binding = { account, contact: '', source, transport: 'udp', userAgent: '', ...seen }
    this.#keep(account, [...(this.#accounts.get(account) ?? []).slice(-MOST_UNNAMED), binding], now)
  }

  #learn(
    ended: ExchangeEnded,
    { isWhole, since }: { readonly isWhole: boolean; readonly since: EpochMilliseconds },
  ): BindingsLearnt {
    const { time: at, grantedExpires, isQuery = false } = ended
    const account = ended.account.slice(0, LONGEST_NAME)
    const removed = grantedExpires === 0
    if (!isQuery) this.#markPort(ended)
    const known = this.#accounts.get(account) ?? []
    const live = known.filter(({ expiresAt }) => expiresAt > at)
    // A 200 that grants something and lists nothing that can be read says nothing about the contacts.
    if (ended.bindings.length === 0 && !removed)
      return { account, at, own: undefined, before: undefined, replaced: [], beside: live, removed }
    const ownContact = removed || isQuery ? undefined : findOwn(ended, live)
    const listed = ended.bindings
      .filter(({ expires }) => expires > 0)
      .map((binding) =>
        renew(binding, { ended, account, live, since, isOwn: binding.contact === ownContact }),
      )
    const contacts = new Set(listed.map(({ contact }) => contact))
    const others = isWhole ? [] : live.filter(({ contact }) => contact !== '' && !contacts.has(contact))
    this.#keep(account, [...others, ...listed], at)
    return {
      account,
      at,
      own: listed.find(({ contact }) => contact === ownContact),
      before: live.find(({ contact }) => contact === ownContact),
      replaced: isQuery ? [] : live.filter(({ contact }) => !contacts.has(contact)),
      beside: listed.filter(({ contact }) => contact !== ownContact),
      removed,
    }
  }

  /** Whether somebody registered from exactly this address and port, and that lasts (with a minute's grace). */
  isBoundAt({ address, port }: Source, now: EpochMilliseconds): boolean {
    return (this.#ports.get(address)?.get(port)?.until ?? 0) > now
  }

  /** Whether somebody registered from some port of the address, and that lasts (with a minute's grace). */
  isBoundAtAddress(address: Address, now: EpochMilliseconds): boolean {
    for (const { until } of this.#ports.get(address)?.values() ?? []) {
      if (until > now) return true
    }
    return false
  }

  /** Who is registered from a prefix, at most so many; those of them that last longest first. For people: it looks at all. */
  boundIn(
    prefix: Prefix,
    { now, limit }: { readonly now: EpochMilliseconds; readonly limit: number },
  ): readonly BoundPort[] {
    const found: BoundPort[] = []
    for (const [address, ports] of this.#ports.entries()) {
      if (!prefixContains(prefix, address)) continue
      for (const [port, { until, transport }] of ports)
        if (until - GRACE > now) found.push({ address, port, transport, until: until - GRACE })
    }
    return found.sort((a, b) => b.until - a.until).slice(0, limit)
  }

  /** The bindings of one account that last, those that were refreshed last at the end. */
  of(account: string, now: EpochMilliseconds): readonly Binding[] {
    return (this.#accounts.get(account.slice(0, LONGEST_NAME)) ?? []).filter(
      ({ expiresAt }) => expiresAt > now,
    )
  }

  /** Bindings that last, at most so many, those of accounts that were refreshed longest ago first. */
  list(now: EpochMilliseconds, { limit }: { readonly limit: number }): readonly Binding[] {
    const found: Binding[] = []
    for (const [, bindings] of this.#accounts.entries()) {
      for (const binding of bindings) {
        if (binding.expiresAt <= now) continue
        if (found.length >= limit) return found
        found.push(binding)
      }
    }
    return found
  }

  #keep(account: string, bindings: readonly Binding[], now: EpochMilliseconds): void {
    this.#size += bindings.length - (this.#accounts.get(account)?.length ?? 0)
    if (bindings.length === 0) this.#accounts.delete(account)
    else this.#accounts.set(account, bindings)
    this.#accounts.sweep((oldest) => {
      const isOver = oldest.every(({ expiresAt }) => expiresAt <= now)
      if (!isOver && this.#size <= this.#capacity) return false
      this.#size -= oldest.length
      if (!isOver) this.#letGo += oldest.length
      return true
    })
  }

  #markPort({ source, time, transport, grantedExpires }: ExchangeEnded): void {
    const until = time + grantedExpires * 1000 + GRACE
    this.#setPort(source, grantedExpires === 0 ? undefined : { until, transport })
  }

  #setPort({ address, port }: Source, end: PortEnd | undefined): void {
    const ports = this.#ports.get(address) ?? new Map<number, PortEnd>()
    if (end === undefined) ports.delete(port)
    else {
      // A phone that comes with new ports again and again pushes out its own oldest one.
      if (!ports.delete(port) && ports.size >= MOST_PORTS) ports.delete(ports.keys().next().value!)
      ports.set(port, end)
    }
    if (ports.size === 0) this.#ports.delete(address)
    else this.#ports.set(address, ports)
  }
}

/**
 * Which of the listed contacts the REGISTER itself was about: the one that it named; where the softswitch wrote it
 * anew (for a NAT), the one that this source bound before, or the only one that is new, or the only one.
 */
function findOwn({ bindings, source }: ExchangeEnded, live: readonly Binding[]): string | undefined {
  const named = bindings.find(({ own }) => own)
  if (named) return named.contact
  const listed = new Set(bindings.map(({ contact }) => contact))
  const same = live.find((binding) => isSame(binding.source, source) && listed.has(binding.contact))
  if (same) return same.contact
  const news = bindings.filter(({ contact }) => !live.some((binding) => binding.contact === contact))
  if (news.length === 1) return news[0]!.contact
  return bindings.length === 1 ? bindings[0]!.contact : undefined
}

function renew(
  { contact, expires }: LearntBinding,
  of: {
    readonly ended: ExchangeEnded
    readonly account: string
    readonly live: readonly Binding[]
    readonly since: EpochMilliseconds
    readonly isOwn: boolean
  },
): Binding {
  const { ended, account, live, since, isOwn } = of
  const known = live.find((binding) => binding.contact === contact)
  const expiresAt = ended.time + expires * 1000
  if (!isOwn && known) return { ...known, expiresAt }
  return {
    account,
    contact,
    source: isOwn ? ended.source : null,
    transport: ended.transport,
    userAgent: isOwn ? ended.userAgent : '',
    registeredAt: Math.min(known?.registeredAt ?? since, since),
    refreshedAt: ended.time,
    expiresAt,
  }
}

function isSame(a: Source | null, b: Source): boolean {
  return a !== null && a.address === b.address && a.port === b.port
}
