import type { EndpointView, ExchangeView, GradeEvidence } from '../../dashboard/api/source-story.ts'
import { showSource } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, showDuration } from '../../registrar/net/time.ts'
import { RETURNING_FOR } from '../detect/flood.ts'
import type { EndpointSeen } from '../observe/online-check.ts'
import type { SeenExchange } from '../sensor/last-exchanges.ts'
import type { SourceKnowledge } from '../sensor/messages.ts'

/** What is proven of a source, from what anybody could have written to what only the account's owner can do. */
export function evidenceOf(
  knowledge: SourceKnowledge | null,
  now: EpochMilliseconds,
): readonly GradeEvidence[] {
  if (!knowledge) return []
  const { registers, lastOwnNonce, lastSuccess } = knowledge
  const success = moment(lastSuccess)
  const nonce = moment(lastOwnNonce)
  const isKnown = success !== undefined && now - success < RETURNING_FOR
  return [
    {
      grade: 'packet',
      holds: registers > 0,
      says:
        registers > 0
          ? 'REGISTERs carry this address, which anybody can write'
          : 'no REGISTER was seen to carry this address since the sensor started',
    },
    {
      grade: 'path',
      ...pathOf(knowledge, { nonce, success, now }),
    },
    {
      grade: 'account',
      holds: isKnown,
      says:
        success === undefined
          ? 'no registration of it succeeded'
          : `a REGISTER of it succeeded ${ago(success, now)}${lasting(knowledge, now)}`,
    },
  ]
}

export function exchangeView(exchange: SeenExchange): ExchangeView {
  const { time, transport, method, account, outcome, status, grade } = exchange
  const other = method === undefined ? {} : { method }
  return { time, source: showSource(exchange), transport, ...other, account, outcome, status, grade }
}

export function endpointView(endpoint: EndpointSeen): EndpointView {
  const { source, state, asked, answered, lastAnswered, roundTrip } = endpoint
  return {
    source: showSource(source),
    state,
    asked,
    answered,
    lastAnswered,
    roundTripMilliseconds: roundTrip === null ? null : Math.round(roundTrip * 10) / 10,
  }
}

/** The sensor's moments that never were do not survive the way between processes as they are. */
export function moment(time: EpochMilliseconds | null): EpochMilliseconds | undefined {
  return time !== null && Number.isFinite(time) && time > 0 ? time : undefined
}

function ago(time: EpochMilliseconds, now: EpochMilliseconds): string {
  return `${showDuration((now - time) / 1_000)} ago`
}

/** What is known of the path; and where that is nothing, why not, beside a success that proves more. */
function pathOf(
  { exchanges = [] }: SourceKnowledge,
  of: {
    readonly nonce: EpochMilliseconds | undefined
    readonly success: EpochMilliseconds | undefined
    readonly now: EpochMilliseconds
  },
): Pick<GradeEvidence, 'holds' | 'says'> {
  const { nonce, success, now } = of
  if (nonce !== undefined)
    return {
      holds: true,
      says: `it used a nonce that was sent to it alone, ${ago(nonce, now)}: it receives what is sent there`,
    }
  // Only a connection is proof without a nonce, whoever saw it.
  const connected = exchanges.find(({ transport, grade }) => transport === 'tcp' && grade !== 'packet')
  if (connected) {
    const { time, fromLog = false } = connected
    return {
      holds: true,
      says: fromLog
        ? `the softswitch's log tells of its connection (TCP, TLS or WebSocket), ${ago(time, now)}: it receives what is sent there`
        : `it finished a TCP handshake, ${ago(time, now)}: it receives what is sent there`,
    }
  }
  const never = 'it never used a nonce that was sent to it and to no other'
  if (success === undefined) return { holds: false, says: never }
  return {
    holds: false,
    says: 'since the sensor started it used no nonce that was sent to it and to no other: the softswitch may give one to several, or ask it for none again',
  }
}

/** Until when its registrations last, as the softswitch granted them; some may be known by the address alone. */
function lasting({ bound }: SourceKnowledge, now: EpochMilliseconds): string {
  if (bound === undefined) return ''
  const until = Math.max(0, ...bound.map((port) => port.until))
  if (until <= now) return ', and no registration of it is known to last'
  return `, and a registration of it lasts another ${showDuration((until - now) / 1_000)}`
}
