/**
 * Small scanners for lines that somebody hostile may have had a hand in: every one of them looks at a character once
 * and never goes back, which a pattern can be made to do.
 */

/** A port number in decimal digits, 1 to 65535. */
export function readPort(text: string): number | undefined {
  if (text.length === 0 || text.length > 5 || !isMadeOf(text, isDigit)) return undefined
  const port = Number(text)
  return port >= 1 && port <= 65_535 ? port : undefined
}

export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function isLetter(code: number): boolean {
  return (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)
}

/** Whether every character of the text is one of these. */
export function isMadeOf(text: string, isAllowed: (code: number) => boolean): boolean {
  for (let i = 0; i < text.length; i++) if (!isAllowed(text.charCodeAt(i))) return false
  return true
}

/** A test for the characters of this text, letters and digits included. */
export function lettersDigitsAnd(others: string): (code: number) => boolean {
  const codes = new Set([...others].map((character) => character.charCodeAt(0)))
  return (code) => isDigit(code) || isLetter(code) || codes.has(code)
}
