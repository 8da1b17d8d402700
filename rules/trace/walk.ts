import type { Address } from '../../registrar/net/address.ts'
import type { RenderedChains } from '../render-chains.ts'
import type { FoundElement } from './held-elements.ts'
import type { PacketView } from './packet-view.ts'
import {
  type AddTarget,
  type DestinationType,
  type LimitMatch,
  type Match,
  parseRule,
  type Rule,
  type Side,
} from './parse-rule.ts'
import { matchesU32 } from './u32.ts'

/** Chains whose rules are read: what a packet walks through. */
export type ReadChains = ReadonlyMap<string, readonly Rule[]>

/** What rules read and change besides the packet. */
export interface KernelMemory {
  /** How the host would take what is sent to an address; undefined where it is not for this host. */
  typeOf(address: Address): DestinationType | undefined
  /** Whether the route back to the packet's source leads to where it came in. */
  comesBack(view: PacketView): boolean
  find(set: string, sides: readonly Side[], view: PacketView): FoundElement | undefined
  add(target: AddTarget, view: PacketView): void
  spend(limit: LimitMatch, view: PacketView): 'under' | 'over' | 'full'
  /** How many connections the source has, with the one that this packet opens. */
  countConnections(view: PacketView, mask: number): number
}

export interface WalkedStep {
  readonly rule: Rule
  /** The elements by which its set matches held. */
  readonly found: readonly FoundElement[]
}

/** A limit that was asked and let the packet through. */
export interface PassedLimit {
  readonly rule: Rule
  readonly limit: LimitMatch
}

export interface Walk {
  readonly verdict: 'pass' | 'drop'
  /** Null where the packet ran off the end of a chain. */
  readonly decidedBy: Rule | null
  /** The table that took nothing new and so had the packet dropped. */
  readonly fullTable: string | null
  readonly steps: readonly WalkedStep[]
  readonly passed: readonly PassedLimit[]
}

/** Reads rendered chains. Throws an Error at a rule that it does not know, or at a jump to nowhere. */
export function readChains(rendered: RenderedChains): ReadChains {
  const chains = new Map([...rendered].map(([name, rules]) => [name as string, rules.map(parseRule)]))
  for (const { target, text } of [...chains.values()].flat()) {
    if ((target.kind === 'jump' || target.kind === 'goto') && !chains.has(target.chain)) {
      throw new Error(`the rule ${text} goes to a chain that is not there`)
    }
  }
  return chains
}

/** Walks a packet through chains, from the first rule of one of them on. */
export function walk(chains: ReadChains, start: string, view: PacketView, memory: KernelMemory): Walk {
  const steps: WalkedStep[] = []
  const passed: PassedLimit[] = []
  // Where a jump comes back to. A goto leaves no mark here, so what it ends goes back to the last jump.
  const callers: { readonly rules: readonly Rule[]; readonly at: number }[] = []
  let rules = chains.get(start)!
  let at = 0
  const end = (verdict: Walk['verdict'], decidedBy: Rule | null, fullTable: string | null): Walk => ({
    verdict,
    decidedBy,
    fullTable,
    steps,
    passed,
  })
  let returnedBy: Rule | null = null
  for (;;) {
    const rule = rules[at++]
    if (rule === undefined) {
      const caller = callers.pop()
      if (caller === undefined) return end('pass', returnedBy, null)
      ;({ rules, at } = caller)
      continue
    }
    const outcome = holds(rule, view, memory, passed)
    if (outcome === false) continue
    if (outcome !== undefined && 'fullTable' in outcome) {
      steps.push({ rule, found: [] })
      return end('drop', rule, outcome.fullTable)
    }
    steps.push({ rule, found: outcome })
    switch (rule.target.kind) {
      case 'drop':
        return end('drop', rule, null)
      case 'return':
        returnedBy = rule
        at = rules.length
        break
      case 'jump':
        callers.push({ rules, at })
        rules = chains.get(rule.target.chain)!
        at = 0
        break
      case 'goto':
        rules = chains.get(rule.target.chain)!
        at = 0
        break
      case 'add':
        memory.add(rule.target, view)
        break
      case 'none':
      case 'log':
        break
    }
  }
}

/** What a rule found, if all its matches hold. A limit is only asked when what stands before it held. */
function holds(
  rule: Rule,
  view: PacketView,
  memory: KernelMemory,
  passed: PassedLimit[],
): readonly FoundElement[] | { readonly fullTable: string } | false {
  let found: FoundElement[] | undefined
  for (const match of rule.matches) {
    if (match.kind === 'set') {
      const element = memory.find(match.set, match.sides, view)
      if ((element !== undefined) === match.negated) return false
      if (element !== undefined) {
        found ??= []
        found.push(element)
      }
    } else if (match.kind === 'limit') {
      const spent = memory.spend(match, view)
      if (spent === 'full') return { fullTable: match.table }
      const decides = rule.target.kind !== 'none' && rule.target.kind !== 'log'
      if (spent === 'under' && decides) passed.push({ rule, limit: match })
      if ((spent === 'over') !== ((match.side === 'above') !== match.negated)) return false
    } else if (isTrue(match, view, memory) === match.negated) {
      return false
    }
  }
  return found ?? NOTHING
}

const NOTHING: readonly FoundElement[] = []

function isTrue(
  match: Exclude<Match, { kind: 'set' | 'limit' }>,
  view: PacketView,
  memory: KernelMemory,
): boolean {
  switch (match.kind) {
    case 'arrives':
      return view.direction === 'in' && isInterface(match.interface, view.packet.interface)
    case 'leaves':
      return view.direction === 'out' && isInterface(match.interface, view.packet.interface)
    case 'protocol':
      return view.packet.protocol === match.protocol
    case 'source':
      return view.prefix('src', Number(match.prefix.slice(match.prefix.indexOf('/') + 1))) === match.prefix
    case 'ports': {
      const port = view.port(match.side)
      return port !== undefined && match.ports.has(port)
    }
    case 'destination':
      return match.types.some((type) => type === memory.typeOf(view.address('dst')))
    case 'u32':
      return matchesU32(match.tests, view.bytes)
    case 'length':
      return match.from <= view.bytes.length && view.bytes.length <= match.to
    case 'syn':
      return view.packet.syn
    case 'comes-back':
      return memory.comesBack(view)
    case 'connections':
      return memory.countConnections(view, match.mask) > match.above
  }
}

/** A name that ends with a plus stands for all that begin like it. */
function isInterface(pattern: string, name: string): boolean {
  return pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}
