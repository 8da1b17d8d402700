import type { EpochMilliseconds } from '../../registrar/net/time.ts'

/** One captured frame as the link layer carried it. */
export interface Frame {
  readonly time: EpochMilliseconds
  /** The LINKTYPE_ number of the pcap file format (1 Ethernet, 101 raw IP, 113 Linux cooked, 276 cooked v2 …). */
  readonly linkType: number
  /** The captured bytes. Valid until the next frame is asked for: copy what must last longer. */
  readonly bytes: Buffer
  /** How long the frame was on the wire; larger than `bytes.length` when the capture cut it. */
  readonly originalLength: number
}
