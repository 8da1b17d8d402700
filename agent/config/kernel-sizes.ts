import { existsSync } from 'node:fs'
import { totalmem } from 'node:os'
import type { TableSizes } from '../../rules/desired-state.ts'
import type { Config, KernelSettings } from './config.ts'

/** What of the host the word `auto` in a configuration looks at. */
export interface HostFacts {
  readonly memoryBytes: number
  /** Connection tracking is in use, so that counting connections costs nothing more. */
  readonly tracksConnections: boolean
  /** The kernel takes rules that log packets (`probeNflog`). Absent: nobody asked, so none are written. */
  readonly logsPackets?: boolean
}

/** Each kind of table may take so small a part of the memory when all of them are full. */
const SHARE = 1 / 64
/** An IPv6 element, with what the daemon keeps of it. */
const BYTES_AN_ELEMENT = 250
/** One bucket in every table that forged sources can fill: ten a family, of 130 bytes each. */
const BYTES_A_BUCKET = 20 * 130
/** One first packet in the set of each family. */
const BYTES_A_FIRST_PACKET = 30 + 50

const ELEMENTS = { least: 65_536, most: 1_048_576 }
const BUCKETS = { least: 65_536, most: 1_048_576 }
const SEEN = { least: 100_000, most: 2_000_000 }

/** Connections of one source at once, where they are counted without being asked for. */
const MOST_CONNECTIONS = 500

/** The table sizes that a configuration means on a host with so much memory. */
export function tableSizes({ elements, buckets, seen }: KernelSettings, memoryBytes: number): TableSizes {
  const share = (bytesEach: number, { least, most }: { least: number; most: number }) =>
    Math.min(most, Math.max(least, Math.floor((memoryBytes * SHARE) / bytesEach)))
  return {
    elements: elements === 'auto' ? share(BYTES_AN_ELEMENT, ELEMENTS) : elements,
    buckets: buckets === 'auto' ? share(BYTES_A_BUCKET, BUCKETS) : buckets,
    seen: seen === 'auto' ? share(BYTES_A_FIRST_PACKET, SEEN) : seen,
  }
}

/**
 * How many connections of one source may stand at once; null: they are not counted. Counting them would switch
 * connection tracking on for everything on the host, so `auto` does it only where it is on
 * (docs/decisions/0004-counting-connections.md).
 */
export function mostConnections(
  { most }: Config['limits']['connections'],
  { tracksConnections }: HostFacts,
): number | null {
  if (most === 'auto') return tracksConnections ? MOST_CONNECTIONS : null
  return most === 'none' ? null : most
}

/** Read once, at the start: our own rules must not change what they are made from. */
export function readHostFacts(): HostFacts {
  return {
    memoryBytes: totalmem(),
    tracksConnections: existsSync('/proc/sys/net/netfilter/nf_conntrack_max'),
  }
}
