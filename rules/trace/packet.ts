import type { Buffer } from 'node:buffer'
import type { Address } from '../../registrar/net/address.ts'

/** A packet that nobody sent, to ask what the rules would do with it. */
export interface ImaginaryPacket {
  /** Where it arrives. */
  readonly interface: string
  readonly source: Address
  readonly sourcePort: number
  readonly destination: Address
  readonly destinationPort: number
  readonly protocol: 'udp' | 'tcp'
  /** TCP only: whether it opens a connection. */
  readonly syn: boolean
  /** UDP payload. */
  readonly payload: Buffer
  /** Bytes of IPv4 options, a multiple of four up to 40; of IPv6 extension headers, a multiple of eight. */
  readonly headerOptions: number
  /** `first`: only what is in `payload` came in this piece. `later`: a piece without ports. A whole packet without it. */
  readonly fragment?: 'first' | 'later'
}

/**
 * Which lane served the packet, or would not. Besides the lanes of sources: `peer`, whom the softswitch sent a request
 * to; `sip`, SIP other than REGISTER of a source that is not proven; `rest`, keepalives and responses that nobody asked
 * for; `connected`, inside a TCP connection; `none`, where no rule of ours looks at it.
 */
export type TraceLane =
  | 'allowed'
  | 'blocked'
  | 'gateway'
  | 'suspended'
  | 'proven'
  | 'answered'
  | 'returning'
  | 'ignoring'
  | 'unknown'
  | 'peer'
  | 'sip'
  | 'rest'
  | 'connected'
  | 'none'

export interface TraceStep {
  /** The rule as `iptables-save` prints it. */
  readonly rule: string
  /** Why it matched, in words. */
  readonly says: string
}

/** What happens to an imaginary packet, and which rule decides. */
export interface Trace {
  /** `not-ours`: no rule of ours looks at it. */
  readonly verdict: 'pass' | 'drop' | 'not-ours'
  /** Why, in one sentence for an admin. */
  readonly says: string
  /** The rule that decided; null where the packet ran off the end of a chain. */
  readonly rule: string | null
  /** The lane that the source is in, e.g. `proven`. */
  readonly lane: TraceLane
  /** Every rule that matched, in order. */
  readonly steps: readonly TraceStep[]
}
