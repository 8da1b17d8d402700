import type { Address } from '../../registrar/net/address.ts'
import type { Clock, EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { Verdict } from '../detect/verdict.ts'
import type { ExchangeEnded, ExchangeOutcome, Transport } from '../observe/observation.ts'
import { readAsteriskLine } from './asterisk.ts'
import { readFreeswitchLine } from './freeswitch.ts'
import { LogAlerts } from './log-alerts.ts'
import { LOG_KINDS, type LogEvent, type LogKind, type LogPaths, type LogSubject } from './log-event.ts'
import { TailFile, type TailState } from './tail-file.ts'
import { readVos3000Line } from './vos3000.ts'

/**
 * A log does not say for how long a registration was granted. Asterisk grants an hour unless told otherwise, and a
 * phone that is registered authenticates again before that is over.
 */
const ASSUMED_EXPIRES: Seconds = 3_600

const READERS: Readonly<Record<LogKind, (line: string) => LogEvent>> = {
  asterisk: readAsteriskLine,
  freeswitch: readFreeswitchLine,
  vos3000: readVos3000Line,
}

/** A log that is followed, for people. */
export interface FollowedLog extends TailState {
  readonly log: LogKind
  readonly path: string
  readonly linesRead: number
  /** Lines that said something of a registration. */
  readonly linesUnderstood: number
  /** Too long, too many in a second, or cut off. */
  readonly linesLetGo: number
  /** Lines that a client may have written himself; nothing was read from them. */
  readonly linesDoubtful: number
  /** What was passed on, since it happened where nothing is captured in clear. */
  readonly eventsUsed: number
}

export interface LogEvidenceOptions {
  readonly paths: LogPaths
  readonly clock: Clock
  /** Whether the protected ports include this one; of others nothing is taken. */
  readonly isProtectedPort: (port: number, transport: Transport) => boolean
  /** Whether the sensor itself sees what goes over this port, in clear and both ways. */
  readonly isSeen: (port: number, transport: Transport) => boolean
  /** Addresses of the softswitch's own side: of a proxy in front of it, everybody's. */
  readonly isProtected: (address: Address) => boolean
  /** Failures after which people are told of what is not proven. */
  readonly registerRetry: number
  readonly onObservation: (observation: ExchangeEnded) => void
  readonly onVerdict: (verdict: Verdict) => void
}

interface Log {
  readonly kind: LogKind
  readonly path: string
  readonly tail: TailFile
  understood: number
  doubtful: number
  used: number
}

/**
 * Evidence from the softswitch's own logs, for ports where the sensor is blind (TLS, WSS) or sees half. What a line
 * proves depends on what it says:
 *
 * - Over TCP, TLS, WS and WSS a handshake stands behind the address: grade path.
 * - Over UDP the address is a claim. That the softswitch checked the nonce is its word, not ours: grade packet, which
 *   can suspend an address and port that never succeeded and nothing more. Without credentials it only informs.
 * - A line that names no port and transport (FreeSWITCH, VOS3000) only informs.
 */
export class LogEvidence {
  readonly #o: LogEvidenceOptions
  readonly #alerts: LogAlerts
  readonly #logs: readonly Log[]

  constructor(options: LogEvidenceOptions) {
    this.#o = options
    this.#alerts = new LogAlerts({ failures: options.registerRetry, onVerdict: options.onVerdict })
    this.#logs = LOG_KINDS.flatMap((kind) => {
      const path = options.paths[kind]
      return path === null ? [] : [this.#follow(kind, path)]
    })
  }

  async start(): Promise<void> {
    await Promise.all(this.#logs.map(({ tail }) => tail.start()))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#logs.map(({ tail }) => tail.stop()))
  }

  status(): readonly FollowedLog[] {
    return this.#logs.map(({ kind, path, tail, understood, doubtful, used }) => ({
      log: kind,
      path,
      ...tail.state,
      linesRead: tail.counts.read,
      linesUnderstood: understood,
      linesLetGo: tail.counts.letGo,
      linesDoubtful: doubtful,
      eventsUsed: used,
    }))
  }

  #follow(kind: LogKind, path: string): Log {
    const read = READERS[kind]
    const log: Log = {
      kind,
      path,
      understood: 0,
      doubtful: 0,
      used: 0,
      tail: new TailFile({
        path,
        clock: this.#o.clock,
        // On a Chinese host VOS3000 may well write what such hosts wrote before UTF-8.
        encoding: kind === 'vos3000' ? 'chinese' : 'utf8',
        onLine: (line) => this.#take(log, read(line)),
      }),
    }
    return log
  }

  #take(log: Log, event: LogEvent): void {
    if (event.kind === 'other') return
    if (event.kind === 'doubtful') {
      log.doubtful++
      return
    }
    log.understood++
    // Behind a proxy on this host every client has its address, and none may be blamed for another.
    if (this.#o.isProtected(event.address) || isLoopback(event.address)) return
    if (this.#use(log, event, event.kind)) log.used++
  }

  #use(log: Log, subject: LogSubject, kind: UsableKind): boolean {
    // When it was read, not what it says: a line's own time may be of another zone, and is of no use to anybody.
    const at = this.#o.clock()
    const { transport, serverPort, port } = subject
    if (transport === 'unknown' || serverPort === null || port === null) {
      // It may be of a port that the sensor sees, and then was counted there already: no reason to count it again.
      if (kind !== 'failure') return false
      this.#alerts.failed(subject, { log: log.kind, at })
      return true
    }
    const over: Transport = transport === 'udp' ? 'udp' : 'tcp'
    if (!this.#o.isProtectedPort(serverPort, over) || this.#o.isSeen(serverPort, over)) return false
    if (over === 'udp' && (kind === 'unknown-account' || kind === 'refused')) {
      this.#alerts.failed(subject, { log: log.kind, at })
      return true
    }
    this.#o.onObservation(exchangeOf(kind, subject, { at, source: { port, serverPort }, over }))
    return true
  }
}

type UsableKind = Exclude<LogEvent['kind'], 'other' | 'doubtful'>

const OUTCOMES: Readonly<Record<UsableKind, ExchangeOutcome>> = {
  failure: 'failure',
  success: 'success',
  challenge: 'challenge',
  'unknown-account': 'refused',
  refused: 'refused',
}

const STATUS: Readonly<Record<UsableKind, number>> = {
  failure: 401,
  success: 200,
  challenge: 401,
  'unknown-account': 404,
  refused: 403,
}

/** What the softswitch says of an exchange, as if it had been seen. */
function exchangeOf(
  kind: UsableKind,
  { address, account }: LogSubject,
  how: {
    readonly at: EpochMilliseconds
    readonly source: { readonly port: number; readonly serverPort: number }
    readonly over: Transport
  },
): ExchangeEnded {
  return {
    kind: 'exchange',
    time: how.at,
    source: { address, port: how.source.port },
    serverPort: how.source.serverPort,
    transport: how.over,
    account,
    outcome: OUTCOMES[kind],
    status: STATUS[kind],
    answeredIn: null,
    userAgent: '',
    bindings: [],
    grade: how.over === 'tcp' ? 'path' : 'packet',
    withCredentials: kind === 'failure' || kind === 'success',
    // Of UDP nobody here saw a challenge go out.
    answersItsChallenge: how.over === 'tcp',
    grantedExpires: kind === 'success' ? ASSUMED_EXPIRES : 0,
    fromLog: true,
  }
}

function isLoopback(address: Address): boolean {
  return address === '::1' || address.startsWith('127.')
}
