import type { EpochMilliseconds } from '../../registrar/net/time.ts'

/** How far one protected port can be read. */
export interface SightView {
  readonly port: number
  readonly transport: 'udp' | 'tcp'
  readonly state: 'quiet' | 'sighted' | 'half-sighted' | 'blind'
  readonly since: EpochMilliseconds
  /** What was seen, and what follows from it. */
  readonly detail: string
}

/** Whether one softswitch gives a nonce to several addresses. */
export interface NonceView {
  /** Its address and port. */
  readonly server: string
  readonly state: 'unknown' | 'unique' | 'shared'
  readonly since: EpochMilliseconds
  /** Nonces seen going to a second address, and the signs since then that each goes to one only. */
  readonly shared: number
  readonly unique: number
  /** What follows, and the setting that mends it. */
  readonly detail: string
}

/**
 * `quiet`: every request is captured. `loud`: so much comes that requests are read from the kernel's log of those that
 * pass, with a sample of all. `off`: there is no such log, and every request is captured always.
 */
export interface SamplingView {
  readonly state: 'off' | 'quiet' | 'loud'
  /** Of the kernel's log; null where none is used. */
  readonly group: number | null
  readonly since: EpochMilliseconds
  /** Why it is not used, or what is wrong with it; empty where nothing is. */
  readonly detail: string
}

/** A log of the softswitch's own. Counts are since the sensor began. */
export interface LogView {
  readonly log: 'asterisk' | 'freeswitch' | 'vos3000'
  readonly path: string
  readonly state: 'following' | 'waiting' | 'failed'
  /** Why it is not followed; empty while it is. */
  readonly reason: string
  readonly linesRead: number
  /** Lines that said something of a registration. */
  readonly linesUnderstood: number
  /** Lines that were too long, too many in a second, or cut off. */
  readonly linesLetGo: number
  /** Lines that a client may have written himself, so that nothing is read from them. */
  readonly linesDoubtful: number
  /** What was taken as evidence: of ports that the sensor does not see itself. */
  readonly eventsUsed: number
}

/**
 * What is seen of the softswitch's own online check. `unseen`: answers that come in are not captured now. `silent`: let three
 * or more pass, which informs and decides nothing.
 */
export interface OnlineCheckView {
  readonly state: 'seen' | 'unseen'
  readonly online: number
  readonly silent: number
  /** Asked, but not often enough to tell. */
  readonly unasked: number
}
