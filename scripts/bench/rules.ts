import { readFile } from 'node:fs/promises'
import { execa } from 'execa'
import { type Address, prefixOfAddress } from '../../registrar/net/address.ts'
import type { Block, DesiredState, Member } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { DEFAULTS, desired as defaultState } from './desired.ts'
import { percentile, type Report, showCount, showTimes } from './figures.ts'

const ENTRIES = 100_000
const ROUNDS = 500
const SOME_ROUNDS = 100
const PART = 1_000
/** As the engine does by itself. */
const CHECK_EVERY = 4_000
/** A thorough look, and eleven light ones. */
const CHECKS_A_ROUND = 12

/** How fast decisions reach the kernel, in a network namespace of its own. Needs root. */
export async function benchRules(report: Report): Promise<void> {
  await inNamespace(async (stage) => {
    const { engine, apply } = stage
    report('chains and sets from nothing', `${showMs(await apply(desired()))} (${engine.status().backend})`)
    const present = desired({ blocks: manyBlocks(ENTRIES, 10) })
    report(`${showCount(ENTRIES)} blocks at once, in place of none`, showMs(await apply(present)))
    await benchSingles(report, stage, present)
    await benchRate(report, stage, present)
    report(`counters of ${showCount(ENTRIES)} blocks`, showMs(await timed(() => engine.counters())))
    await apply(present)
    await benchChecks(report, stage, `${showCount(ENTRIES)} unchanged blocks`)
    report('everything removed', showMs(await timed(() => engine.off())))
  })
  await benchStart(report, 'blocks', manyBlocks(ENTRIES, 10))
  // Each is also an element of the set of all who go before the proven.
  await benchStart(report, 'blocks of the operator', manyBlocks(ENTRIES, 10, { sparesProven: false }))
  await inNamespace((stage) => benchLanes(report, stage))
}

async function benchStart(report: Report, what: string, blocks: readonly Block[]): Promise<void> {
  await inNamespace(async ({ apply, restart }) => {
    const restored = desired({ blocks })
    const named = `start with ${showCount(ENTRIES)} ${what}`
    report(`${named}, nothing in the kernel`, showMs(await apply(restored)))
    const again = await restart()
    report(`${named}, all of them in the kernel`, showMs(await again.apply(restored)))
    const times: number[] = []
    for (const block of manyBlocks(SOME_ROUNDS, 172, { sparesProven: blocks[0]!.sparesProven })) {
      times.push(await again.apply({ ...restored, blocks: [...blocks, block] }))
      await again.apply(restored)
    }
    report(`one of the ${what} among ${showCount(ENTRIES)}, ${SOME_ROUNDS} times`, showTimes(times))
  })
}

/** From the decision to the kernel's word that it holds it; one block a round, then one unblock. */
async function benchSingles(report: Report, { apply }: Stage, present: DesiredState): Promise<void> {
  const times: number[] = []
  for (const block of manyBlocks(ROUNDS, 172)) {
    times.push(await apply({ ...present, blocks: [...present.blocks, block] }))
    await apply(present)
  }
  report(`one block among ${showCount(ENTRIES)}, ${ROUNDS} times`, showTimes(times))
}

/**
 * A thousand blocks a second for a minute on top of those that are there, handed over each 50 ms, whether or not the
 * engine is through with the last ones.
 */
async function benchRate(report: Report, stage: Stage, present: DesiredState): Promise<void> {
  const [tick, perTick, seconds] = [50, 50, 60]
  const ticks = (seconds * 1000) / tick
  const fresh = manyBlocks(ticks * perTick, 172)
  const lags: number[] = []
  const waiting: Promise<void>[] = []
  const cpu = await cpuSeconds(stage.netns)
  const started = performance.now()
  let worstPending = 0
  for (let i = 1; i <= ticks; i++) {
    const dueAt = started + i * tick
    const blocks = [...present.blocks, ...fresh.slice(0, i * perTick)]
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueAt - performance.now())))
    worstPending = Math.max(worstPending, stage.engine.status().pendingChanges)
    stage.engine.setDesired({ ...present, blocks })
    waiting.push(stage.engine.settled().then(() => void lags.push(performance.now() - dueAt)))
  }
  const elapsed = (performance.now() - started) / 1000
  const pending = stage.engine.status().pendingChanges
  await Promise.all(waiting)
  const used = (await cpuSeconds(stage.netns)) - cpu
  const size = await stage.sizeOf('rf-sip4')
  if (size < ENTRIES + fresh.length) throw new Error(`the kernel holds ${size} blocks only`)
  report(
    `${showCount((1000 / tick) * perTick)} blocks a second for ${seconds} s, among ${showCount(ENTRIES)}`,
    `${showCount(fresh.length / elapsed)}/s, ${pending} pending at the end, ${worstPending} at most`,
  )
  report('the same: from the decision to the kernel', showTimes(lags))
  report('the same: processor', showShare(used, elapsed))
}

/** What it costs to hold the kernel to what did not change. */
async function benchChecks(report: Report, { engine, netns }: Stage, what: string): Promise<void> {
  const costs: number[] = []
  const times: number[] = []
  for (let i = 0; i < CHECKS_A_ROUND; i++) {
    const before = await cpuSeconds(netns)
    times.push(await timed(() => engine.check()))
    costs.push((await cpuSeconds(netns)) - before)
  }
  const sum = costs.reduce((a, b) => a + b, 0)
  report(
    `a look at ${what}: processor time`,
    `p50 ${showMs(percentile(costs, 0.5) * 1000)}, the thorough one each minute ${showMs(percentile(costs, 1) * 1000)}`,
  )
  report(`a look at ${what}: duration`, showTimes(times))
  report(`looking at ${what} each 4 s: processor`, showShare(sum, (CHECK_EVERY * CHECKS_A_ROUND) / 1000))
}

/** A hundred thousand members of lanes, three hundred of which are renewed each second, while the engine looks each 4 s. */
async function benchLanes(report: Report, stage: Stage): Promise<void> {
  const [renewals, seconds] = [300, 60]
  const until = () => Date.now() + 300_000
  const parts: (readonly Member[])[] = []
  for (let i = 0; i < ENTRIES; i += PART) {
    parts.push(Array.from({ length: PART }, (_, j) => memberAt(i + j, until())))
  }
  const members = () => desired({ members: [...parts] })
  report(`${showCount(ENTRIES)} members of lanes at once`, showMs(await stage.apply(members())))
  await benchChecks(report, stage, `${showCount(ENTRIES)} unchanged members`)
  const before = await cpuSeconds(stage.netns)
  const started = performance.now()
  const lags: number[] = []
  let next = 0
  for (let tick = 0; tick < seconds * 10; tick++) {
    for (let i = 0; i < renewals / 10; i++) {
      // Scattered over the parts, as phones are.
      next = (next + 7_919) % ENTRIES
      const part = Math.floor(next / PART)
      parts[part] = parts[part]!.with(next % PART, memberAt(next, until()))
    }
    lags.push(await timed(() => stage.renew(members())))
    const ahead = (tick + 1) * 100 - (performance.now() - started)
    if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead))
  }
  const elapsed = (performance.now() - started) / 1000
  const used = (await cpuSeconds(stage.netns)) - before
  const { pendingChanges, repairs } = stage.engine.status()
  if (repairs.count > 0) throw new Error(`something was repaired: ${repairs.last}`)
  report(
    `${renewals} renewals a second among ${showCount(ENTRIES)} members, with a look each 4 s: processor`,
    `${showShare(used, elapsed)}, ${pendingChanges} pending at the end`,
  )
  report('the same: from the renewal to the kernel', showTimes(lags))
}

interface Stage {
  readonly netns: string
  readonly engine: RulesEngine
  /** Applies a state, and gives how long that took in milliseconds. */
  apply(state: DesiredState): Promise<number>
  renew(state: DesiredState): Promise<void>
  /** Ends the engine and begins with a new one, as when the daemon is restarted. */
  restart(): Promise<Stage>
  sizeOf(set: string): Promise<number>
}

async function inNamespace(act: (stage: Stage) => Promise<void>): Promise<void> {
  const netns = `rf-bench-${process.pid}-${performance.now().toFixed(0)}`
  await execa('ip', ['netns', 'add', netns])
  const engines: RulesEngine[] = []
  const begin = (): Stage => {
    const engine = new RulesEngine({ kernel: new IptablesKernel({ netns }), clock: Date.now })
    engines.push(engine)
    const renew = async (state: DesiredState) => {
      engine.setDesired(state)
      await engine.settled()
      const { state: outcome, lastError } = engine.status()
      if (outcome !== 'applied') throw new Error(`the rules are ${outcome}: ${lastError?.message}`)
    }
    return {
      netns,
      engine,
      renew,
      apply: (state) => timed(() => renew(state)),
      restart: async () => {
        await engine.close()
        return begin()
      },
      sizeOf: async (set) => {
        const { stdout } = await execa('ip', ['netns', 'exec', netns, 'ipset', 'list', '-t', set])
        return Number(/^Number of entries: (\d+)/m.exec(stdout)?.[1])
      },
    }
  }
  try {
    await act(begin())
  } finally {
    for (const engine of engines) await engine.close()
    await execa('ip', ['netns', 'del', netns])
  }
}

/** Processor time of this process, of the programs that it ran, and of the ipset that it keeps open. */
async function cpuSeconds(netns: string): Promise<number> {
  const { user, system } = process.cpuUsage()
  const { stdout } = await execa('ip', ['netns', 'pids', netns])
  const open = stdout.split('\n').filter((pid) => pid !== '')
  const [ended, ...running] = await Promise.all([
    readTicks('self').then(({ ofChildren }) => ofChildren),
    ...open.map((pid) => readTicks(pid).then(({ own }) => own)),
  ])
  const ticks = running.reduce((sum, some) => sum + some, ended)
  return (user + system) / 1_000_000 + ticks / TICKS_A_SECOND
}

const TICKS_A_SECOND = 100

async function readTicks(pid: string): Promise<{ readonly own: number; readonly ofChildren: number }> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name stands in brackets and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const at = (field: number) => Number(fields[field - 3] ?? 0)
  return { own: at(14) + at(15), ofChildren: at(16) + at(17) }
}

const UNTIL = Date.now() + 3_600_000

function manyBlocks(
  amount: number,
  first: number,
  { sparesProven } = { sparesProven: true },
): readonly Block[] {
  return Array.from({ length: amount }, (_, i) => ({
    target: prefixOfAddress(addressAt(i, first)),
    scope: 'sip',
    sparesProven,
    until: UNTIL,
  }))
}

/** Half of them proven, the others in the other lanes. */
function memberAt(i: number, until: number): Member {
  const address = addressAt(i, 10)
  if (i % 2 === 0) return { lane: 'proven', address, port: 1_024 + (i % 60_000), until }
  if (i % 8 === 1) return { lane: 'answered', address, port: 5060, until }
  if (i % 8 === 3) return { lane: 'ignoring', source: prefixOfAddress(address), until }
  return { lane: 'returning', source: prefixOfAddress(address), accounts: i % 100, until }
}

function addressAt(i: number, first: number): Address {
  return `${first}.${i >> 16}.${(i >> 8) & 255}.${i & 255}` as Address
}

function desired(parts: Partial<DesiredState> = {}): DesiredState {
  const { connections } = DEFAULTS.limits
  return defaultState({
    limits: { ...DEFAULTS.limits, connections: { ...connections, most: 100 } },
    sizes: { elements: 262_144, buckets: 262_144, seen: 1_048_576 },
    ...parts,
  })
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await act()
  return performance.now() - start
}

function showMs(milliseconds: number): string {
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`
}

function showShare(used: number, elapsed: number): string {
  return `${((used / elapsed) * 100).toFixed(1)} % of a core`
}
