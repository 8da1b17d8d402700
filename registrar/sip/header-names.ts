import { TOKEN } from './characters.ts'

/** The compact forms of RFC 3261 section 7.3.3 and of the extensions that IANA lists. */
const COMPACT_FORMS: Readonly<Record<string, string>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  n: 'identity-info',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
}

const LONG_BY_LETTER: readonly (string | undefined)[] = Array.from({ length: 256 }, (_, code) => {
  const letter = TOKEN[code]!
  return letter === 0 ? undefined : COMPACT_FORMS[String.fromCharCode(letter)]
})

const LONG_HASH_BY_LETTER: readonly (number | undefined)[] = LONG_BY_LETTER.map((name) =>
  name === undefined ? undefined : computeHash(name),
)

/** The long form of a one-letter header name, given as its byte. */
export function longForm(letter: number): string | undefined {
  return LONG_BY_LETTER[letter]
}

/** The hash under which a one-letter header name is kept: its long form's. */
export function longFormHash(letter: number): number | undefined {
  return LONG_HASH_BY_LETTER[letter]
}

/** Hashes made once, of the names that are asked for with every message. */
const KNOWN_HASHES: ReadonlyMap<string, number> = new Map(
  [...Object.values(COMPACT_FORMS), 'cseq', 'authorization', 'www-authenticate', 'expires', 'user-agent'].map(
    (name) => [name, computeHash(name)],
  ),
)

/** A 28-bit hash of a header name in lower case. Collisions cost a comparison, nothing else. */
export function hashHeaderName(name: string): number {
  return KNOWN_HASHES.get(name) ?? computeHash(name)
}

function computeHash(name: string): number {
  let hash = 0
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0
  return hash & 0x0fffffff
}
