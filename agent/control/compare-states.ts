import type { ChainDiff, SomeOf } from '../../dashboard/api/what-if.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState, Limit, Limits } from '../../rules/desired-state.ts'
import { listElements } from '../../rules/elements.ts'
import { defineSets, purposeOf } from '../../rules/names.ts'
import { renderChains } from '../../rules/render-chains.ts'
import { diffLines } from './diff-lines.ts'

const FIRST_ELEMENTS = 20

/** What the kernel would hold otherwise under one desired state than under another. */
export interface StateDifference {
  /** As `limits.register: 5/s burst 10 → 7/s burst 14`. */
  readonly limits: readonly string[]
  /** Whether the buckets of changed limits see real traffic before they decide. */
  readonly warmed: boolean
  readonly chains: readonly ChainDiff[]
  readonly sets: readonly string[]
  readonly elements: { readonly added: SomeOf; readonly removed: SomeOf }
}

export function compareStates(
  before: DesiredState,
  after: DesiredState,
  now: EpochMilliseconds,
): StateDifference {
  return {
    limits: compareLimits(before, after),
    warmed: ([4, 6] as const).some((family) => isWarmed(before, after, family)),
    chains: ([4, 6] as const).flatMap((family) => compareChains(before, after, family)),
    sets: compareSets(before, after),
    elements: compareElements(before, after, now),
  }
}

export function isSameState({ limits, chains, sets, elements }: StateDifference): boolean {
  return limits.length + chains.length + sets.length + elements.added.count + elements.removed.count === 0
}

/** What the keys of the configuration are called, with how each is read out of the limits. */
const LIMIT_KEYS: readonly (readonly [key: string, of: (limits: Limits) => Limit])[] = [
  ['limits.register', ({ unknown }) => unknown.source],
  ['limits.prefix', ({ unknown }) => unknown.prefix],
  ['limits.total', ({ unknown }) => unknown.total],
  ['limits.strict.port', ({ strict }) => strict.port],
  ['limits.strict.source', ({ strict }) => strict.source],
  ['limits.strict.prefix', ({ strict }) => strict.prefix],
  ['limits.strict.total', ({ strict }) => strict.total],
  ['limits.proven', ({ proven }) => proven],
  ['limits.answered', ({ answered }) => answered],
  ['limits.returning', ({ returning }) => returning],
  ['limits.ignoring', ({ ignoring }) => ignoring],
  ['limits.sip', ({ sip }) => sip],
  ['limits.sip.prefix', ({ sip }) => sip.prefix],
  ['limits.sip.total', ({ sip }) => sip.total],
  ['limits.ceiling', ({ ceiling }) => ceiling],
  ['limits.rest', ({ rest }) => rest],
  ['limits.connections', ({ connections }) => connections.source],
  ['limits.connections.prefix', ({ connections }) => connections.prefix],
]

function compareLimits(before: DesiredState, after: DesiredState): readonly string[] {
  const changes = LIMIT_KEYS.map(([key, of]) =>
    change(key, showLimit(of(before.limits)), showLimit(of(after.limits))),
  )
  const most = ({ limits: { connections } }: DesiredState) =>
    connections.most === null ? 'not counted' : `${connections.most} at once`
  const sip = ({ limits }: DesiredState) => (limits.sip.enforced ? 'enforced' : 'only observed')
  const strict = ({ strictUntil }: DesiredState) => (strictUntil === null ? 'of peace' : 'strict')
  const names = [...new Set([...before.gateways, ...after.gateways].map(({ name }) => name))]
  const cps = ({ gateways }: DesiredState, name: string) => {
    const gateway = gateways.find((one) => one.name === name)
    return gateway ? showLimit(gateway.cps) : 'no gateway'
  }
  return [
    ...changes,
    change('limits.connections.most', most(before), most(after)),
    change('limits.sip.enforce', sip(before), sip(after)),
    change('the limits that decide', strict(before), strict(after)),
    ...names.map((name) => change(`gateway ${name}`, cps(before, name), cps(after, name))),
  ].filter((line) => line !== undefined)
}

function change(key: string, before: string, after: string): string | undefined {
  return before === after ? undefined : `${key}: ${before} → ${after}`
}

/** `5/s burst 10`, `6/min burst 6`. */
export function showLimit({ perSecond, burst }: Limit): string {
  const rate = Number.isInteger(perSecond) ? `${perSecond}/s` : `${Math.round(perSecond * 60)}/min`
  return `${rate} burst ${burst}`
}

/** Limits whose tables are new are counted beside the old ones first: that shows in the rules of the transition. */
function isWarmed(before: DesiredState, after: DesiredState, family: 4 | 6): boolean {
  const { limits, sizes, gateways } = after
  const present = renderChains(before, family)
  const transition = renderChains(before, family, { limits, sizes, gateways })
  return [...transition].some(([name, rules]) => rules.length !== (present.get(name)?.length ?? 0))
}

function compareChains(before: DesiredState, after: DesiredState, family: 4 | 6): readonly ChainDiff[] {
  const old = renderChains(before, family)
  const next = renderChains(after, family)
  return [...new Set([...old.keys(), ...next.keys()])].flatMap((chain) => {
    const { removed, added } = diffLines(old.get(chain) ?? [], next.get(chain) ?? [])
    return removed.length + added.length === 0 ? [] : [{ family, chain, removed, added }]
  })
}

/** Sets of one old and new size on one line. */
function compareSets(before: DesiredState, after: DesiredState): readonly string[] {
  const old = new Map(defineSets(before.sizes).map(({ name, maxElements }) => [name, maxElements]))
  const changed = new Map<string, string[]>()
  for (const { name, maxElements } of defineSets(after.sizes)) {
    if (old.get(name) === maxElements) continue
    const sizes = `${old.get(name)} → ${maxElements} elements`
    changed.set(sizes, [...(changed.get(sizes) ?? []), name])
  }
  return [...changed].map(([sizes, names]) => `${names.join(', ')}: ${sizes}`)
}

function compareElements(
  before: DesiredState,
  after: DesiredState,
  now: EpochMilliseconds,
): StateDifference['elements'] {
  const old = listElements(before)
  const next = listElements(after)
  // A prefix is shown in the list that it was put into, and not again in the one that is made from those.
  const standing = (elements: ReadonlyMap<string, number>, key: string) => (elements.get(key) ?? 0) > now
  const isShown = (key: string) => purposeOf(key) !== 'named'
  const added = [...next.keys()].filter((key) => isShown(key) && standing(next, key) && !standing(old, key))
  const removed = [...old.keys()].filter((key) => isShown(key) && standing(old, key) && !standing(next, key))
  const some = (keys: readonly string[]): SomeOf => ({
    count: keys.length,
    first: keys.slice(0, FIRST_ELEMENTS),
  })
  return { added: some(added), removed: some(removed) }
}
