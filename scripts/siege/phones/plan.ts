/** Who plays: written by the siege as JSON, read by the programs that play. */
export const PHONE_KINDS = ['customer', 'ordinary', 'newcomer', 'office', 'storm', 'busy'] as const
export type PhoneKind = (typeof PHONE_KINDS)[number]

/**
 * What happens to a phone: its NAT gives it another port at its next registration, it comes back from another address, it
 * restarts and knows nothing of before, or somebody types its password wrong one to three times.
 */
export type Incident = 'moves' | 'roams' | 'reboots' | 'mistypes'

/** Happens once to this share of a group's phones, each at its moment within these seconds of the attack. */
export interface GroupIncident {
  readonly what: Incident
  readonly share: number
  readonly within: readonly [number, number]
}

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
  /** A phone with a longer period refreshes for the first time within so many seconds; 60 where it is not said. */
  readonly firstRefresh?: number
  readonly incidents?: readonly GroupIncident[]
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
  /** Its password was wrong, so that a refusal is what should come of it. */
  mistyped?: true
}

export interface PhoneRecord extends PhoneSeat {
  readonly kind: PhoneKind
  readonly registrations: readonly Registration[]
  readonly packetsSent: number
}

/** Said each second on one line. */
export interface PhonesProgress {
  readonly registered: Readonly<Partial<Record<PhoneKind, number>>>
  readonly served: Served
}

/** Registrations of customers that began over 4 s ago, since the program began; and how many of them were in time. */
export interface Served {
  readonly asked: number
  readonly inTime: number
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
  /** From the first to the last account that exists, or names that nobody has. */
  readonly users: readonly [number, number] | 'random'
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
