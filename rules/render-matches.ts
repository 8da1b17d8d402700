import type { Family } from '../registrar/net/address.ts'

/** `-m multiport` takes 15 ports. */
const PORTS_A_RULE = 15
/** `-m u32` takes 10 values a test. */
const VALUES_A_TEST = 10
/** `-m u32` compares four bytes. */
const BYTES_A_TEST = 4

export const REGISTER = ['REGI']
export const INVITE = ['INVI']
export const RESPONSE = ['SIP/']
/** Methods that begin something (RFC 3261, 3428, 3515, 3903, 6665), and their first four bytes. */
const OPENING = ['INVITE', 'OPTIONS', 'SUBSCRIBE', 'NOTIFY', 'MESSAGE', 'REFER', 'PUBLISH']
export const OPENING_METHODS = OPENING.map(beginningOf)
/** Methods that belong to a call or transaction that is there already (RFC 3261, 3262, 3311, 6086). */
const CALL = ['ACK', 'BYE', 'CANCEL', 'UPDATE', 'PRACK', 'INFO']
export const CALL_METHODS = CALL.map(beginningOf)

/**
 * The bytes of UDP payload up to which a packet is a keepalive (empty, CRLF pairs, NUL) and cannot be a REGISTER:
 * request line, Via, From, To, Call-ID and CSeq do not fit.
 */
const KEEPALIVE_PAYLOAD = 39

/**
 * Matches UDP payloads by their first four bytes, one match a rule. In IPv4 they stand behind the header's own length,
 * options included. In IPv6 only a packet without extension headers is recognised, the others stay in the strict class.
 */
export function startsWith(texts: readonly string[], family: Family): readonly string[] {
  return chunk(texts, VALUES_A_TEST).map((some) => `-p udp -m u32 --u32 "${payloadTest(some, family)}"`)
}

/**
 * Matches requests of these methods exactly, with the space behind the method: by its first four bytes, and the four that
 * end with the space. A rule for all methods of one length, so it takes a mixture of two of them as well (`INVIFY`).
 * The rule of the first method comes first.
 */
function startsWithMethod(methods: readonly string[], family: Family): readonly string[] {
  const lengths = [...new Set(methods.map(({ length }) => length))]
  return lengths.map((length) => {
    const some = methods.filter((method) => method.length === length)
    const ends = some.map((method) => `${method} `.slice(-BYTES_A_TEST))
    const first = payloadTest(some.map(beginningOf), family)
    const offset = length + 1 - BYTES_A_TEST
    const last = offset === 0 ? '' : `&&${wordTest(ends, family, offset)}`
    return `-p udp -m u32 --u32 "${first}${last}"`
  })
}

export const startsWithOpening = (family: Family) => startsWithMethod(OPENING, family)
export const startsWithCall = (family: Family) => startsWithMethod(CALL, family)

/**
 * The same of a first IPv6 fragment, for what may be longer than a packet: behind its fragment header (RFC 8200,
 * section 4.5: next header UDP, offset zero). In IPv4 the other match knows it.
 */
export function startsFragmentWith(texts: readonly string[], family: Family): readonly string[] {
  if (family === 4) return []
  return chunk(texts, VALUES_A_TEST).map(
    (some) => `-p udp -m u32 --u32 "0x3&0xff=0x2c&&0x28&0xff00fff8=0x11000000&&0x38=${valuesOf(some)}"`,
  )
}

function payloadTest(texts: readonly string[], family: Family): string {
  const test = wordTest(texts, family, 0)
  return family === 4 ? test : `0x3&0xff=0x11&&${test}`
}

/** Compares the four bytes that begin so many bytes behind the beginning of the payload. */
function wordTest(texts: readonly string[], family: Family, offset: number): string {
  const at = (header: number) => `0x${(header + offset).toString(16)}`
  return `${family === 4 ? `0x0>>0x16&0x3c@${at(8)}` : at(48)}=${valuesOf(texts)}`
}

function beginningOf(method: string): string {
  return `${method} `.slice(0, BYTES_A_TEST)
}

function valuesOf(texts: readonly string[]): string {
  return texts.map((text) => `0x${Buffer.from(text, 'latin1').toString('hex').replace(/^0+/, '')}`).join(',')
}

/**
 * Matches by length. A first fragment that ends before its method is short as well, so in IPv4 no fragment passes
 * here (the more-fragments bit and the offset are zero), and in IPv6 no extension header does.
 */
export function tiny(family: Family): string {
  const whole = family === 4 ? '0x4&0x3fff=0x0' : '0x3&0xff=0x11'
  const longest = (family === 4 ? 20 : 40) + 8 + KEEPALIVE_PAYLOAD
  return `-p udp -m length --length 0:${longest} -m u32 --u32 "${whole}"`
}

/** A STUN binding request (RFC 8489, section 5: the type 0x0001 and the magic cookie), as phones keep a path open with. */
export function stun(family: Family): string {
  const test =
    family === 4
      ? '0x0>>0x16&0x3c@0x8>>0x10=0x1&&0x0>>0x16&0x3c@0xc=0x2112a442'
      : '0x3&0xff=0x11&&0x30>>0x10=0x1&&0x34=0x2112a442'
  return `-p udp -m u32 --u32 "${test}"`
}

/** A new TCP connection. */
export const SYN = '-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN'

/** `--dports` lists that fit in a rule each. */
export function portLists(ports: readonly number[]): readonly string[] {
  const sorted = [...new Set(ports)].sort((a, b) => a - b)
  return chunk(sorted, PORTS_A_RULE).map((some) => some.join(','))
}

function chunk<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const chunks: T[][] = []
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size))
  return chunks
}
