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
  const { registers, lastOwnNonce, lastSuccess, provenUntil } = knowledge
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
          : 'no REGISTER was seen to carry this address',
    },
    {
      grade: 'path',
      holds: nonce !== undefined,
      says:
        nonce === undefined
          ? 'it never used a nonce that was sent to it and to no other'
          : `it used a nonce that was sent to it alone, ${ago(nonce, now)}: it receives what is sent there`,
    },
    {
      grade: 'account',
      holds: isKnown,
      says:
        success === undefined
          ? 'no registration of it succeeded'
          : `it registered ${ago(success, now)}${lasting(provenUntil, now)}`,
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

function lasting(until: EpochMilliseconds, now: EpochMilliseconds): string {
  return until > now ? `, and that lasts another ${showDuration((until - now) / 1_000)}` : ''
}
