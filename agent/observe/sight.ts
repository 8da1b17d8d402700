import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Transport } from './observation.ts'

/** A capture of somebody else's network may show any port; live there are as many as the configuration names. */
const MOST_PORTS = 256
/** One direction alone for so long, in so many minutes of it, is no pause. */
const ONE_SIDED_FOR: Milliseconds = 180_000
/** A softswitch that was seen answering may just be down. */
const ONE_SIDED_AFTER_SIGHT: Milliseconds = 600_000
const SIGNS = 3
/** A port on which SIP was answered in clear so lately carries both. */
const CLEAR_LATELY: Milliseconds = 600_000

/**
 * How far a port's traffic can be read. `quiet`: nothing was seen yet. `sighted`: requests and answers, in clear.
 * `half-sighted`: one direction takes another way. `blind`: encrypted, or in a form that is not read.
 */
export type SightState = 'quiet' | 'sighted' | 'half-sighted' | 'blind'

export interface PortSight {
  readonly port: number
  readonly transport: Transport
  readonly state: SightState
  readonly since: EpochMilliseconds
  /** What was seen, and what follows, in a sentence. */
  readonly detail: string
}

/** What a connection carries that is no SIP in clear. */
export type Opaque = 'tls' | 'websocket'

interface Row {
  signs: number
  firstAt: EpochMilliseconds
  signAt: EpochMilliseconds
}

interface Port {
  readonly port: number
  readonly transport: Transport
  state: SightState
  since: EpochMilliseconds
  why: Why
  /** Requests that somebody must have answered, since an answer was last seen; answers since the last request. */
  readonly unanswered: Row
  readonly unasked: Row
  /** Encrypted requests of clients since anything was last seen to leave. */
  readonly encrypted: Row
  answerAt: EpochMilliseconds
  requestAt: EpochMilliseconds
}

type Why = 'nothing' | 'both' | 'no-answers' | 'no-requests' | Opaque

export interface SightOptions {
  readonly oneSidedFor?: Milliseconds
  readonly oneSidedAfterSight?: Milliseconds
  /** The only ports of interest, listed before anything is seen there. Default: whatever comes, a bounded few. */
  readonly watched?: Readonly<Record<Transport, readonly number[]>>
  /** The time at which watching begins. */
  readonly now?: EpochMilliseconds
}

/**
 * What of each port can be seen at all, measured. What leaves the softswitch is believed (nobody else can send it);
 * requests can be forged, so they only ever make a port half-sighted while nothing at all leaves it, and one answer
 * takes that back.
 */
export class Sight {
  /** When any answer last left a port, whoever it was for; null: none yet. */
  answeredAt: EpochMilliseconds | null = null
  readonly #ports = new BoundedMap<number, Port>({ capacity: MOST_PORTS })
  /** Nearly all packets are of one port. */
  #last: Port | undefined
  readonly #oneSidedFor: Milliseconds
  readonly #oneSidedAfterSight: Milliseconds
  /** Set once those that are watched are listed. */
  readonly #onlyWatched: boolean = false

  constructor(options: SightOptions = {}) {
    this.#oneSidedFor = options.oneSidedFor ?? ONE_SIDED_FOR
    this.#oneSidedAfterSight = options.oneSidedAfterSight ?? ONE_SIDED_AFTER_SIGHT
    const { watched, now = 0 } = options
    for (const transport of ['udp', 'tcp'] as const) {
      for (const port of watched?.[transport] ?? []) this.#get(port, transport, now)
    }
    this.#onlyWatched = watched !== undefined
  }

  /**
   * A request that reached the port. `provesAnswer`: its sender must have had an answer of the softswitch, which was
   * not seen: it uses a nonce that nobody here saw being sent, or goes on with a dialog. Gives whether answers of that
   * port are known not to be seen.
   */
  request(
    port: number,
    transport: Transport,
    at: EpochMilliseconds,
    provesAnswer: 'nonce' | 'dialog' | 'none',
  ): boolean {
    const known = this.#get(port, transport, at)
    if (!known) return false
    known.requestAt = at
    known.unasked.signs = 0
    const isProof = known.answerAt === NEVER ? provesAnswer !== 'none' : provesAnswer === 'nonce'
    if (isProof) {
      // A call in progress goes on for a while when the softswitch has died: it says nothing where answers were seen.
      const wait = known.answerAt === NEVER ? this.#oneSidedFor : this.#oneSidedAfterSight
      if (this.#grows(known.unanswered, at, wait)) this.#become(known, 'half-sighted', 'no-answers', at)
    }
    if (known.state === 'sighted') return false
    this.#maybeSighted(known, at)
    return isMissing(known)
  }

  /** Whether the port was never seen answering, so that requests within dialogs tell something. */
  needsProof(port: number, transport: Transport): boolean {
    return (this.#ports.get(keyOf(port, transport))?.answerAt ?? NEVER) === NEVER
  }

  /** A SIP answer that left the port in clear. */
  answer(port: number, transport: Transport, at: EpochMilliseconds): void {
    const known = this.#get(port, transport, at)
    if (!known) return
    this.answeredAt = at
    known.answerAt = at
    known.unanswered.signs = 0
    known.encrypted.signs = 0
    if (this.#grows(known.unasked, at, this.#oneSidedFor) && known.state !== 'blind')
      this.#become(known, 'half-sighted', 'no-requests', at)
    this.#maybeSighted(known, at)
  }

  /** A connection to the port carries something that cannot be read. `leaves`: the softswitch itself sent it. */
  opaque(
    port: number,
    at: EpochMilliseconds,
    { carries, leaves }: { readonly carries: Opaque; readonly leaves: boolean },
  ): void {
    const known = this.#get(port, 'tcp', at)
    if (!known) return
    if (known.state === 'sighted' && at - known.answerAt < CLEAR_LATELY) return
    // Anybody can send the beginning of a handshake to a port that speaks SIP in clear.
    if (leaves || this.#grows(known.encrypted, at, this.#oneSidedFor)) {
      known.answerAt = NEVER
      this.#become(known, 'blind', carries, at)
    }
  }

  /** Whether the lack of an answer on that port can mean anything. A port that nothing was seen on is none such. */
  seesAnswers(port: number, transport: Transport): boolean {
    return this.#ports.get(keyOf(port, transport))?.state === 'sighted'
  }

  /** Whether it is known that answers of that port are not seen. */
  missesAnswers(port: number, transport: Transport): boolean {
    const known = this.#ports.get(keyOf(port, transport))
    return known !== undefined && isMissing(known)
  }

  /** By port, UDP before TCP. */
  list(): readonly PortSight[] {
    return [...this.#ports.entries()]
      .map(([, known]) => show(known))
      .sort((a, b) => a.port - b.port || (a.transport === b.transport ? 0 : a.transport === 'udp' ? -1 : 1))
  }

  #maybeSighted(known: Port, at: EpochMilliseconds): void {
    if (known.state === 'sighted' || known.answerAt === NEVER || known.requestAt === NEVER) return
    // Both within the time that one of them alone would be given.
    if (Math.abs(known.answerAt - known.requestAt) < this.#oneSidedFor)
      this.#become(known, 'sighted', 'both', at)
  }

  /** Counts at most a few signs of one kind, spread over the time; true where they are enough. */
  #grows(row: Row, at: EpochMilliseconds, wait: Milliseconds): boolean {
    if (row.signs === 0) {
      row.signs = 1
      row.firstAt = at
      row.signAt = at
    } else if (at - row.signAt >= wait / (SIGNS + 1)) {
      row.signs++
      row.signAt = at
    }
    return row.signs >= SIGNS && at - row.firstAt >= wait
  }

  #become(known: Port, state: SightState, why: Why, at: EpochMilliseconds): void {
    if (known.state === state && known.why === why) return
    known.state = state
    known.why = why
    known.since = at
  }

  #get(port: number, transport: Transport, at: EpochMilliseconds): Port | undefined {
    const last = this.#last
    if (last && last.port === port && last.transport === transport) return last
    const key = keyOf(port, transport)
    let known = this.#ports.get(key)
    if (!known && !this.#onlyWatched) {
      known = begin(port, transport, at)
      this.#ports.set(key, known)
    }
    if (known) this.#last = known
    return known
  }
}

const NEVER: EpochMilliseconds = Number.NEGATIVE_INFINITY

function begin(port: number, transport: Transport, at: EpochMilliseconds): Port {
  const row = (): Row => ({ signs: 0, firstAt: at, signAt: at })
  return {
    port,
    transport,
    state: 'quiet',
    since: at,
    why: 'nothing',
    unanswered: row(),
    unasked: row(),
    encrypted: row(),
    answerAt: NEVER,
    requestAt: NEVER,
  }
}

function isMissing({ state }: Port): boolean {
  return state === 'blind' || state === 'half-sighted'
}

function keyOf(port: number, transport: Transport): number {
  return transport === 'udp' ? port : port + 65_536
}

const UNSEEN = 'no verdict follows from failures there, only from rates, and from a log that `evidence` names'

function show({ port, transport, state, since, why }: Port): PortSight {
  return { port, transport, state, since, detail: sentenceOf(why) }
}

function sentenceOf(why: Why): string {
  switch (why) {
    case 'nothing':
      return 'no SIP was seen yet'
    case 'both':
      return 'requests and answers are seen'
    case 'no-answers':
      return `requests are seen that were answered, and no answers: they leave by an interface that is not watched; ${UNSEEN}`
    case 'no-requests':
      return `answers are seen, and no requests: they come in by an interface that is not watched; ${UNSEEN}`
    case 'tls':
      return `its connections are encrypted (TLS): ${UNSEEN}`
    case 'websocket':
      return `its connections are WebSockets, which are not read: ${UNSEEN}`
  }
}
