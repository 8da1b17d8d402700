import {
  type Family,
  familyOf,
  parseAddress,
  parsePrefix,
  prefixOf,
  showPrefix,
  splitPrefix,
} from '../registrar/net/address.ts'
import type { Clock } from '../registrar/net/time.ts'
import type { Until } from './elements.ts'
import type { ObservedElement, ObservedSet } from './kernel.ts'

interface ImaginedSet {
  readonly form: string
  readonly type: string
  readonly family: Family
  readonly maxElements: number
  readonly isTimed: boolean
  readonly elements: Map<string, { until: Until; packets: number; bytes: number }>
}

/** The sets of an imagined kernel: a small `ipset` that reads the same lines. */
export class ImaginedSets {
  readonly #sets = new Map<string, ImaginedSet>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has(name: string): boolean {
    return this.#sets.has(name)
  }

  observe(withElements: boolean): Map<string, ObservedSet> {
    return new Map(
      [...this.#sets].map(([name, set]) => {
        this.#expire(set)
        const elements = withElements ? this.#observeElements(set) : undefined
        return [name, { form: set.form, size: set.elements.size, elements }]
      }),
    )
  }

  /** Runs one line. Gives why it is refused, in the words of ipset; undefined where it was taken. */
  run(line: string, isHeld: (name: string) => boolean): string | undefined {
    const words = line.split(' ').filter((word) => word !== '-exist')
    const [verb, name = ''] = words
    const set = this.#sets.get(name)
    if (verb === 'create')
      return this.#create(
        name,
        words.slice(2).filter((word) => word !== 'forceadd'),
        set,
      )
    if (verb === 'destroy') {
      if (set && isHeld(name)) return 'Set cannot be destroyed: it is in use by a kernel component'
      this.#sets.delete(name)
      return undefined
    }
    if (verb !== 'add' && verb !== 'del' && verb !== 'flush') return `Unknown command ${verb}`
    if (!set) return 'The set with the given name does not exist'
    if (verb === 'flush') {
      set.elements.clear()
      return undefined
    }
    const element = readElement(words[2] ?? '', set)
    if ('refusal' in element) return element.refusal
    if (verb === 'del') set.elements.delete(element.text)
    else return this.#add(set, element.text, words.slice(3))
    return undefined
  }

  #create(name: string, words: readonly string[], existing: ImaginedSet | undefined): string | undefined {
    const form = words.join(' ')
    if (existing) {
      return existing.form === form
        ? undefined
        : 'Set cannot be created: set with the same name already exists'
    }
    const [type = ''] = words
    if (!['hash:net', 'hash:ip', 'hash:ip,port'].includes(type))
      return `Syntax error: unknown settype ${type}`
    if (name.length > 31) return `Syntax error: setname '${name}' is longer than 31 characters`
    this.#sets.set(name, {
      form,
      type,
      family: words.includes('inet6') ? 6 : 4,
      maxElements: Number(words[words.indexOf('maxelem') + 1] ?? 65_536),
      isTimed: words.includes('timeout'),
      elements: new Map(),
    })
    return undefined
  }

  #add(set: ImaginedSet, text: string, options: readonly string[]): string | undefined {
    const given = options[0] === 'timeout' ? Number(options[1]) : undefined
    if (given !== undefined && !set.isTimed) return 'The set does not support timeouts'
    if (given !== undefined && !(given >= 0 && given <= 2_147_483)) {
      return `Syntax error: '${options[1]}' is out of range 0-2147483`
    }
    if (set.elements.size >= set.maxElements) this.#expire(set)
    const old = set.elements.get(text)
    const held = old && old.until > this.#clock() ? old : undefined
    if (!held && set.elements.size >= set.maxElements) return 'Hash is full, cannot add more elements'
    set.elements.set(text, {
      until: given === undefined || given === 0 ? Number.POSITIVE_INFINITY : this.#clock() + given * 1000,
      packets: held?.packets ?? 0,
      bytes: held?.bytes ?? 0,
    })
    return undefined
  }

  #expire(set: ImaginedSet): void {
    const now = this.#clock()
    for (const [text, { until }] of set.elements) if (until <= now) set.elements.delete(text)
  }

  #observeElements(set: ImaginedSet): Map<string, ObservedElement> {
    const now = this.#clock()
    const remaining = (until: Until) =>
      until === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.floor((until - now) / 1000))
    return new Map(
      [...set.elements].map(([text, { until, packets, bytes }]) => [
        text,
        { timeout: remaining(until), packets, bytes },
      ]),
    )
  }
}

function readElement(text: string, set: ImaginedSet): { text: string } | { refusal: string } {
  const unreadable = {
    refusal: `Syntax error: cannot parse ${text}: resolving to IPv${set.family} address failed`,
  }
  if (set.type === 'hash:ip,port') {
    const match = /^(.+),(udp|tcp):(\d+)$/.exec(text)
    const address = match && parseAddress(match[1]!)
    if (!address || familyOf(address) !== set.family || Number(match[3]) > 65_535) return unreadable
    return { text: `${address},${match[2]}:${match[3]}` }
  }
  const prefix = parsePrefix(text)
  if (!prefix || familyOf(prefix) !== set.family) return unreadable
  const { address, length } = splitPrefix(prefix)
  if (length === 0) return { refusal: 'The value of the CIDR parameter of the IP address is invalid' }
  return { text: showPrefix(prefixOf(address, length)) }
}
