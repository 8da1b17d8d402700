import type { ObservedChains } from './kernel.ts'
import { CHAINS, JUMP } from './names.ts'
import type { RenderedChains } from './render-chains.ts'

export const NO_CHAINS: ObservedChains = { own: new Map(), prerouting: [] }

/** The payload that brings the chains of one family into the desired form; undefined where they are in it. */
export function planChains(rendered: RenderedChains, observed: ObservedChains): string | undefined {
  if (describeChains(rendered, observed) === undefined) return undefined
  return renderRestore(rendered, observed)
}

/** What is wrong with the chains of one family, in words; undefined where nothing is. */
export function describeChains(rendered: RenderedChains, observed: ObservedChains): string | undefined {
  const jumps = observed.prerouting.filter(({ text }) => isJump(text))
  for (const name of CHAINS) {
    const rules = observed.own.get(name)
    if (!rules) return `the chain ${name} was gone`
    const wanted = rendered.get(name) ?? []
    if (rules.length !== wanted.length || rules.some(({ text }, i) => text !== wanted[i])) {
      return `the rules of the chain ${name} were other ones`
    }
  }
  if (jumps.length === 0) return 'the jump from PREROUTING was gone'
  if (jumps.length > 1 || jumps[0]!.text !== JUMP)
    return 'the jump from PREROUTING was not the one there should be'
  const stray = [...observed.own.keys()].find((name) => !isWantedChain(name))
  return stray === undefined ? undefined : `the chain ${stray} of another version was there`
}

/**
 * One transaction: all own chains emptied and filled, the jump left alone where it is the right one, so that
 * there is no moment in which packets pass unseen.
 */
export function renderRestore(rendered: RenderedChains, observed: ObservedChains): string {
  const strays = [...observed.own.keys()].filter((name) => !isWantedChain(name))
  const jumps = observed.prerouting.filter(({ text }) => isJump(text))
  const right = jumps.length === 1 && jumps[0]!.text === JUMP
  return [
    '*raw',
    ...CHAINS.map((name) => `:${name} - [0:0]`),
    ...(right ? [] : [...jumps.map(({ text }) => text.replace('-A', '-D')), JUMP.replace('-A', '-I')]),
    ...CHAINS.flatMap((name) => rendered.get(name) ?? []),
    ...strays.map((name) => `-F ${name}`),
    ...strays.map((name) => `-X ${name}`),
    'COMMIT',
    '',
  ].join('\n')
}

/** The payload that takes the jump and all own chains of one family away; undefined where none are there. */
export function renderRemoval(observed: ObservedChains): string | undefined {
  const jumps = observed.prerouting.filter(({ text }) => isJump(text))
  const names = [...observed.own.keys()]
  if (jumps.length + names.length === 0) return undefined
  return [
    '*raw',
    ...jumps.map(({ text }) => text.replace('-A', '-D')),
    ...names.map((name) => `-F ${name}`),
    ...names.map((name) => `-X ${name}`),
    'COMMIT',
    '',
  ].join('\n')
}

function isWantedChain(name: string): boolean {
  return (CHAINS as readonly string[]).includes(name)
}

function isJump(rule: string): boolean {
  return / -[jg] RINGFENCE(-\S+)?$/.test(rule)
}
