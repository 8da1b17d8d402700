import { isIPv4, isIPv6 } from 'node:net'

/**
 * An IP address in its one normal form: dotted decimal for IPv4, RFC 5952 text for IPv6, and an IPv4-mapped
 * IPv6 address as the IPv4 address it stands for. Made only by the functions of this file.
 */
export type Address = string & { readonly __address: unique symbol }

/** An address prefix in normal form, `ADDRESS/LENGTH` with the host bits zero. A single address is /32 or /128. */
export type Prefix = string & { readonly __prefix: unique symbol }

export type Family = 4 | 6

/** A port of an address: the unit the evidence is first about. */
export interface Source {
  readonly address: Address
  readonly port: number
}

/** `ffff:` six times and a dotted IPv4 address. What is longer is no address and never reaches a pattern. */
const LONGEST_TEXT = 45

/** Reads an address as a person writes it. Zone identifiers, leading zeros and short forms like `1.1` are refused. */
export function parseAddress(text: string): Address | undefined {
  if (text.length > LONGEST_TEXT) return undefined
  if (isIPv4(text)) return text as Address
  if (!isIPv6(text) || text.includes('%')) return undefined
  return formatV6Groups(readV6Groups(text))
}

/** Reads `ADDRESS` or `ADDRESS/LENGTH`; host bits are cleared. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) {
    const address = parseAddress(text)
    return address && prefixOfAddress(address)
  }
  const lengthText = text.slice(slash + 1)
  if (!/^(?:0|[1-9]\d{0,2})$/.test(lengthText)) return undefined
  const address = parseAddress(text.slice(0, slash))
  if (!address) return undefined
  const mapped = familyOf(address) === 4 && text.includes(':')
  const length = Number(lengthText) - (mapped ? 96 : 0)
  if (length < 0 || length > bitsOf(address)) return undefined
  return prefixOf(address, length)
}

/** Reads `ADDRESS:PORT`, an IPv6 address in brackets. */
export function parseSource(text: string): Source | undefined {
  const parts = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/.exec(text)
  if (!parts) return undefined
  const address = parseAddress(parts[1] ?? parts[2] ?? '')
  const port = Number(parts[3])
  return address && port <= 65_535 ? { address, port } : undefined
}

/** How a source is shown: `203.0.113.7:5060`, `[2001:db8::1]:5060`. */
export function showSource({ address, port }: Source): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

export function familyOf(address: Address | Prefix): Family {
  return address.includes(':') ? 6 : 4
}

/** The prefix of `length` bits that holds `address`. */
export function prefixOf(address: Address, length: number): Prefix {
  const bytes = bytesOfAddress(address)
  for (let bit = length; bit < bytes.length * 8; bit++) {
    const byte = bit >> 3
    bytes[byte] = bytes[byte]! & ~(0x80 >> (bit & 7))
  }
  return `${addressFromBytes(bytes, 0, bytes.length)}/${length}` as Prefix
}

/** The /32 or /128 of one address. */
export function prefixOfAddress(address: Address): Prefix {
  return `${address}/${bitsOf(address)}` as Prefix
}

/**
 * What is counted and punished as one source: an IPv4 address, or the /64 of an IPv6 address, since whoever has
 * one address of a /64 has them all.
 */
export function sourcePrefixOf(address: Address): Prefix {
  if (address !== lastAddress) {
    lastPrefix = familyOf(address) === 4 ? (`${address}/32` as Prefix) : prefixOf(address, 64)
    lastAddress = address
  }
  return lastPrefix
}

/** One packet asks many times, and what ten tables keep of it shall be one string. */
let lastAddress: Address | undefined
let lastPrefix = '' as Prefix

export function splitPrefix(prefix: Prefix): { address: Address; length: number } {
  const slash = prefix.indexOf('/')
  return { address: prefix.slice(0, slash) as Address, length: Number(prefix.slice(slash + 1)) }
}

export function prefixContains(prefix: Prefix, address: Address): boolean {
  const { address: base, length } = splitPrefix(prefix)
  if (familyOf(base) !== familyOf(address)) return false
  return prefixOf(address, length) === prefix
}

/** Whether every address of `narrow` is one of `wide`; a prefix holds itself. */
export function prefixHolds(wide: Prefix, narrow: Prefix): boolean {
  const { address, length } = splitPrefix(narrow)
  return splitPrefix(wide).length <= length && prefixContains(wide, address)
}

/** How a prefix is shown to a person: a single address without its length. */
export function showPrefix(prefix: Prefix): string {
  const { address, length } = splitPrefix(prefix)
  return length === bitsOf(address) ? address : prefix
}

/** Reads 4 or 16 network-order bytes. IPv4-mapped IPv6 becomes IPv4. */
export function addressFromBytes(bytes: Uint8Array, offset: number, length: number): Address {
  if (length === 4) {
    return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}` as Address
  }
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push((bytes[offset + i]! << 8) | bytes[offset + i + 1]!)
  return formatV6Groups(groups)
}

/** The network-order bytes of an address: 4 or 16 of them. */
export function bytesOfAddress(address: Address): Uint8Array {
  if (familyOf(address) === 4) return Uint8Array.from(address.split('.'), Number)
  const bytes = new Uint8Array(16)
  readV6Groups(address).forEach((group, i) => {
    bytes[2 * i] = group >> 8
    bytes[2 * i + 1] = group & 0xff
  })
  return bytes
}

function bitsOf(address: Address): 32 | 128 {
  return familyOf(address) === 4 ? 32 : 128
}

/** The eight groups of a text that `net.isIPv6` accepted. */
function readV6Groups(text: string): number[] {
  let source = text
  const lastColon = source.lastIndexOf(':')
  if (source.includes('.')) {
    const [a, b, c, d] = source
      .slice(lastColon + 1)
      .split('.')
      .map(Number) as [number, number, number, number]
    source = `${source.slice(0, lastColon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const [head = '', tail] = source.split('::')
  const read = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const front = read(head)
  if (tail === undefined) return front
  const back = read(tail)
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back]
}

/** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) written `::`. */
function formatV6Groups(groups: readonly number[]): Address {
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    const [high, low] = [groups[6]!, groups[7]!]
    return `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}` as Address
  }
  let bestStart = -1
  let bestLength = 1
  for (let start = 0; start < 8; start++) {
    let end = start
    while (end < 8 && groups[end] === 0) end++
    if (end - start > bestLength) {
      bestStart = start
      bestLength = end - start
    }
    if (end > start) start = end
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':')
  if (bestStart < 0) return hex(groups) as Address
  return `${hex(groups.slice(0, bestStart))}::${hex(groups.slice(bestStart + bestLength))}` as Address
}
