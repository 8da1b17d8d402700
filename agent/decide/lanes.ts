import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Member } from '../../rules/desired-state.ts'
import { RETURNING_FOR } from '../detect/flood.ts'
import type { LaneEvidence } from '../detect/lane-evidence.ts'
import type { ProvenEntry, ReturningEntry } from '../journal/entries.ts'
import { AnsweredPorts } from './answered-ports.ts'
import type { HeldLanes } from './held-lanes.ts'
import { MemberParts, PARTS, putOff } from './member-parts.ts'
import { type ProvenBounds, ProvenPorts } from './proven-ports.ts'
import { ReturningSources } from './returning-sources.ts'

const IGNORING_FOR: Milliseconds = 300_000
const IGNORING_STEP: Milliseconds = 60_000
const MOST_IGNORING = 65_536
/** One sweep looks at so many parts. */
const PARTS_A_SWEEP = 8

/** Members of each lane; what has ended may still be among them for half a minute. */
export interface LaneCounts {
  readonly proven: number
  readonly returning: number
  readonly answered: number
  readonly ignoring: number
  /** What had to go because a bound was reached, since the start. */
  readonly letGo: {
    readonly provenOfAccount: number
    readonly provenOfAll: number
    readonly returning: number
    readonly answered: number
    readonly ignoring: number
    /** Evidence that never came, since the sensor had no room for it. */
    readonly evidence: number
  }
}

/** What a restart must not forget, as far as it changed. */
export interface LaneChanges {
  readonly proven: readonly ProvenEntry[]
  readonly unproven: readonly ProvenEntry[]
  readonly returning: readonly ReturningEntry[]
}

/**
 * Who is in which lane, from the evidence of the sensor. Suspensions and blocks are no business of lanes: the kernel
 * asks for those first.
 */
export class Lanes {
  /** Evidence that never came. */
  evidenceDropped = 0
  readonly #parts = new MemberParts()
  readonly #proven: ProvenPorts
  readonly #returning: ReturningSources
  readonly #answered: AnsweredPorts
  readonly #ignoring: BoundedMap<Prefix, true>
  #nextPart = 0

  constructor(bounds: ProvenBounds) {
    const { capacity } = bounds
    this.#proven = new ProvenPorts(this.#parts, bounds)
    this.#returning = new ReturningSources(this.#parts, { capacity })
    this.#answered = new AnsweredPorts(this.#parts, { capacity })
    this.#ignoring = new BoundedMap({
      capacity: Math.min(capacity, MOST_IGNORING),
      onLetGo: (source) => this.#parts.delete(ignoringKey(source)),
    })
  }

  /** Other bounds; what is over them is let go. */
  configure(bounds: ProvenBounds): void {
    this.#proven.configure(bounds)
    this.#returning.configure(bounds)
  }

  /** Puts back what was kept over a restart, oldest first; `held`: what the kernel still holds beyond that. */
  restore(
    kept: {
      readonly proven: readonly ProvenEntry[]
      readonly returning: readonly ReturningEntry[]
      readonly held?: HeldLanes
    },
    now: EpochMilliseconds,
  ): void {
    const { proven, returning, held } = kept
    for (const entry of proven) if (entry.until > now) this.#proven.restore(entry)
    for (const entry of returning) if (entry.at + RETURNING_FOR > now) this.#returning.restore(entry)
    for (const port of held?.proven ?? []) this.#proven.restoreHeld(port)
    for (const entry of held?.returning ?? [])
      if (!this.#returning.has(entry.source)) this.#returning.restore(entry)
    for (const { address, accounts } of this.#proven.sharedPorts())
      this.#returning.restoreShared(sourcePrefixOf(address), { atPort: accounts, now })
    this.takeChanges()
  }

  /** Whether an account registered from there within the last days. */
  returns(address: Address): boolean {
    return this.#returning.has(sourcePrefixOf(address))
  }

  take(evidence: LaneEvidence, now: EpochMilliseconds): void {
    switch (evidence.kind) {
      case 'registered': {
        const { account, source, transport, until } = evidence
        const prefix = sourcePrefixOf(source.address)
        this.#heeds(prefix)
        // A port of TCP is one connection and never comes back.
        const isPort = transport === 'udp' && until > now
        if (isPort) this.#proven.register(account, source, { until, now })
        const atPort = isPort ? this.#proven.accountsAt(source) : 1
        this.#returning.registered(prefix, account, now, { atPort })
        if (isPort) this.#answered.delete(source)
        return
      }
      case 'unregistered':
        if (evidence.transport === 'udp') this.#proven.unregister(evidence.account, evidence.source)
        return
      case 'answered': {
        const { source, own } = evidence
        const prefix = sourcePrefixOf(source.address)
        this.#heeds(prefix)
        // Over nonces that everybody is given a guesser answers from as many ports as he likes.
        if (!own && this.#returning.isSlowed(prefix)) return
        if ((this.#proven.untilOf(source) ?? 0) <= now) this.#answered.put(source, { own, now })
        return
      }
      case 'ignoring': {
        const { source } = evidence
        // Its other ports may be somebody else's, who did register.
        if (this.#returning.has(source)) return
        this.#ignoring.set(source, true)
        const until = putOff(now + IGNORING_FOR, IGNORING_STEP)
        if (this.#parts.get(ignoringKey(source))?.until !== until)
          this.#parts.set(ignoringKey(source), { lane: 'ignoring', source, until })
        return
      }
      case 'guessing':
        if (evidence.until > now) this.#returning.slow(evidence.source, evidence.until)
        return
    }
  }

  /** Forgets some of what is over; to be called once a second. */
  sweep(now: EpochMilliseconds): void {
    this.#returning.endSlowed(now)
    for (let i = 0; i < PARTS_A_SWEEP; i++) {
      for (const member of this.#parts.itemsOf(this.#nextPart)) this.#expire(member, now)
      this.#nextPart = (this.#nextPart + 1) % PARTS
    }
    if (this.#nextPart === 0) this.#proven.expireShared(now)
  }

  get hasChanged(): boolean {
    return this.#parts.hasChanged
  }

  /** All members, in parts: those that did not change since the last call are the same arrays. */
  parts(): readonly (readonly Member[])[] {
    return this.#parts.parts()
  }

  /** What changed of what a restart must not forget, since the last call. */
  takeChanges(): LaneChanges {
    const { written, removed } = this.#proven.takeChanges()
    return { proven: written, unproven: removed, returning: this.#returning.takeChanges() }
  }

  counts(): LaneCounts {
    const { ofAccount, ofAll } = this.#proven.letGo
    return {
      proven: this.#proven.size,
      returning: this.#returning.size,
      answered: this.#answered.size,
      ignoring: this.#ignoring.size,
      letGo: {
        provenOfAccount: ofAccount,
        provenOfAll: ofAll,
        returning: this.#returning.letGo,
        answered: this.#answered.letGo,
        ignoring: this.#ignoring.letGo,
        evidence: this.evidenceDropped,
      },
    }
  }

  /** Somebody there does answer. */
  #heeds(source: Prefix): void {
    if (this.#ignoring.delete(source)) this.#parts.delete(ignoringKey(source))
  }

  #expire(member: Member, now: EpochMilliseconds): void {
    if (member.until > now) return
    switch (member.lane) {
      case 'proven':
        this.#proven.expire(member, now)
        return
      case 'answered':
        this.#answered.delete(member)
        return
      case 'returning':
        this.#returning.expire(member.source)
        return
      case 'ignoring':
        this.#heeds(member.source)
        return
    }
  }
}

function ignoringKey(source: Prefix): string {
  return `ign ${source}`
}
