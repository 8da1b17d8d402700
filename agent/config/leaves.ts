import { Buffer } from 'node:buffer'
import { isIPv6 } from 'node:net'
import { z } from 'zod'
import { type Prefix, parseAddress, parsePrefix, splitPrefix } from '../../registrar/net/address.ts'
import { parseDuration, type Seconds, showDuration } from '../../registrar/net/time.ts'
import type { Endpoint } from './config.ts'

/** What a leaf's zod issue carries, for the sentence that is made of it. */
export interface LeafIssue {
  readonly expected: string
  /** Says more than `expected` about this very value. */
  readonly why: string | null
  /** Whether the value itself must not be shown. */
  readonly secret: boolean
}

/** What a leaf's reader answers: the value, or why it is none (null: the expectation says it all). */
type Read<T> = { readonly value: T } | { readonly why: string | null }

const REFUSED: { readonly why: null } = { why: null }

/** One value of the file. Everything is read from `unknown`, so that every complaint is worded here. */
function leaf<T>(
  { expected, secret = false }: { readonly expected: string; readonly secret?: boolean },
  read: (value: unknown) => Read<T>,
): z.ZodType<T, unknown> {
  return z.unknown().transform((value, ctx): T => {
    const outcome = read(value)
    if ('value' in outcome) return outcome.value
    const params: LeafIssue = { expected, why: value === undefined ? null : outcome.why, secret }
    ctx.addIssue({ code: 'custom', message: expected, params: { ...params } })
    return z.NEVER
  })
}

export function oneOf<const T extends string>(...words: readonly T[]): z.ZodType<T, unknown> {
  return leaf({ expected: listed(words, 'or') }, (value) =>
    words.includes(value as T) ? { value: value as T } : REFUSED,
  )
}

export function flag(): z.ZodType<boolean, unknown> {
  return leaf({ expected: 'true or false' }, (value) => {
    if (typeof value === 'boolean') return { value }
    if (typeof value !== 'string' || !/^(yes|no|on|off)$/i.test(value)) return REFUSED
    return { why: 'YAML 1.2 reads that as text' }
  })
}

export function wholeNumber({ from, to }: { from: number; to: number }): z.ZodType<number, unknown> {
  return leaf({ expected: `a whole number from ${from} to ${to}` }, (value) =>
    Number.isInteger(value) && (value as number) >= from && (value as number) <= to
      ? { value: value as number }
      : REFUSED,
  )
}

/** A whole number, or a word that stands for one. */
export function wholeNumberOr<const T extends string>(
  words: readonly T[],
  { from, to }: { from: number; to: number },
): z.ZodType<T | number, unknown> {
  return leaf({ expected: `${words.join(', ')} or a whole number from ${from} to ${to}` }, (value) => {
    const isNumber = Number.isInteger(value) && (value as number) >= from && (value as number) <= to
    return isNumber || words.includes(value as T) ? { value: value as T | number } : REFUSED
  })
}

/** A duration like `10m`, or a bare number of seconds. */
export function duration({ from, to }: { from: Seconds; to: Seconds }): z.ZodType<Seconds, unknown> {
  const range = `${showDuration(from)} to ${showDuration(to)}`
  return leaf({ expected: `a duration from ${range}, for example 10s, 5m or 1h30m` }, (value) => {
    const text = typeof value === 'number' ? String(value) : value
    const seconds = typeof text === 'string' ? parseDuration(text) : undefined
    if (seconds === undefined) return REFUSED
    return seconds >= from && seconds <= to ? { value: seconds } : REFUSED
  })
}

export function port(): z.ZodType<number, unknown> {
  return leaf({ expected: 'a port number from 1 to 65535, for example 5060' }, (value) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535
      ? { value: value as number }
      : REFUSED,
  )
}

export function interfaceName(): z.ZodType<string, unknown> {
  return leaf(
    { expected: 'the name of a network interface (at most 15 of A-Z a-z 0-9 . _ -), for example eth0' },
    (value) => {
      if (typeof value !== 'string' || !/^[A-Za-z0-9._][A-Za-z0-9._-]{0,14}$/.test(value)) return REFUSED
      if (value === '.' || value === '..') return REFUSED
      if (value === 'lo') return { why: 'the loopback interface is never filtered' }
      if (value === 'any')
        return { why: 'each interface must be named: no rule matches one that is called any' }
      return { value }
    },
  )
}

export function prefix(): z.ZodType<Prefix, unknown> {
  return leaf(
    { expected: 'an address or prefix, for example 192.0.2.7, 198.51.100.0/24 or 2001:db8::/48' },
    (value) => {
      const parsed = typeof value === 'string' ? parsePrefix(value) : undefined
      if (!parsed) return REFUSED
      // ipset's hash:net refuses /0, and nobody means it.
      if (splitPrefix(parsed).length === 0) return { why: 'a /0 holds the whole internet' }
      return { value: parsed }
    },
  )
}

/** `ADDRESS:PORT`, IPv6 in brackets. */
export function endpoint(): z.ZodType<Endpoint, unknown> {
  return leaf(
    { expected: "an address and a port in quotes, for example '127.0.0.1:8560' or '[::1]:8560'" },
    (value) => {
      if (typeof value !== 'string') return REFUSED
      const colon = value.lastIndexOf(':')
      const hostText = value.slice(0, Math.max(0, colon))
      if (isIPv6(value) && !hostText.startsWith('[')) {
        return { why: 'an IPv6 address needs brackets around it and a port behind them' }
      }
      const bracketed = /^\[([^[\]]*)\]$/.exec(hostText)?.[1]
      const host = bracketed === undefined ? parseAddress(hostText) : parseAddress(bracketed)
      const portText = value.slice(colon + 1)
      if (!host || !/^\d{1,5}$/.test(portText)) return REFUSED
      if ((bracketed !== undefined) !== hostText.includes(':')) return REFUSED
      const number = Number(portText)
      return number >= 1 && number <= 65_535 ? { value: { host, port: number } } : REFUSED
    },
  )
}

export function absolutePath({
  maxBytes = 4_000,
}: {
  readonly maxBytes?: number
} = {}): z.ZodType<string, unknown> {
  return leaf({ expected: 'an absolute path, for example /var/lib/ringfence' }, (value) => {
    if (typeof value !== 'string' || !value.startsWith('/') || /[\x00-\x1f\x7f]/.test(value)) return REFUSED
    if (Buffer.byteLength(value) > maxBytes) return { why: `it is longer than ${maxBytes} bytes` }
    return { value }
  })
}

/** Text of one line that fits a pattern. */
export function text({
  expected,
  pattern,
  secret = false,
}: {
  readonly expected: string
  readonly pattern: RegExp
  readonly secret?: boolean
}): z.ZodType<string, unknown> {
  return leaf({ expected, secret }, (value) => {
    if (typeof value === 'number' || typeof value === 'boolean') {
      // `user: 0100` is the number 100 to YAML; guessing it back would be wrong now and then.
      return { why: 'without quotes YAML does not read it as text' }
    }
    return typeof value === 'string' && pattern.test(value) ? { value } : REFUSED
  })
}

export function listed(words: readonly string[], joint: 'or' | 'and'): string {
  if (words.length < 2) return words.join('')
  return `${words.slice(0, -1).join(', ')} ${joint} ${words.at(-1)}`
}
