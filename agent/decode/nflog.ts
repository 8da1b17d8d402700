import type { Frame, LoggedBy } from '../capture/frame.ts'

/** LINKTYPE_NFLOG. */
export const NFLOG_LINK_TYPE = 239
const RAW_IP = 101

/** Attributes of a logged packet (linux/netfilter/nfnetlink_log.h); what else there is says nothing that is needed. */
const TIMESTAMP = 3
const PAYLOAD = 9
const PREFIX = 10

/** Prefixes of Ringfence's own rules (`rules/render-log.ts`); a letter, so that they cost little. */
const LOGGED_BY: ReadonlyMap<string, LoggedBy> = new Map([
  ['s', 'sample'],
  ['p', 'passed'],
])

/**
 * Takes a packet of the kernel's own log out of its attributes: as a frame of raw IP, with the time at which the kernel
 * got it where it says so. Undefined where there is none in it. Never throws on content.
 * Four bytes (address family, version, group), then attributes of a length (its own four bytes included) and a type in
 * the byte order of the host, each padded to four: https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html
 */
export function readNflog(frame: Frame): Frame | undefined {
  const { bytes } = frame
  let logged: LoggedBy | undefined
  let time = frame.time
  let payload: Buffer | undefined
  for (let at = 4; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if (length < 4) break
    const end = Math.min(at + length, bytes.length)
    const start = at + 4
    switch (bytes.readUInt16LE(at + 2) & TYPE_MASK) {
      case PREFIX:
        // Ends with a NUL.
        if (end - start === 2) logged = LOGGED_BY.get(String.fromCharCode(bytes[start]!))
        break
      case TIMESTAMP:
        if (end - start === 16) time = readTime(bytes, start)
        break
      case PAYLOAD:
        payload = bytes.subarray(start, end)
        break
    }
    at += (length + 3) & ~3
  }
  if (!payload) return undefined
  return {
    time,
    linkType: RAW_IP,
    bytes: payload,
    originalLength: Math.max(payload.length, ipLength(payload)),
    ...(logged === undefined ? {} : { logged }),
  }
}

/** The two highest bits of a type say how it is encoded. */
const TYPE_MASK = 0x3fff

/** Seconds and microseconds, 64 bits each, in network order. */
function readTime(bytes: Buffer, at: number): number {
  const seconds = bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
  return seconds * 1_000 + bytes.readUInt32BE(at + 12) / 1_000
}

/** A rule logs so many bytes of a packet at most. */
function ipLength(payload: Buffer): number {
  if (payload.length < 6) return 0
  return payload[0]! >> 4 === 6 ? 40 + payload.readUInt16BE(4) : payload.readUInt16BE(2)
}
