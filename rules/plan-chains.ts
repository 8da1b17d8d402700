import type { ObservedChains, ObservedRule } from './kernel.ts'
import { type BuiltInChain, CHAINS, isOwnChain, JUMPS } from './names.ts'
import type { RenderedChains } from './render-chains.ts'

export const NO_CHAINS: ObservedChains = { own: new Map(), builtIn: { PREROUTING: [], OUTPUT: [] } }

/** What is wrong with the chains of one family, in words; undefined where nothing is. */
export function describeChains(rendered: RenderedChains, observed: ObservedChains): string | undefined {
  const jumps = BUILT_IN.map((chain) => describeJump(chain, observed.builtIn[chain]))
  return describeOwn(rendered, observed) ?? jumps.find((wrong) => wrong !== undefined)
}

/**
 * One transaction: all own chains emptied and filled, so that there is no moment in which packets pass unseen; what is
 * right is left alone with its counters. A jump that is not in its place is taken out and put in at the front: the
 * rules of others stay as they are, in their order.
 */
export function renderRestore(rendered: RenderedChains, observed: ObservedChains): string {
  const isRight = describeOwn(rendered, observed) === undefined
  const strays = [...observed.own.keys()].filter((name) => !isWantedChain(name))
  return [
    '*raw',
    ...(isRight ? [] : CHAINS.map((name) => `:${name} - [0:0]`)),
    ...BUILT_IN.flatMap((chain) => {
      const rules = observed.builtIn[chain]
      if (describeJump(chain, rules) === undefined) return []
      return [...removeJumps(rules), JUMPS[chain].replace('-A', '-I')]
    }),
    ...(isRight ? [] : CHAINS.flatMap((name) => rendered.get(name) ?? [])),
    ...strays.map((name) => `-F ${name}`),
    ...strays.map((name) => `-X ${name}`),
    'COMMIT',
    '',
  ].join('\n')
}

/** The payload that takes the jumps and all own chains of one family away; undefined where none are there. */
export function renderRemoval(observed: ObservedChains): string | undefined {
  const lines = [...jumpRemovals(observed), ...chainRemovals(observed)]
  return lines.length === 0 ? undefined : renderLines(lines)
}

/** One transaction of these lines. */
export function renderLines(lines: readonly string[]): string {
  return ['*raw', ...lines, 'COMMIT', ''].join('\n')
}

/** The lines that take every rule away that leads from the chains of all to ours. */
export function jumpRemovals({ builtIn }: ObservedChains): readonly string[] {
  return BUILT_IN.flatMap((chain) => removeJumps(builtIn[chain]))
}

/** The lines that empty all own chains, and then remove them. */
export function chainRemovals({ own }: ObservedChains): readonly string[] {
  const names = [...own.keys()]
  return [...names.map((name) => `-F ${name}`), ...names.map((name) => `-X ${name}`)]
}

const BUILT_IN = Object.keys(JUMPS) as readonly BuiltInChain[]

function describeOwn(rendered: RenderedChains, { own }: ObservedChains): string | undefined {
  for (const name of CHAINS) {
    const rules = own.get(name)
    if (!rules) return `the chain ${name} was gone`
    const wanted = rendered.get(name) ?? []
    if (rules.length !== wanted.length || rules.some(({ text }, i) => !isSameRule(text, wanted[i]!))) {
      return `the rules of the chain ${name} were other ones`
    }
  }
  const stray = [...own.keys()].find((name) => !isWantedChain(name))
  return stray === undefined ? undefined : `the chain ${stray} of another version was there`
}

/** The kernel rounds a rate. What counts is the one that the table was created with, and that is part of its name. */
function isSameRule(observed: string, wanted: string): boolean {
  return observed === wanted || withoutRate(observed) === withoutRate(wanted)
}

function withoutRate(rule: string): string {
  return rule.replace(/(--hashlimit-(?:above|upto)) \S+/, '$1')
}

function describeJump(chain: BuiltInChain, rules: readonly ObservedRule[]): string | undefined {
  const jumps = rules.filter(({ text }) => isJump(text))
  if (jumps.length === 0) return `the jump from ${chain} was gone`
  if (jumps.length > 1 || jumps[0]!.text !== JUMPS[chain]) {
    return `the jump from ${chain} was not the one there should be`
  }
  // From OUTPUT we only watch, so whoever decides there before us takes nothing from us.
  if (chain === 'OUTPUT') return undefined
  const before = rules.slice(0, rules.indexOf(jumps[0]!)).find(({ text }) => mayDecide(text))
  if (!before) return undefined
  const decides = targetOf(before.text) === undefined ? 'may decide' : 'decides'
  return `a rule that ${decides} stood before the jump from ${chain}: ${before.text.slice(0, LONGEST_QUOTE)}`
}

const LONGEST_QUOTE = 120

/** Targets behind which the next rule is asked all the same. */
const GO_ON = new Set([
  'AUDIT',
  'CHECKSUM',
  'CLASSIFY',
  'CONNMARK',
  'CONNSECMARK',
  'CT',
  'DSCP',
  'HL',
  'LED',
  'LOG',
  'MARK',
  'NFLOG',
  'NOTRACK',
  'RATEEST',
  'SECMARK',
  'SET',
  'TCPMSS',
  'TCPOPTSTRIP',
  'TEE',
  'TOS',
  'TRACE',
  'TTL',
  'ULOG',
])

/**
 * Whether a packet may not come behind this rule. What a chain of somebody else does is not known. Nor is what a rule
 * without a target does: iptables prints one that only counts like that, and also what it cannot read of a rule that
 * nft made (a verdict map: `udp dport vmap { 5060 : accept }` is `-p udp`). Behind our jump both do what they did before.
 */
function mayDecide(rule: string): boolean {
  const target = targetOf(rule)
  return target === undefined || !GO_ON.has(target)
}

function targetOf(rule: string): string | undefined {
  // A comment or a log prefix may hold anything, in quotes.
  return / -[jg] (\S+)/.exec(rule.replaceAll(/"(?:[^"\\]|\\.)*"/g, ''))?.[1]
}

function removeJumps(rules: readonly ObservedRule[]): readonly string[] {
  return rules.filter(({ text }) => isJump(text)).map(({ text }) => text.replace('-A', '-D'))
}

function isWantedChain(name: string): boolean {
  return (CHAINS as readonly string[]).includes(name)
}

function isJump(rule: string): boolean {
  const target = / -[jg] (\S+)$/.exec(rule)?.[1]
  return target !== undefined && isOwnChain(target)
}
