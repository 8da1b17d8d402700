import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StandingDecisions } from '../../../agent/decide/standing-decisions.ts'
import type { Decision, DecisionTarget } from '../../../agent/journal/entries.ts'
import {
  type Address,
  type Prefix,
  parsePrefix,
  prefixContains,
  prefixOfAddress,
  type Source,
  sourcePrefixOf,
} from '../../../registrar/net/address.ts'
import { checkDesiredState } from '../../../rules/check-desired-state.ts'
import type { Block, InParts } from '../../../rules/desired-state.ts'
import { WantedElements } from '../../../rules/wanted-elements.ts'
import { desired } from '../../rules/desired.ts'

const NOW = 1_800_000_000_000
let ids = 0

function decision(target: DecisionTarget, parts: Partial<Decision> = {}): Decision {
  return {
    id: ++ids,
    kind: 'block',
    target,
    scope: 'sip',
    since: NOW,
    until: NOW + 600_000,
    by: 'operator',
    who: 'a',
    grade: null,
    reason: '',
    evidence: {},
    endedAt: null,
    endedBy: null,
    ...parts,
  }
}

const on = (text: string): DecisionTarget => ({ kind: 'prefix', prefix: parsePrefix(text)! })
const numbered = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`

describe('one more among many', () => {
  const standing = new StandingDecisions({ clock: () => NOW })
  for (let i = 0; i < 20_000; i++) {
    standing.put(decision(on(numbered(i))))
    const target = { kind: 'source', address: numbered(i) as Address, port: 5060 } as const
    standing.put(decision(target, { kind: 'suspend', by: 'failures', who: null }))
  }
  const changedParts = <T>(before: InParts<T>, after: InParts<T>) =>
    after.filter((part, i) => part !== before[i]).length

  it.each([
    ['an order', decision(on('192.0.2.1'))],
    ['a block of a verdict', decision(on('192.0.2.2'), { by: 'failures', grade: 'path' })],
  ])('%s changes one part of the list, and so does its end', (_what, one) => {
    const suspensions = standing.suspensions()
    const before = standing.blocks()
    standing.put(one)
    const after = standing.blocks()
    expect(changedParts(before, after)).toBe(1)
    standing.delete(one)
    expect(changedParts(after, standing.blocks())).toBe(1)
    expect(standing.suspensions()).toBe(suspensions)
  })

  it('suspension changes one part of its list', () => {
    const [blocks, before] = [standing.blocks(), standing.suspensions()]
    const target = { kind: 'source', address: '192.0.2.3' as Address, port: 5060 } as const
    standing.put(decision(target, { kind: 'suspend', by: 'failures' }))
    expect(changedParts(before, standing.suspensions())).toBe(1)
    expect(standing.blocks()).toBe(blocks)
  })

  it('reaches the wanted elements, and is the only thing that does', () => {
    const state = () => desired({ blocks: standing.blocks(), suspensions: standing.suspensions() })
    const wanted = new WantedElements()
    const before = state()
    wanted.replace(before)
    standing.put(decision(on('192.0.2.4')))
    const after = state()
    expect([...wanted.replace(after)]).toEqual(['rf-named4 192.0.2.4', 'rf-deny4 192.0.2.4'])
    standing.put(decision({ kind: 'prefix', prefix: '0.0.0.0/0' as Prefix }))
    expect(checkDesiredState(state(), after)).toHaveLength(1)
    standing.delete(decision({ kind: 'prefix', prefix: '0.0.0.0/0' as Prefix }))
    standing.delete(decision(on('192.0.2.4')))
    expect([...wanted.replace(state())]).toEqual(['rf-named4 192.0.2.4', 'rf-deny4 192.0.2.4'])
    expect((standing.blocks().flat() as Block[]).length).toBe(20_000)
  })
})

const TARGETS: readonly DecisionTarget[] = [
  ...[
    '192.0.2.0/24',
    '192.0.2.1',
    '192.0.2.2',
    '2001:db8::/48',
    '2001:db8::/64',
    '2001:db8::1',
    '2001:db8::/96',
  ].map(on),
  ...['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'].flatMap((address) =>
    [5060, 5061].map((port) => ({ kind: 'source', address: address as Address, port }) as const),
  ),
]

it('finds what stands on a target and about an address as a look at all of it does', () => {
  const some = fc.array(
    fc.record({
      target: fc.constantFrom(...TARGETS),
      kind: fc.constantFrom('block', 'suspend'),
      scope: fc.constantFrom('register', 'sip'),
      by: fc.constantFrom('operator', 'failures'),
      stays: fc.boolean(),
    }),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(some, (list) => {
      const standing = new StandingDecisions({ clock: () => NOW })
      for (const { target, stays, ...rest } of list) {
        const one = decision(target, rest)
        standing.put(one)
        if (!stays) standing.delete(one)
      }
      const all = standing.oldestFirst()
      const isMeant = (target: Prefix | Source, { target: held }: Decision) => {
        if (typeof target !== 'string')
          return held.kind === 'source' && held.address === target.address && held.port === target.port
        if (held.kind === 'prefix') return held.prefix === target
        return sourcePrefixOf(held.address) === target || prefixOfAddress(held.address) === target
      }
      for (const target of TARGETS) {
        const meant = target.kind === 'prefix' ? target.prefix : target
        expect(standing.on(meant)).toEqual(all.filter((one) => isMeant(meant, one)))
        if (target.kind === 'prefix') continue
        expect(standing.about(target.address)).toEqual(
          all.filter(({ target: held }) =>
            held.kind === 'prefix'
              ? prefixContains(held.prefix, target.address)
              : held.address === target.address,
          ),
        )
      }
    }),
  )
})
