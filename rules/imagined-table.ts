import type { ObservedChains, RefusedLine } from './kernel.ts'
import { isOwnChain } from './names.ts'
import { namesOfOurs } from './parse-observed.ts'

type Chains = Map<string, string[]>

/** The table raw of one family of an imagined kernel: a small `iptables-restore --noflush`. */
export class ImaginedTable {
  #chains: Chains = new Map([
    ['PREROUTING', []],
    ['OUTPUT', []],
  ])
  readonly #hasSet: (name: string) => boolean

  constructor(hasSet: (name: string) => boolean) {
    this.#hasSet = hasSet
  }

  observe(): ObservedChains {
    const observed = (rules: readonly string[]) => rules.map((text) => ({ text, packets: 0, bytes: 0 }))
    return {
      own: new Map(
        [...this.#chains]
          .filter(([name]) => isOwnChain(name))
          .map(([name, rules]) => [name, observed(rules)]),
      ),
      builtIn: {
        PREROUTING: observed(this.#chains.get('PREROUTING') ?? []),
        OUTPUT: observed(this.#chains.get('OUTPUT') ?? []),
      },
    }
  }

  /** Rules of others that name something of ours. */
  usersOfOurs(): readonly string[] {
    return [...this.#chains]
      .filter(([name]) => !isOwnChain(name))
      .flatMap(([, rules]) => rules.filter((rule) => namesOfOurs(rule).length > 0))
  }

  mentionsSet(name: string): boolean {
    return [...this.#chains.values()].some((rules) => rules.some((rule) => setsOf(rule).includes(name)))
  }

  /** Takes all of the payload or nothing. Gives the line that is to blame and why. */
  restore(text: string): RefusedLine | undefined {
    const chains: Chains = new Map([...this.#chains].map(([name, rules]) => [name, [...rules]]))
    const lines = text.split('\n')
    if (lines[0] !== '*raw' || lines.at(-2) !== 'COMMIT')
      return { line: lines[0] ?? '', message: 'no COMMIT' }
    for (const line of lines.slice(1, -2)) {
      const message = runLine(chains, line)
      if (message !== undefined) return { line, message }
    }
    for (const rule of [...chains.values()].flat()) {
      const message = this.#findDangling(chains, rule)
      if (message !== undefined) return { line: rule, message }
    }
    this.#chains = chains
    return undefined
  }

  #findDangling(chains: Chains, rule: string): string | undefined {
    const target = targetOf(rule)
    if (target !== undefined && !TARGETS.has(target) && !chains.has(target)) return `no chain ${target}`
    const missing = setsOf(rule).find((name) => !this.#hasSet(name))
    return missing === undefined ? undefined : `Set ${missing} doesn't exist.`
  }
}

const TARGETS = new Set(['RETURN', 'DROP', 'ACCEPT', 'SET', 'NFLOG', 'NOTRACK', 'CT'])

function runLine(chains: Chains, line: string): string | undefined {
  if (line.startsWith(':')) {
    chains.set(line.slice(1, line.indexOf(' ')), [])
    return undefined
  }
  const [verb, name = ''] = line.split(' ')
  const rules = chains.get(name)
  if (!rules) return `no chain ${name}`
  switch (verb) {
    case '-A':
      rules.push(line)
      return undefined
    case '-I':
      rules.unshift(line.replace('-I', '-A'))
      return undefined
    case '-D': {
      const at = rules.indexOf(line.replace('-D', '-A'))
      if (at < 0) return 'no such rule'
      rules.splice(at, 1)
      return undefined
    }
    case '-F':
      rules.length = 0
      return undefined
    case '-X':
      if (rules.length > 0) return `the chain ${name} is not empty`
      if ([...chains.values()].some((others) => others.some((rule) => targetOf(rule) === name))) {
        return `the chain ${name} is in use`
      }
      chains.delete(name)
      return undefined
    default:
      return `unknown command ${verb}`
  }
}

function targetOf(rule: string): string | undefined {
  return / -[jg] (\S+)/.exec(rule)?.[1]
}

function setsOf(rule: string): readonly string[] {
  return [...rule.matchAll(/--(?:match|add|del)-set (\S+)/g)].map((match) => match[1]!)
}
