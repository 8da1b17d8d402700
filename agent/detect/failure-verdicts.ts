import {
  type EpochMilliseconds,
  type Milliseconds,
  type Seconds,
  showDuration,
} from '../../registrar/net/time.ts'
import type { FailureGrade, LockedOut, Suspended } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import type { BeyondPhones } from './failing-spread.ts'
import { sayNames } from './recent-names.ts'
import type { Verdict } from './verdict.ts'

/** What failed lately, counted: failures, and the names among them as `RecentNames` tells them apart. */
export interface FailureCounts {
  readonly failures: number
  readonly accounts: number
  readonly ports: number
}

/**
 * Suspends the address and port that failed; `wholeSource`: the address (IPv6 /64), where it hops from port to port.
 * `times`: so often of late, this one included.
 */
export function suspendVerdict(
  { source, grade, evidence, until }: Suspended,
  {
    time,
    wholeSource,
    duration = Math.round((until - time) / 1000),
    times = 1,
  }: { time: EpochMilliseconds; wholeSource: boolean; duration?: Seconds; times?: number },
): Verdict {
  const again = times === 1 ? '' : `, for the ${nth(times)} time`
  return {
    time,
    name: 'retry-limit',
    address: source.address,
    port: wholeSource ? null : source.port,
    action: 'suspend',
    scope: 'register',
    grade,
    reason: `${evidence.failures} failed registrations in a row for ${evidence.account || 'an unreadable account'}${again}`,
    evidence: {
      account: evidence.account,
      failures: evidence.failures,
      goodAccounts: evidence.goodAccounts,
      seconds: Math.round(evidence.sinceMs / 1000),
      ...(times === 1 ? {} : { times }),
    },
    duration,
  }
}

/** What is done to a port over TCP: the kernel drops every packet of that very connection. */
export function cutConnection(verdict: Verdict): Verdict {
  return { ...verdict, action: 'block', scope: 'sip', reason: `${verdict.reason}; its connection is cut off` }
}

/** A lockout that would cut off somebody good takes the softer rung: the port alone. */
export function lockoutVerdict(
  { source, evidence, until }: Pick<LockedOut, 'source' | 'evidence' | 'until'>,
  { time, liveBinding = false }: { time: EpochMilliseconds; liveBinding?: boolean },
): Verdict {
  const softer = liveBinding || evidence.goodAccounts > 0
  const said = `${evidence.failures} failed registrations over ${evidence.accounts} accounts`
  return {
    time,
    name: 'lockout',
    address: source.address,
    port: softer ? source.port : null,
    action: softer ? 'suspend' : 'block',
    scope: softer ? 'register' : 'sip',
    grade: 'path',
    reason: softer ? `${said}; others at this address are registered, so its port alone is suspended` : said,
    evidence: {
      failures: evidence.failures,
      accounts: evidence.accounts,
      goodAccounts: evidence.goodAccounts,
      lastAccount: evidence.lastAccount,
      seconds: Math.round(evidence.sinceMs / 1000),
      liveBinding,
    },
    duration: Math.round((until - time) / 1000),
  }
}

/** Suspends a port that guesses many accounts; `wholeSource`: its address, where it hops or is a TCP connection. */
export function guessingPortVerdict(
  ended: ExchangeEnded,
  {
    grade,
    failures,
    accounts,
    goodAccounts,
    wholeSource,
    duration,
  }: Pick<FailureCounts, 'failures' | 'accounts'> & {
    readonly grade: FailureGrade
    readonly goodAccounts: number
    readonly wholeSource: boolean
    readonly duration: Seconds
  },
): Verdict {
  const { source } = ended
  return {
    ...header(ended),
    name: grade === 'path' ? 'lockout' : 'retry-limit',
    port: wholeSource ? null : source.port,
    grade,
    reason: `${failures} failed registrations over ${sayNames(accounts)} accounts from port ${source.port}`,
    evidence: { failures, accounts, goodAccounts },
    duration,
  }
}

/**
 * Suspends the ports of an address that are not registered, as a whole; `times`: so often of late, this one included.
 * The kernel asks for proven ports first, so the good phones there do not notice.
 */
export function unprovenPortsVerdict(
  ended: ExchangeEnded,
  {
    failures,
    accounts,
    ports,
    goodAccounts: good,
    times,
    duration,
  }: FailureCounts & {
    readonly goodAccounts: number
    readonly times: number
    readonly duration: Seconds
  },
): Verdict {
  return {
    ...header(ended),
    port: null,
    grade: 'path',
    reason:
      `${failures} failed registrations from ${sayNames(ports)} ports, though ${good} account${good === 1 ? ' is' : 's are'} ` +
      'registered here: ports that are not registered are suspended, registered ones stay served',
    evidence: { failures, accounts, ports, goodAccounts: good, times },
    duration,
  }
}

/** Tells of failures that phones do not make, where anybody can have forged them; `times` as above. */
export function slowedVerdict(
  ended: ExchangeEnded,
  {
    failures,
    accounts,
    ports,
    lasted,
    goodAccounts: good,
    times,
    duration,
  }: BeyondPhones & { readonly goodAccounts: number; readonly times: number; readonly duration: Seconds },
): Verdict {
  return {
    ...header(ended),
    port: null,
    action: 'limit',
    grade: 'packet',
    reason:
      `${failures} failed registrations over ${accounts} account${accounts === 1 ? '' : 's'} from ${ports} ports within ${sayLasted(lasted)}, as no phones fail; not ` +
      'suspended, since the softswitch gives everybody the same nonces and so nobody knows whose they were: ports that are not ' +
      'registered share the smallest bucket, registered ones stay served',
    evidence: { failures, accounts, ports, goodAccounts: good, times },
    duration,
  }
}

/** Suspends the address of a stranger where nonces are shared, which a lockout would block. */
export function strangerVerdict(
  ended: ExchangeEnded,
  {
    failures,
    accounts,
    ports,
    times,
    duration,
  }: FailureCounts & { readonly times: number; readonly duration: Seconds },
): Verdict {
  return {
    ...header(ended),
    port: null,
    grade: 'packet',
    reason:
      `${failures} failed registrations over ${sayNames(accounts)} account${accounts === 1 ? '' : 's'} from ${sayNames(ports)} ports; not blocked, ` +
      `since ${ended.answersItsChallenge ? 'the softswitch gives everybody the same nonces' : 'their nonces were given to others'} and so nobody knows whose they were`,
    evidence: { failures, accounts, ports, goodAccounts: 0, times },
    duration,
  }
}

/** Who guesses by INVITE is not stopped by the loss of his REGISTERs. */
export function reaching(verdict: Verdict, { method }: ExchangeEnded): Verdict {
  if (method === undefined) return verdict
  const reason = `${verdict.reason.replace('failed registrations', 'refused passwords')}, the last one in ${method}`
  return { ...verdict, scope: verdict.action === 'suspend' ? 'sip' : verdict.scope, reason }
}

function sayLasted(span: Milliseconds): string {
  return showDuration(Math.max(1, Math.ceil(span / 1_000)))
}

/** `2nd`, `3rd`, `11th`. */
function nth(times: number): string {
  const teen = times % 100 > 10 && times % 100 < 14
  return `${times}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][times % 10] ?? 'th')}`
}

function header({ time, source }: ExchangeEnded) {
  return {
    time,
    name: 'retry-limit',
    address: source.address,
    action: 'suspend',
    scope: 'register',
  } as const
}
