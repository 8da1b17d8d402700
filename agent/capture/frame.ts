import type { EpochMilliseconds } from '../../registrar/net/time.ts'

/** `sample`: some of all that arrives, whatever becomes of it. `passed`: all that the rules let through. */
export type LoggedBy = 'sample' | 'passed'

/** One captured frame as the link layer carried it. */
export interface Frame {
  readonly time: EpochMilliseconds
  /** The LINKTYPE_ number of the pcap file format (1 Ethernet, 101 raw IP, 113 Linux cooked, 276 cooked v2 …). */
  readonly linkType: number
  /** The captured bytes. Valid until the next frame is asked for: copy what must last longer. */
  readonly bytes: Buffer
  /** How long the frame was on the wire; larger than `bytes.length` when the capture cut it. */
  readonly originalLength: number
  /** Which of several captures of one host it came from. */
  readonly capture?: number
  /** Captured apart, as one of those answers that come in (see `incomingAnswersFilter`): nothing that this host sent. */
  readonly cameIn?: boolean
  /** Captured apart, as a fragment or behind IPv6 extension headers that this host sent (see `outgoingPartsFilter`). */
  readonly wentOut?: boolean
  /** For a frame of the kernel's own log of what its rules did: which rule logged it. */
  readonly logged?: LoggedBy
}
