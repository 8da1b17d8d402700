import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Block, DesiredState } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { WRITTEN_SETS } from '../../rules/names.ts'
import { address, block, denied, desired, gateway, prefix, proven, sizes, suspension } from './desired.ts'
import { FaultyKernel } from './faulty-kernel.ts'

/*
 * Who is proven and not in the set `named` is asked nothing else. So whatever a rule before the proven names has to be in
 * it first: at every line that the kernel is given, and whenever the chains are. Suspensions are asked for themselves.
 */

const START = Date.UTC(2026, 0, 1)
const NAMING = /^rf-(?:allow|deny|gw)([46])(-new)?$/

/** Follows what the kernel is given, line by line, and notes where somebody was blocked who might take the short way. */
class Watched extends FaultyKernel {
  readonly wrong: string[] = []
  readonly #sets = new Map<string, Set<string>>()

  constructor() {
    super(Date.now)
    this.refuse = (line) => {
      this.#follow(line)
      return undefined
    }
  }

  override async applyChains(family: 4 | 6, text: string): Promise<void> {
    if (text.includes('rf-named')) for (const name of this.#sets.keys()) this.#look(name, 'the chains')
    return super.applyChains(family, text)
  }

  elementsOf(name: string): ReadonlySet<string> {
    return this.#sets.get(name) ?? new Set()
  }

  /** Elements of the sets that name somebody, as `named` should have them. */
  namedBy(family: 4 | 6): ReadonlySet<string> {
    const naming = [...this.#sets].filter(([name]) => NAMING.exec(name)?.[1] === String(family))
    return new Set(naming.flatMap(([, elements]) => [...elements].map(addressOf)))
  }

  #follow(line: string): void {
    const [verb, name = '', element = ''] = line.split(' ')
    const set = this.#sets.get(name) ?? new Set()
    if (verb === 'create') this.#sets.set(name, set)
    if (verb === 'destroy') this.#sets.delete(name)
    if (verb === 'add') set.add(element)
    if (verb === 'del') set.delete(element)
    if (verb === 'swap') {
      this.#sets.set(name, this.#sets.get(element)!)
      this.#sets.set(element, set)
      this.#look(element, line)
    }
    const family = NAMING.exec(name)
    if (verb !== 'add' || !family || family[2]) return
    if (!this.elementsOf(`rf-named${family[1]}`).has(addressOf(element))) this.wrong.push(line)
  }

  #look(name: string, at: string): void {
    const family = NAMING.exec(name)
    if (!family || family[2]) return
    const named = this.elementsOf(`rf-named${family[1]}`)
    for (const element of this.elementsOf(name)) {
      if (!named.has(addressOf(element))) this.wrong.push(`${at}: ${name} ${element}`)
    }
  }
}

function addressOf(element: string): string {
  return element.split(',', 1)[0]!
}

let kernel: Watched
let engine: RulesEngine

beforeEach(() => {
  vi.useFakeTimers({
    now: START,
    toFake: ['Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
  })
  kernel = new Watched()
  engine = new RulesEngine({ kernel, clock: Date.now })
})
afterEach(async () => {
  await engine.close()
  vi.useRealTimers()
})

const LATER = START + 3_600_000
const MEMBERS = [[proven('192.0.2.1', 5060, LATER), proven('2001:db8::1', 5060, LATER)]]
const many = (from: number, amount: number): readonly Block[] =>
  Array.from({ length: amount }, (_, i) =>
    denied(`10.${(from + i) >> 16}.${((from + i) >> 8) & 255}.${(from + i) & 255}`),
  )

const EVERYBODY: Partial<DesiredState> = {
  allow: [prefix('192.0.2.0/28'), prefix('::/0')],
  gateways: [gateway('trunk', ['192.0.2.0/24', '2001:db8::/48'])],
  blocks: [
    denied('192.0.2.1', LATER),
    denied('2001:db8::/64'),
    block('192.0.2.7'),
    block('192.0.2.8', 'register'),
  ],
  suspensions: [
    suspension('192.0.2.1', 5060, LATER),
    suspension('2001:db8::1', 5060, LATER),
    suspension('192.0.2.9', 0, LATER),
  ],
  members: MEMBERS,
}

test.each<[string, readonly Partial<DesiredState>[]]>([
  ['all of it at once', [EVERYBODY]],
  [
    'one after the other',
    Object.entries(EVERYBODY).map(([key, value]) => ({ members: MEMBERS, [key]: value })),
  ],
  [
    'named twice, and then once',
    [EVERYBODY, { ...EVERYBODY, allow: [], gateways: [] }, EVERYBODY, { members: MEMBERS }],
  ],
  [
    'spared, and then not',
    [{ blocks: [block('192.0.2.1')] }, { blocks: [denied('192.0.2.1')] }, { blocks: [block('192.0.2.1')] }],
  ],
  ['more than goes at once', [{ blocks: many(0, 12_000) }, { blocks: many(6_000, 12_000) }]],
  [
    'so many that a set is built aside',
    [{ members: MEMBERS }, { blocks: many(0, 25_000) }, { blocks: many(24_000, 25_000) }],
  ],
  ['other sizes', [EVERYBODY, { ...EVERYBODY, sizes: sizes({ elements: 4_096 }) }]],
])('whoever is named is so before: %s', async (_name, states) => {
  for (const state of states) {
    engine.setDesired(desired(state))
    await engine.settled()
    expect(engine.status().state).toBe('applied')
    for (const family of [4, 6] as const) {
      expect(new Set(kernel.elementsOf(`rf-named${family}`))).toEqual(kernel.namedBy(family))
    }
  }
  expect(kernel.wrong).toEqual([])
})

test('what changes while lines are on their way', async () => {
  for (let i = 0; i < 40; i++) {
    engine.setDesired(
      desired(i % 3 === 0 ? { blocks: many(i * 40, 150) } : i % 3 === 1 ? EVERYBODY : { members: MEMBERS }),
    )
    await new Promise((resolve) => setImmediate(resolve))
  }
  engine.setDesired(desired(EVERYBODY))
  await engine.settled()
  expect(kernel.wrong).toEqual([])
  expect([...kernel.elementsOf('rf-named4')].sort()).toEqual(['192.0.2.0/24', '192.0.2.0/28', '192.0.2.1'])
  expect([...kernel.elementsOf('rf-named6')].sort()).toEqual(
    ['2001:db8::/48', '2001:db8::/64', '8000::/1', '::/1'].sort(),
  )
})

test('chains of a version without the short way get it only when everybody is named', async () => {
  engine.setDesired(desired(EVERYBODY))
  await engine.settled()
  const [before] = [kernel.lines.length]
  await engine.close()
  // As another version left it: its chains know no such set, and blocks and proven ports are there.
  for (const family of [4, 6] as const) {
    await kernel.foreign(family, '-F RINGFENCE')
    for (const element of kernel.elementsOf(`rf-named${family}`)) {
      await kernel.applySets([`del rf-named${family} ${element} -exist`])
    }
  }
  engine = new RulesEngine({ kernel, clock: Date.now })
  engine.setDesired(desired(EVERYBODY))
  await engine.settled()
  expect(kernel.wrong).toEqual([])
  expect(kernel.lines.length).toBeGreaterThan(before)
  expect(new Set(kernel.elementsOf('rf-named4'))).toEqual(kernel.namedBy(4))
})

test('there is room in it for all that the others hold', async () => {
  const four = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']
  const elsewhere = (net: string) => four.map((one) => one.replace('192.0.2', net))
  engine.setDesired(
    desired({
      sizes: sizes({ elements: 4 }),
      allow: four.map((one) => prefix(one)),
      gateways: [gateway('trunk', elsewhere('192.0.3'))],
      blocks: elsewhere('192.0.4').map((one) => denied(one)),
    }),
  )
  await engine.settled()
  expect(engine.status().lastError).toBeNull()
  expect(kernel.elementsOf('rf-named4').size).toBe(12)
})

test('however many blocks find no room, a suspension that comes later keeps a proven port from the short way', async () => {
  const few = sizes({ elements: 4 })
  engine.setDesired(desired({ sizes: few, blocks: many(0, 40), members: MEMBERS }))
  await engine.settled()
  expect(engine.status().state).toBe('failing')
  const suspended = { address: address('192.0.2.1'), port: 5060, until: LATER }
  const state = desired({ sizes: few, blocks: many(0, 40), members: MEMBERS, suspensions: [suspended] })
  engine.setDesired(state)
  await engine.settled()
  // The kernel's own rules, and what its sets hold, not what they were to hold.
  const { sets } = await kernel.observe({ elements: [...WRITTEN_SETS] })
  const isIn = (set: string, text: string) => sets.get(set)?.elements?.has(text) === true
  const [shortWay] = await kernel.rules(4, 'RINGFENCE')
  const keptOut = [...shortWay!.matchAll(/! --match-set (\S+) (src(?:,src)?)/g)].some(([, set, sides]) =>
    isIn(set!, sides === 'src' ? '192.0.2.1' : '192.0.2.1,udp:5060'),
  )
  expect(keptOut).toBe(true)
})
