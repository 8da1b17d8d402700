/**
 * The kernel's own log of packets, as libpcap captures it: rules with the target NFLOG send to a group, and one program
 * in a network namespace may listen to it. Frames have the link type 239 (see `readNflog`).
 */
export function nflogDevice(group: number): string {
  return `${PREFIX}${group}`
}

export function isNflog(device: string): boolean {
  return device.startsWith(PREFIX)
}

/** What libpcap's words mean: the kernel lets nobody else listen to a group that somebody listens to. */
export function sayNflogTrouble(device: string, words: string): string {
  const group = device.slice(PREFIX.length)
  return /Operation not permitted|Device or resource busy/i.test(words)
    ? `another program listens to NFLOG group ${group}, or this one may not: name a free one as sensor.nflog`
    : `NFLOG group ${group}: ${words}`
}

const PREFIX = 'nflog:'
