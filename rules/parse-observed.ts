import { normalElement } from './elements.ts'
import type { ObservedChains, ObservedElement, ObservedRule, ObservedSet } from './kernel.ts'
import { isOwnChain, isOwnSet, isStraySet } from './names.ts'
import { takeTurns } from './take-turns.ts'

/** Reads `iptables-save -c -t raw`. Rules of foreign chains other than PREROUTING and OUTPUT are passed over. */
export function parseChains(text: string): ObservedChains {
  const own = new Map<string, ObservedRule[]>()
  const builtIn = { PREROUTING: [] as ObservedRule[], OUTPUT: [] as ObservedRule[] }
  for (const line of text.split('\n')) {
    if (line.startsWith(':')) {
      const name = line.slice(1, line.indexOf(' '))
      if (isOwnChain(name)) own.set(name, [])
      continue
    }
    const match = /^\[(\d+):(\d+)\] (-A (\S+)(?: .*)?)$/.exec(line)
    if (!match) continue
    const rule = { text: match[3]!, packets: Number(match[1]), bytes: Number(match[2]) }
    const chain = match[4]!
    if (chain === 'PREROUTING' || chain === 'OUTPUT') builtIn[chain].push(rule)
    else own.get(chain)?.push(rule)
  }
  return { own, builtIn }
}

/** Reads `iptables-save` of all tables: the rules of others that name something of ours, with their tables. */
export function parseUsersOfOurs(text: string): readonly { readonly table: string; readonly rule: string }[] {
  const users: { readonly table: string; readonly rule: string }[] = []
  let table = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1)
    const chain = /^-A (\S+)/.exec(line)?.[1]
    if (chain === undefined || isOwnChain(chain)) continue
    if (namesOfOurs(line).length > 0) users.push({ table, rule: line })
  }
  return users
}

/** Own chains and sets that a rule names. */
export function namesOfOurs(rule: string): readonly string[] {
  // A comment or a log prefix may hold anything, in quotes.
  const words = rule.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(' ')
  return words.filter((word, i) => {
    const option = words[i - 1] ?? ''
    if (/^-[jg]$/.test(option)) return isOwnChain(word)
    return /^--(?:match|add|del|map)-set$/.test(option) && (isOwnSet(word) || isStraySet(word))
  })
}

/** What `ipset -` puts before the answer of a line. */
const PROMPT = /^(?:ipset> )+/

/**
 * Reads `ipset save` of some sets, as one `ipset -` writes it: the elements of each own set by its name. Gives others
 * their turn between thousands of lines.
 */
export async function parseElements(text: string): Promise<Map<string, Map<string, ObservedElement>>> {
  const sets = new Map<string, Map<string, ObservedElement>>()
  let name = ''
  let elements: Map<string, ObservedElement> | undefined
  for await (const lines of takeTurns(linesOf(text))) {
    for (const line of lines) {
      if (elements && line.startsWith('add ') && line.startsWith(name, 4)) {
        readElement(line, 4 + name.length, elements)
        continue
      }
      const [verb, created] = line.replace(PROMPT, '').split(' ', 2)
      if (verb !== 'create' || created === undefined || !isOwnSet(created)) continue
      name = `${created} `
      elements = new Map()
      sets.set(created, elements)
    }
  }
  return sets
}

/** Reads `ipset list -t`: own sets without their elements, and what was left of sets that were ours. */
export function parseSetHeaders(text: string): {
  readonly sets: ReadonlyMap<string, ObservedSet>
  readonly straySets: readonly string[]
} {
  const sets = new Map<string, ObservedSet>()
  const straySets: string[] = []
  for (const paragraph of text.split('\n\n')) {
    const fields = new Map<string, string>()
    for (const line of paragraph.split('\n')) {
      const colon = line.indexOf(': ')
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2))
    }
    const name = fields.get('Name')
    if (name !== undefined && isStraySet(name)) straySets.push(name)
    if (name === undefined || !isOwnSet(name)) continue
    sets.set(name, {
      form: normalForm([fields.get('Type') ?? '', ...(fields.get('Header') ?? '').split(' ')]),
      size: Number(fields.get('Number of entries') ?? 0),
      elements: undefined,
    })
  }
  return { sets, straySets }
}

/** Leaves out what the kernel chooses by itself, and what not every ipset prints. */
function normalForm(words: readonly string[]): string {
  const kept: string[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    if (word === 'hashsize' || word === 'bucketsize' || word === 'initval') i++
    else if (word !== 'forceadd' && word !== '') kept.push(word)
  }
  return kept.join(' ')
}

/** An element with its options, from `start` of the line on. */
function readElement(line: string, start: number, elements: Map<string, ObservedElement>): void {
  const end = line.indexOf(' ', start)
  const text = end < 0 ? line.slice(start) : line.slice(start, end)
  const options = end < 0 ? '' : line.slice(end)
  elements.set(normalElement(text), {
    timeout: readOption(options, ' timeout '),
    packets: readOption(options, ' packets '),
    bytes: readOption(options, ' bytes '),
  })
}

function readOption(options: string, name: string): number {
  const at = options.indexOf(name)
  return at < 0 ? 0 : Number.parseInt(options.slice(at + name.length, at + name.length + 20), 10)
}

function* linesOf(text: string): Generator<string> {
  let start = 0
  while (start < text.length) {
    const end = text.indexOf('\n', start)
    yield text.slice(start, end < 0 ? text.length : end)
    start = end < 0 ? text.length : end + 1
  }
}
