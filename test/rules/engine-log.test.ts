import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RulesEngine } from '../../rules/engine.ts'
import { WRITTEN_SETS } from '../../rules/names.ts'
import { desired, prefix, traffic } from './desired.ts'
import { FaultyKernel } from './faulty-kernel.ts'
import { isEmptyPlan, planChanges } from './whole-plan.ts'

const EVERYBODY = { 4: ['0.0.0.0/1', '128.0.0.0/1'], 6: ['8000::/1', '::/1'] } as const
const LOOKED_WITHIN = 200

let kernel: FaultyKernel
let engine: RulesEngine
const logged = desired({ traffic: traffic({ logGroup: 5060 }) })

beforeEach(() => {
  vi.useFakeTimers({
    now: Date.UTC(2026, 0, 1),
    toFake: ['Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
  })
  kernel = new FaultyKernel(Date.now)
  engine = new RulesEngine({ kernel, clock: Date.now })
})
afterEach(async () => {
  await engine.close()
  vi.useRealTimers()
})

async function apply(state: typeof logged): Promise<void> {
  engine.setDesired(state)
  await engine.settled()
}

async function passTime(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds)
  await engine.settled()
}

async function expectLogged(family: 4 | 6, whom: readonly string[]): Promise<void> {
  expect(await kernel.elements(`rf-log${family}`)).toEqual(whom)
}

test('while somebody reads the log, everybody is named and then logged; nobody before and after', async () => {
  await apply(logged)
  await passTime(5 * LOOKED_WITHIN)
  for (const family of [4, 6] as const) await expectLogged(family, [])
  const before = kernel.lines.length
  kernel.logIsRead = true
  await passTime(LOOKED_WITHIN)
  for (const family of [4, 6] as const) {
    await expectLogged(family, EVERYBODY[family])
    expect(await kernel.elements(`rf-named${family}`)).toEqual(EVERYBODY[family])
  }
  // Whoever reads the first packet relies on this order.
  const sets = kernel.lines.slice(before).map((line) => line.split(' ')[1]!.slice(0, -1))
  expect(sets).toEqual([...Array(4).fill('rf-named'), ...Array(4).fill('rf-log')])
  // Chains are not written for it, and what is desired meanwhile leaves it alone.
  const { restores } = kernel
  await apply({ ...logged, allow: [prefix('192.0.2.0/24')] })
  await expectLogged(4, EVERYBODY[4])
  expect(kernel.restores).toBe(restores)
  expect(await engine.check()).toEqual([])
  expect(engine.status()).toMatchObject({ state: 'applied', pendingChanges: 0, repairs: { count: 0 } })

  kernel.logIsRead = false
  await passTime(LOOKED_WITHIN)
  for (const family of [4, 6] as const) await expectLogged(family, [])
  expect(await kernel.elements('rf-named4')).toEqual(['192.0.2.0/24'])
  expect(await engine.check()).toEqual([])
})

test('who is named by a rule stays named when the log ends', async () => {
  await apply({ ...logged, allow: [prefix('0.0.0.0/0')] })
  kernel.logIsRead = true
  await passTime(LOOKED_WITHIN)
  await expectLogged(4, EVERYBODY[4])
  kernel.logIsRead = false
  await passTime(LOOKED_WITHIN)
  await expectLogged(4, [])
  expect(await kernel.elements('rf-named4')).toEqual(EVERYBODY[4])
  expect(await kernel.elements('rf-named6')).toEqual([])
})

test('a switch that a daemon left on is taken back by the next one', async () => {
  kernel.logIsRead = true
  await apply(logged)
  await passTime(LOOKED_WITHIN)
  await expectLogged(6, EVERYBODY[6])
  await engine.close()
  kernel.logIsRead = false
  engine = new RulesEngine({ kernel, clock: Date.now })
  await apply(logged)
  await expectLogged(6, [])
  expect(await kernel.elements('rf-named6')).toEqual([])
})

test('without a log nobody is asked, and a log that is no longer wanted is switched off', async () => {
  kernel.logIsRead = true
  await apply(logged)
  await passTime(LOOKED_WITHIN)
  await expectLogged(4, EVERYBODY[4])
  const asked = vi.spyOn(kernel, 'isLogRead')
  await apply(desired())
  await passTime(10 * LOOKED_WITHIN)
  expect(asked).not.toHaveBeenCalled()
  await expectLogged(4, [])
  await engine.off()
})

test('what would change in the kernel for a configuration does not name the switch', async () => {
  kernel.logIsRead = true
  await apply(logged)
  await passTime(LOOKED_WITHIN)
  const plan = planChanges(logged, await kernel.observe({ elements: WRITTEN_SETS }), Date.now())
  expect(isEmptyPlan(plan)).toBe(true)
})
