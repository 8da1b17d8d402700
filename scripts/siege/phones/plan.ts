/** Who plays: written by the siege as JSON, read by the programs that play. */
export type PhoneKind = 'customer' | 'ordinary' | 'newcomer' | 'office'

export interface PhoneSeat {
  readonly user: number
  readonly address: string
  readonly port: number
}

export interface PhoneGroup {
  readonly kind: PhoneKind
  readonly seats: readonly PhoneSeat[]
  /** Seconds between registrations, least and most; each phone has its own. */
  readonly every: readonly [number, number]
  /** Whether its phones are there from the beginning, or first appear in the attack. */
  readonly appears: 'before' | 'attack'
  /** Over so many seconds, from the first to the second, its phones make their first registration. */
  readonly within: readonly [number, number]
}

export interface PhonesPlan {
  readonly server: string
  readonly port: number
  readonly seed: number
  /** How many of the phones use the nonce again that they were given last: 0 to 1. */
  readonly reuseNonce: number
  readonly groups: readonly PhoneGroup[]
  /** The program ends by itself after so many seconds. */
  readonly longest: number
}

/** Milliseconds since the program began. */
export interface Registration {
  readonly begun: number
  ended: number | null
  outcome: 'registered' | 'refused' | 'silence' | null
}

export interface PhoneRecord extends PhoneSeat {
  readonly kind: PhoneKind
  readonly registrations: readonly Registration[]
  readonly packetsSent: number
}

/** Said each second on one line. */
export interface PhonesProgress {
  readonly registered: Readonly<Partial<Record<PhoneKind, number>>>
}

/** Said on one line at the end. */
export interface PhonesResult {
  /** When the attack began and ended, by the same clock as the registrations; null where it did not. */
  readonly attack: { readonly begun: number | null; readonly ended: number | null }
  readonly ended: number
  /** How late the program's own timers came at worst: what the machine's load adds to the phones. */
  readonly timersLate: number
  readonly phones: readonly PhoneRecord[]
}

/** Who guesses: each source tries a password, wrong by intention, on accounts that exist. */
export interface GuessersPlan {
  readonly server: string
  readonly port: number
  readonly seed: number
  readonly sources: readonly { readonly address: string; readonly ports: readonly [number, number] }[]
  readonly users: readonly [number, number]
  /** Seconds between the tries of one source. */
  readonly every: number
  /** After so many tries a source goes to its next port. */
  readonly hopAfter: number
  readonly longest: number
}

export interface GuessersResult {
  readonly tries: number
  /** Told that the password was wrong. */
  readonly refused: number
  /** Never told anything, or not to the end. */
  readonly silent: number
}
