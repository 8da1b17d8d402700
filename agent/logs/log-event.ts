import type { Address } from '../../registrar/net/address.ts'

/** How a softswitch's log names a transport; `unknown` where it names none, or one that is not known here. */
export type LogTransport = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss' | 'unknown'

/** Whose log it is. */
export type LogKind = 'asterisk' | 'freeswitch' | 'vos3000'

export const LOG_KINDS: readonly LogKind[] = ['asterisk', 'freeswitch', 'vos3000']

/** The file of each log that is followed; null where none is. */
export type LogPaths = Readonly<Record<LogKind, string | null>>

/** Who it was about, as far as the line says. */
export interface LogSubject {
  /** As the request named it, cut short; it need not exist. */
  readonly account: string
  readonly address: Address
  /** The client's port; null where the line names none. */
  readonly port: number | null
  readonly transport: LogTransport
  /** The softswitch's own port; null where the line names none. */
  readonly serverPort: number | null
}

/**
 * What a line of a softswitch's log says. `failure`: credentials were refused. `success`: a password was right.
 * `challenge`: the softswitch asked for credentials. `unknown-account`: nobody of that name is known there. `refused`:
 * by an access list. `other`: nothing of that kind. `doubtful`: it looks like one of these, but what it says may have
 * been written by whoever was logged, so nothing is read from it.
 */
export type LogEvent =
  | (LogSubject & { readonly kind: 'failure' | 'success' | 'challenge' | 'unknown-account' | 'refused' })
  | { readonly kind: 'other' }
  | { readonly kind: 'doubtful' }

export const OTHER: LogEvent = { kind: 'other' }
export const DOUBTFUL: LogEvent = { kind: 'doubtful' }

/** What is kept of an account's name. */
export const LONGEST_ACCOUNT = 80
