import { type Prefix, parsePrefix } from '../../registrar/net/address.ts'
import type { Milliseconds, Seconds } from '../../registrar/net/time.ts'
import { parseU32, type U32Test } from './u32.ts'

export type Side = 'src' | 'dst'

/** What `-m addrtype` may ask about a destination: one of the host's own addresses, or one that it hears as well. */
export type DestinationType = (typeof DESTINATION_TYPES)[number]

const DESTINATION_TYPES = ['LOCAL', 'BROADCAST', 'MULTICAST', 'ANYCAST'] as const

/** What a rule asks of a packet. */
export type Match = (
  | { readonly kind: 'arrives' | 'leaves'; readonly interface: string }
  | { readonly kind: 'protocol'; readonly protocol: 'udp' | 'tcp' }
  | { readonly kind: 'source'; readonly prefix: Prefix }
  | { readonly kind: 'ports'; readonly side: Side; readonly ports: ReadonlySet<number> }
  | { readonly kind: 'destination'; readonly types: readonly DestinationType[] }
  | { readonly kind: 'set'; readonly set: string; readonly sides: readonly Side[] }
  | { readonly kind: 'u32'; readonly tests: readonly U32Test[] }
  | { readonly kind: 'length'; readonly from: number; readonly to: number }
  | { readonly kind: 'syn' }
  /** Whether the route back to the source leads to where the packet came in. */
  | { readonly kind: 'comes-back' }
  | LimitMatch
  | { readonly kind: 'connections'; readonly above: number; readonly mask: number }
) & { readonly negated: boolean }

/** A hashlimit match: whether a packet is above, or up to, the limit of its bucket. */
export interface LimitMatch {
  readonly kind: 'limit'
  readonly negated: boolean
  readonly side: 'above' | 'upto'
  /** So many tokens in so many milliseconds. */
  readonly tokens: number
  readonly per: Milliseconds
  readonly burst: number
  /** The table's name: rules of one name share their buckets. */
  readonly table: string
  /** What has a bucket: bits of the source address (null: all of them, 0: everybody), and whether the port counts. */
  readonly bits: number | null
  readonly byPort: boolean
  /** Buckets that the table holds at most; null where there is but one. */
  readonly most: number | null
  readonly expire: Milliseconds
}

export type Target =
  /** Counts the packet and goes on. */
  | { readonly kind: 'none' }
  | { readonly kind: 'return' | 'drop' }
  /** Shows the packet to whoever listens, and goes on. */
  | { readonly kind: 'log' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  | AddTarget

/** Has the kernel itself put the packet's source or destination into a set. */
export interface AddTarget {
  readonly kind: 'add'
  readonly set: string
  readonly sides: readonly Side[]
  readonly timeout: Seconds
  /** Whether an element that is there already gets the timeout anew. */
  readonly renews: boolean
}

export interface Rule {
  /** As `iptables-save` prints it. */
  readonly text: string
  readonly chain: string
  readonly matches: readonly Match[]
  readonly target: Target
}

/**
 * Reads a rule as `renderChains` writes it, and nothing else: what the tracer does not know it must not take for a
 * match that never holds. Throws an Error that names the rule and the word.
 */
export function parseRule(text: string): Rule {
  const words = new Words(text)
  words.expect('-A')
  const chain = words.next()
  const matches: Match[] = []
  while (!words.isAtEnd) {
    const negated = words.take('!')
    const word = words.next()
    if (!negated && (word === '-j' || word === '-g')) {
      const target = readTarget(words, word)
      if (!words.isAtEnd) words.refuse(words.next())
      return { text, chain, matches, target }
    }
    const match = word === '-m' ? readModule(words, negated) : readMatch(words, word, negated)
    if (match !== undefined) matches.push(match)
  }
  return { text, chain, matches, target: { kind: 'none' } }
}

function readMatch(words: Words, word: string, negated: boolean): Match {
  switch (word) {
    case '-i':
      return { kind: 'arrives', interface: words.next(), negated }
    case '-o':
      return { kind: 'leaves', interface: words.next(), negated }
    case '-p':
      return { kind: 'protocol', protocol: words.oneOf('udp', 'tcp'), negated }
    case '-s':
      return { kind: 'source', prefix: parsePrefix(words.next()) ?? words.refuse('-s'), negated }
    default:
      return words.refuse(word)
  }
}

/** Reads `-m NAME` with its options, among which `!` may stand. */
function readModule(words: Words, negatedBefore: boolean): Match {
  const name = words.next()
  if (negatedBefore) words.refuse(`! -m ${name}`)
  const negated = words.take('!')
  switch (name) {
    case 'multiport': {
      const side = words.oneOf('--dports', '--sports') === '--dports' ? 'dst' : 'src'
      return { kind: 'ports', side, ports: new Set(words.next().split(',').map(words.number)), negated }
    }
    case 'udp':
      words.expect('--dport')
      return { kind: 'ports', side: 'dst', ports: new Set([words.number(words.next())]), negated }
    case 'addrtype':
      words.expect('--dst-type')
      return { kind: 'destination', types: words.someOf(DESTINATION_TYPES), negated }
    case 'set':
      words.expect('--match-set')
      return { kind: 'set', set: words.next(), sides: readSides(words), negated }
    case 'u32': {
      words.expect('--u32')
      const expression = words.next()
      return { kind: 'u32', tests: parseU32(expression) ?? words.refuse(expression), negated }
    }
    case 'length': {
      words.expect('--length')
      const [from = Number.NaN, to = Number.NaN] = words.next().split(':').map(words.number)
      return { kind: 'length', from, to, negated }
    }
    case 'tcp':
      for (const word of ['--tcp-flags', 'FIN,SYN,RST,ACK', 'SYN']) words.expect(word)
      return { kind: 'syn', negated }
    case 'rpfilter':
      return { kind: 'comes-back', negated }
    case 'hashlimit':
      return { ...readLimit(words), negated }
    case 'connlimit': {
      words.expect('--connlimit-above')
      const above = words.number(words.next())
      words.expect('--connlimit-mask')
      const mask = words.number(words.next())
      words.expect('--connlimit-saddr')
      return { kind: 'connections', above, mask, negated }
    }
    default:
      return words.refuse(`-m ${name}`)
  }
}

function readSides(words: Words): readonly Side[] {
  const sides = words.oneOf('src', 'dst', 'src,src')
  return sides.split(',') as Side[]
}

const UNITS = { sec: 1_000, min: 60_000 } as const

function readLimit(words: Words): Omit<LimitMatch, 'negated'> {
  const side = words.oneOf('--hashlimit-above', '--hashlimit-upto') === '--hashlimit-above' ? 'above' : 'upto'
  const [tokens = '', unit = ''] = words.next().split('/')
  const per = UNITS[unit as keyof typeof UNITS] ?? words.refuse(`/${unit}`)
  words.expect('--hashlimit-burst')
  const burst = words.number(words.next())
  const mode = words.take('--hashlimit-mode') ? words.oneOf('srcip', 'srcip,srcport') : 'everybody'
  words.expect('--hashlimit-name')
  const table = words.next()
  let most: number | null = null
  if (words.take('--hashlimit-htable-size')) {
    const rows = words.number(words.next())
    words.expect('--hashlimit-htable-max')
    // The kernel makes a table at least as long as it has rows (htable_create in xt_hashlimit.c).
    most = Math.max(rows, words.number(words.next()))
  }
  words.expect('--hashlimit-htable-expire')
  const expire = words.number(words.next())
  const mask = words.take('--hashlimit-srcmask') ? words.number(words.next()) : null
  return {
    kind: 'limit',
    side,
    tokens: words.number(tokens),
    per,
    burst,
    table,
    bits: mode === 'everybody' ? 0 : mask,
    byPort: mode === 'srcip,srcport',
    most,
    expire,
  }
}

function readTarget(words: Words, how: '-j' | '-g'): Target {
  const name = words.next()
  if (how === '-g') return { kind: 'goto', chain: name }
  switch (name) {
    case 'RETURN':
      return { kind: 'return' }
    case 'DROP':
      return { kind: 'drop' }
    case 'NFLOG':
      for (const option of ['--nflog-prefix', '--nflog-group', '--nflog-size', '--nflog-threshold']) {
        words.expect(option)
        words.next()
      }
      return { kind: 'log' }
    case 'SET': {
      words.expect('--add-set')
      const set = words.next()
      const sides = readSides(words)
      const renews = words.take('--exist')
      words.expect('--timeout')
      return { kind: 'add', set, sides, timeout: words.number(words.next()), renews }
    }
    default:
      // Chains of ours are told from targets of the kernel by their name.
      return name.startsWith('RINGFENCE') ? { kind: 'jump', chain: name } : words.refuse(`-j ${name}`)
  }
}

/** The words of a rule, read one after the other. */
class Words {
  readonly #rule: string
  readonly #words: readonly string[]
  #at = 0

  constructor(rule: string) {
    this.#rule = rule
    this.#words = [...rule.matchAll(/"([^"]*)"|[^ "]+/g)].map(([word, quoted]) => quoted ?? word)
  }

  get isAtEnd(): boolean {
    return this.#at === this.#words.length
  }

  next(): string {
    return this.#words[this.#at++] ?? this.refuse('the end')
  }

  /** Steps over a word, if it is the next one. */
  take(word: string): boolean {
    if (this.#words[this.#at] !== word) return false
    this.#at++
    return true
  }

  expect(word: string): void {
    if (!this.take(word)) this.refuse(this.next())
  }

  oneOf<W extends string>(...words: readonly W[]): W {
    const word = this.next()
    return words.find((known) => known === word) ?? this.refuse(word)
  }

  someOf<W extends string>(words: readonly W[]): readonly W[] {
    return this.next()
      .split(',')
      .map((word) => words.find((known) => known === word) ?? this.refuse(word))
  }

  readonly number = (text: string): number => (/^\d{1,10}$/.test(text) ? Number(text) : this.refuse(text))

  refuse(what: string): never {
    throw new Error(`the tracer cannot read ${what} in the rule ${this.#rule}`)
  }
}
