/** `name=value` as somebody wrote it. */
export interface LooseParameter {
  /** In lower case. */
  readonly name: string
  readonly value: string
}

/** More than any header of credentials has. */
const MOST_PARAMETERS = 64
const [QUOTE, BACKSLASH, COMMA] = ['"', '\\', ',']

/**
 * The parameters of a header that is not as it should be: the scheme in front, names twice, no quotes, or no end to them.
 * In one walk, whatever is written. What follows an `=` inside quotes is no parameter.
 */
export function readLooseParameters(written: string): readonly LooseParameter[] {
  const found: LooseParameter[] = []
  let at = Math.max(0, written.search(/\s/))
  while (at < written.length && found.length < MOST_PARAMETERS) {
    const end = endOfParameter(written, at)
    const parameter = written.slice(at, end)
    const equals = parameter.indexOf('=')
    if (equals > 0) {
      const name = parameter.slice(0, equals).trim().toLowerCase()
      found.push({ name, value: unquoted(parameter.slice(equals + 1).trim()) })
    }
    at = end + 1
  }
  return found
}

/** The next comma that stands in no quotes. */
function endOfParameter(text: string, start: number): number {
  let isQuoted = false
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (char === QUOTE) isQuoted = !isQuoted
    else if (isQuoted && char === BACKSLASH) at++
    else if (!isQuoted && char === COMMA) return at
  }
  return text.length
}

function unquoted(value: string): string {
  if (!value.startsWith(QUOTE)) return value
  const end = value.lastIndexOf(QUOTE)
  return end > 0 ? value.slice(1, end) : value.slice(1)
}
