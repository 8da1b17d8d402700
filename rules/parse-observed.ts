import { normalElement } from './elements.ts'
import type { ObservedChains, ObservedElement, ObservedRule, ObservedSet } from './kernel.ts'
import { isOwnChain, isOwnSet } from './names.ts'

/** Reads `iptables-save -c -t raw`. Rules of foreign chains other than PREROUTING are passed over. */
export function parseChains(text: string): ObservedChains {
  const own = new Map<string, ObservedRule[]>()
  const prerouting: ObservedRule[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith(':')) {
      const name = line.slice(1, line.indexOf(' '))
      if (isOwnChain(name)) own.set(name, [])
      continue
    }
    const match = /^\[(\d+):(\d+)\] (-A (\S+) .*)$/.exec(line)
    if (!match) continue
    const rule = { text: match[3]!, packets: Number(match[1]), bytes: Number(match[2]) }
    if (match[4] === 'PREROUTING') prerouting.push(rule)
    else own.get(match[4]!)?.push(rule)
  }
  return { own, prerouting }
}

/** Reads `ipset save`: own sets with their elements. */
export function parseSets(text: string): Map<string, ObservedSet> {
  const sets = new Map<string, { form: string; size: number; elements: Map<string, ObservedElement> }>()
  let start = 0
  while (start < text.length) {
    const end = text.indexOf('\n', start)
    const line = text.slice(start, end < 0 ? text.length : end)
    start = end < 0 ? text.length : end + 1
    const [verb, name, ...words] = line.split(' ')
    if (name === undefined || !isOwnSet(name)) continue
    if (verb === 'create') sets.set(name, { form: normalForm(words), size: 0, elements: new Map() })
    const set = sets.get(name)
    if (verb !== 'add' || !set) continue
    set.elements.set(normalElement(words[0]!), readElement(words))
    set.size++
  }
  return sets
}

/** Reads `ipset list -t`: own sets without their elements. */
export function parseSetHeaders(text: string): Map<string, ObservedSet> {
  const sets = new Map<string, ObservedSet>()
  for (const paragraph of text.split('\n\n')) {
    const fields = new Map<string, string>()
    for (const line of paragraph.split('\n')) {
      const colon = line.indexOf(': ')
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2))
    }
    const name = fields.get('Name')
    if (name === undefined || !isOwnSet(name)) continue
    sets.set(name, {
      form: normalForm([fields.get('Type') ?? '', ...(fields.get('Header') ?? '').split(' ')]),
      size: Number(fields.get('Number of entries') ?? 0),
      elements: undefined,
    })
  }
  return sets
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

function readElement(words: readonly string[]): ObservedElement {
  let timeout = 0
  let packets = 0
  let bytes = 0
  for (let i = 1; i + 1 < words.length; i += 2) {
    const value = Number(words[i + 1])
    if (words[i] === 'timeout') timeout = value
    else if (words[i] === 'packets') packets = value
    else if (words[i] === 'bytes') bytes = value
  }
  return { timeout, packets, bytes }
}
