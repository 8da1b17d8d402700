import type { Buffer } from 'node:buffer'

/**
 * The expressions of `-m u32` (iptables-extensions(8)): tests joined by `&&`, each a location, `=` and values. A
 * location begins at an offset from the IP header and goes on with `&`, `<<`, `>>` and `@`, which moves on by what
 * was read so far.
 */
export interface U32Test {
  readonly start: number
  readonly operations: readonly { readonly operator: Operator; readonly number: number }[]
  /** Any of these ranges, ends included. */
  readonly values: readonly { readonly from: number; readonly to: number }[]
}

type Operator = '&' | '<<' | '>>' | '@'

/** Reads an expression; undefined where it is none. */
export function parseU32(text: string): readonly U32Test[] | undefined {
  const tests = text.split('&&').map(parseTest)
  return tests.every((test) => test !== undefined) ? tests : undefined
}

/** Whether all tests hold. What lies behind the end of the packet equals nothing, as in the kernel (xt_u32.c). */
export function matchesU32(tests: readonly U32Test[], packet: Buffer): boolean {
  return tests.every(({ start, operations, values }) => {
    if (!holdsWord(packet, start)) return false
    let value = packet.readUInt32BE(start)
    let at = 0
    for (const { operator, number } of operations) {
      if (operator === '&') value = (value & number) >>> 0
      else if (operator === '<<') value = (value << number) >>> 0
      else if (operator === '>>') value >>>= number
      else {
        at += value
        if (!holdsWord(packet, at + number)) return false
        value = packet.readUInt32BE(at + number)
      }
    }
    return values.some(({ from, to }) => from <= value && value <= to)
  })
}

function holdsWord(packet: Buffer, offset: number): boolean {
  return offset + 4 <= packet.length
}

function parseTest(text: string): U32Test | undefined {
  const [location = '', list, ...more] = text.split('=')
  if (list === undefined || more.length > 0) return undefined
  // The operators stay between the numbers.
  const [first = '', ...rest] = location.split(/(<<|>>|&|@)/)
  const start = parseNumber(first)
  const operations: { operator: Operator; number: number }[] = []
  for (let i = 0; i < rest.length; i += 2) {
    const number = parseNumber(rest[i + 1] ?? '')
    if (number === undefined) return undefined
    operations.push({ operator: rest[i] as Operator, number })
  }
  const values = list.split(',').map(parseRange)
  if (start === undefined || !values.every((value) => value !== undefined)) return undefined
  return { start, operations, values }
}

function parseRange(text: string): U32Test['values'][number] | undefined {
  const [low = '', high = low, ...more] = text.split(':')
  const [from, to] = [parseNumber(low), parseNumber(high)]
  return from === undefined || to === undefined || more.length > 0 ? undefined : { from, to }
}

/** Decimal or hexadecimal. An octal one would be read as another number by iptables, so it is none. */
function parseNumber(text: string): number | undefined {
  const trimmed = text.trim()
  if (!/^(?:0x[0-9a-f]{1,8}|0|[1-9]\d{0,9})$/i.test(trimmed)) return undefined
  const number = Number(trimmed)
  return number <= 0xffff_ffff ? number : undefined
}
