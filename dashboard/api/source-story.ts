import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { DecisionView } from './decisions.ts'

/** What is known of one source. */
export interface SourceStory {
  readonly address: string
  /** IPv6 is judged by /64. */
  readonly source: string
  readonly lane:
    | 'allowed'
    | 'blocked'
    | 'suspended'
    | 'gateway'
    | 'proven'
    | 'answered'
    | 'returning'
    | 'ignoring'
    | 'unknown'
  /** Why it is in that lane, in words. */
  readonly laneReason: string
  /** Why the kernel may not do so now, e.g. that the rules are off; null where it does. */
  readonly notice: string | null
  /** Why nobody knows what was seen of it: the sensor did not answer. Absent where it did. */
  readonly unanswered?: string
  /** Packets of its source over the SIP limit in the last ten minutes; null where it is not on that list. */
  readonly overSipLimit: { readonly packets: number; readonly limited: boolean } | null
  readonly firstSeen: EpochMilliseconds | null
  readonly lastSeen: EpochMilliseconds | null
  readonly registers: number
  readonly challenges: number
  readonly successes: number
  readonly failures: number
  readonly registersInWindow: number
  readonly accounts: readonly string[]
  readonly userAgents: readonly string[]
  /** An SBC or proxy brings the accounts of others from there: never punished as an address. */
  readonly aggregator?: boolean
  /** Accounts that registered from there within about a day, counted up to 64. */
  readonly accountsBehind?: number
  /** What is proven of it, grade by grade. */
  readonly evidence?: readonly GradeEvidence[]
  /** Its last exchanges, newest first; none of a source that never sent credentials. */
  readonly exchanges?: readonly ExchangeView[]
  /** Sources whose exchanges had to be forgotten for lack of room. */
  readonly exchangesLetGo?: number
  /** Addresses and ports there (IPv6: of the /64) that are registered over UDP now. */
  readonly registeredPorts?: { readonly count: number; readonly first: readonly RegisteredPort[] }
  /** Phones there that the softswitch asked by OPTIONS, those that it asked last first. */
  readonly endpoints?: readonly EndpointView[]
  /** What would put it in another lane, or take something off it, each as a sentence. */
  readonly wouldChange?: readonly string[]
  /** Of the port that was asked about; absent where the address was. */
  readonly port?: PortStory
  readonly decisions: readonly DecisionView[]
  readonly verdicts: readonly VerdictView[]
  readonly pastDecisions: readonly DecisionView[]
}

/** What is known of one port of a source. */
export interface PortStory extends Pick<SourceStory, 'lane' | 'laneReason'> {
  /** `198.51.100.7:5060` */
  readonly source: string
  /** Null where nobody is registered from there over UDP. */
  readonly registered: RegisteredPort | null
  /** Against exactly it, as those below. */
  readonly decisions: readonly DecisionView[]
  readonly verdicts: readonly VerdictView[]
  readonly pastDecisions: readonly DecisionView[]
  readonly exchanges: readonly ExchangeView[]
}

export interface VerdictView {
  readonly time: EpochMilliseconds
  /** The rule that spoke; missing for verdicts of older versions. */
  readonly name?: string
  /** The port that was judged; null where the whole source was. */
  readonly port?: number | null
  /** `limit` and `alert` only inform. */
  readonly action: 'limit' | 'alert' | 'suspend' | 'block'
  readonly scope: 'register' | 'sip'
  readonly grade: 'packet' | 'path' | 'account'
  readonly reason: string
  readonly evidence: Readonly<Record<string, string | number | boolean | null>>
}

export interface GradeEvidence {
  readonly grade: 'packet' | 'path' | 'account'
  /** Whether there is such evidence now. */
  readonly holds: boolean
  readonly says: string
}

/** A REGISTER and how it ended. */
export interface ExchangeView {
  readonly time: EpochMilliseconds
  /** `198.51.100.7:5060` */
  readonly source: string
  readonly transport: 'udp' | 'tcp'
  /** What was refused, where it was no REGISTER. */
  readonly method?: string
  readonly account: string
  /** `success`, `failure`, `challenge`, `stale`, `refused` … */
  readonly outcome: string
  readonly status: number
  readonly grade: 'packet' | 'path' | 'account'
}

/** Whether it answers the softswitch's OPTIONS. Silence alone takes nothing from it. */
export interface EndpointView {
  readonly source: string
  readonly state: 'online' | 'silent' | 'unasked'
  readonly asked: number
  readonly answered: number
  readonly lastAnswered: EpochMilliseconds | null
  readonly roundTripMilliseconds: number | null
}

export interface RegisteredPort {
  readonly source: string
  /** A few of those that are registered from there; the kernel knows a port for longer than the journal its accounts. */
  readonly accounts: readonly string[]
  /** Of the registration; the kernel serves the port for a minute and a little longer. */
  readonly secondsLeft: Seconds
}
