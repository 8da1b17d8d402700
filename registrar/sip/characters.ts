/** Byte values that the SIP grammar gives a meaning (RFC 3261 section 25). */
export const NUL = 0x00
export const HT = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const SP = 0x20
export const QUOTE = 0x22
export const COMMA = 0x2c
export const COLON = 0x3a
export const SEMICOLON = 0x3b
export const LESS = 0x3c
export const EQUALS = 0x3d
export const BACKSLASH = 0x5c

/** For each byte: 0 where it may not stand in a token, else the byte in lower case (RFC 3261 section 25.1). */
export const TOKEN: Uint8Array = tableOf("-.!%*_+`'~")

/** Like `TOKEN`, for the letters, digits, dots, hyphens and (seen in the field) underscores of a host name. */
export const HOST: Uint8Array = tableOf('-._')

export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

export function isBlank(code: number): boolean {
  return code === SP || code === HT
}

/** Whether every character of a text is in a table; the empty text is not. */
export function consistsOf(table: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 255 || table[code] === 0) return false
  }
  return text.length > 0
}

/** Reads 1 to `digits` decimal digits and nothing else. */
export function readDigits(text: string, digits: number): number | undefined {
  if (text.length === 0 || text.length > digits) return undefined
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (!isDigit(code)) return undefined
    value = value * 10 + (code - 0x30)
  }
  return value
}

/** The first index from `at` on that holds no blank. */
export function skipBlanks(text: string, at: number): number {
  while (at < text.length && isBlank(text.charCodeAt(at))) at++
  return at
}

function tableOf(marks: string): Uint8Array {
  const table = new Uint8Array(256)
  for (let code = 0x30; code <= 0x39; code++) table[code] = code
  for (let code = 0x61; code <= 0x7a; code++) {
    table[code] = code
    table[code - 0x20] = code
  }
  for (const mark of marks) table[mark.charCodeAt(0)] = mark.charCodeAt(0)
  return table
}
