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
import { LONGEST_TIMEOUT, type Until } from './elements.ts'
import type { ObservedElement, ObservedSet, ObservedState } from './kernel.ts'
import { isStraySet, purposeOf, type SetPurpose } from './names.ts'

interface ImaginedSet {
  readonly form: string
  readonly type: string
  readonly family: Family
  readonly maxElements: number
  /** In seconds, for elements that are added without one. */
  readonly timeout: number
  readonly isTimed: boolean
  readonly isCounted: boolean
  /** Whether a full set lets an old element go for a new one. */
  readonly makesRoom: boolean
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

  observe(purposes: readonly SetPurpose[]): Pick<ObservedState, 'sets' | 'straySets'> {
    const sets = new Map<string, ObservedSet>()
    for (const [name, set] of this.#sets) {
      const purpose = purposeOf(name)
      if (purpose === undefined) continue
      this.#expire(set)
      const elements = purposes.includes(purpose) ? this.#observeElements(set) : undefined
      sets.set(name, { form: set.form, size: set.elements.size, elements })
    }
    return { sets, straySets: [...this.#sets.keys()].filter(isStraySet) }
  }

  /** Runs one line. Gives why it is refused, in the words of ipset; undefined where it was taken. */
  run(line: string, isHeld: (name: string) => boolean): string | undefined {
    const words = line.split(' ').filter((word) => word !== '-exist')
    const [verb, name = ''] = words
    const set = this.#sets.get(name)
    if (verb === 'create') return this.#create(name, words.slice(2), set)
    if (verb === 'swap') return this.#swap(name, words[2] ?? '')
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
    const form = words
      .filter((word, i) => word !== 'forceadd' && word !== 'hashsize' && words[i - 1] !== 'hashsize')
      .join(' ')
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
      timeout: words.includes('timeout') ? Number(words[words.indexOf('timeout') + 1]) : 0,
      isTimed: words.includes('timeout'),
      isCounted: words.includes('counters'),
      makesRoom: words.includes('forceadd'),
      elements: new Map(),
    })
    return undefined
  }

  /** Two sets change their names; what chains mention stays a name. */
  #swap(one: string, other: string): string | undefined {
    const [first, second] = [this.#sets.get(one), this.#sets.get(other)]
    if (!first || !second) return 'The set with the given name does not exist'
    if (first.type !== second.type || first.family !== second.family) {
      return 'The sets cannot be swapped: their type does not match'
    }
    this.#sets.set(one, second)
    this.#sets.set(other, first)
    return undefined
  }

  #add(set: ImaginedSet, text: string, options: readonly string[]): string | undefined {
    const option = (name: string) => {
      const at = options.indexOf(name)
      return at < 0 ? undefined : Number(options[at + 1])
    }
    const [given, packets, bytes] = [option('timeout'), option('packets'), option('bytes')]
    if (given !== undefined && !set.isTimed) return 'The set does not support timeouts'
    if (given !== undefined && !(given >= 0 && given <= LONGEST_TIMEOUT / 1000)) {
      return `Syntax error: '${given}' is out of range 0-2147483`
    }
    if (packets !== undefined && !set.isCounted) return 'The set does not support counters'
    if (set.elements.size >= set.maxElements) this.#expire(set)
    const old = set.elements.get(text)
    const held = old && old.until > this.#clock() ? old : undefined
    if (!held && set.elements.size >= set.maxElements) {
      if (!set.makesRoom) return 'Hash is full, cannot add more elements'
      const [oldest] = set.elements.keys()
      set.elements.delete(oldest!)
    }
    const timeout = given ?? set.timeout
    set.elements.set(text, {
      until: timeout === 0 ? Number.POSITIVE_INFINITY : this.#clock() + timeout * 1000,
      packets: packets ?? held?.packets ?? 0,
      bytes: bytes ?? held?.bytes ?? 0,
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
