import {
  BACKSLASH,
  COMMA,
  consistsOf,
  EQUALS,
  isBlank,
  QUOTE,
  SEMICOLON,
  skipBlanks,
  TOKEN,
} from './characters.ts'
import { bad, type FieldFailure, type Parameters } from './field.ts'

/** Parameters of one value; more are refused as `too-many-parameters`. */
export const MOST_PARAMETERS = 64

export interface ParametersReading {
  readonly ok: true
  readonly parameters: Parameters
  /** Where the parameters end: at a comma or at the end of the text. */
  readonly end: number
}

/**
 * Reads `;name=value;name` from `at` to the comma or the end of the text (generic-param of RFC 3261 section 25.1),
 * in one pass. Empty parameters (`;;`) are passed over, as softswitches do; anything else that is no parameter is
 * the caller's `fault`.
 */
export function readParameters(
  text: string,
  at: number,
  fault: 'bad-address' | 'bad-via',
): ParametersReading | FieldFailure {
  const parameters = new Map<string, string>()
  at = skipBlanks(text, at)
  for (let count = 0; at < text.length && text.charCodeAt(at) !== COMMA; count++) {
    if (text.charCodeAt(at) !== SEMICOLON) return bad(fault)
    // Empty ones count too, so that a run of semicolons costs no more than it says.
    if (count === MOST_PARAMETERS) return bad('too-many-parameters')
    at = skipBlanks(text, at + 1)
    const nameStart = at
    while (at < text.length && isTokenAt(text, at)) at++
    const name = text.slice(nameStart, at).toLowerCase()
    at = skipBlanks(text, at)
    let value = ''
    if (text.charCodeAt(at) === EQUALS) {
      if (name === '') return bad(fault)
      at = skipBlanks(text, at + 1)
      if (text.charCodeAt(at) === QUOTE) {
        const end = endOfQuoted(text, at)
        if (end < 0) return bad(fault)
        value = unquote(text, at, end)
        at = end
      } else {
        const valueStart = at
        while (at < text.length && !endsValue(text.charCodeAt(at))) at++
        value = text.slice(valueStart, at)
      }
      at = skipBlanks(text, at)
    }
    if (name === '') continue
    if (parameters.has(name)) return bad('duplicate-parameter')
    parameters.set(name, value)
  }
  return { ok: true, parameters, end: at }
}

/** The index behind the closing quote of the quoted string that opens at `start`; -1 where it never closes. */
export function endOfQuoted(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) at++
  }
  return -1
}

/** The content of the quoted string from `start` to `end` (both quotes included), its escapes undone. */
export function unquote(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1)
  if (!inner.includes('\\')) return inner
  const parts: string[] = []
  let from = 0
  for (let at = inner.indexOf('\\'); at >= 0; at = inner.indexOf('\\', at + 2)) {
    parts.push(inner.slice(from, at))
    from = at + 1
  }
  parts.push(inner.slice(from))
  return parts.join('')
}

export function isToken(text: string): boolean {
  return consistsOf(TOKEN, text)
}

export function isTokenAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code < 256 && TOKEN[code] !== 0
}

function endsValue(code: number): boolean {
  return code === SEMICOLON || code === COMMA || code === QUOTE || isBlank(code)
}
