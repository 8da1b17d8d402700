import { execa } from 'execa'
import { type Address, prefixOfAddress } from '../../registrar/net/address.ts'
import type { Block, DesiredState } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { type Report, showCount } from './figures.ts'

const ROUNDS = 500

/** How fast decisions reach the kernel, in a network namespace of its own. Needs root. */
export async function benchRules(report: Report): Promise<void> {
  const netns = `rf-bench-${process.pid}`
  await execa('ip', ['netns', 'add', netns])
  const kernel = new IptablesKernel({ netns })
  const engine = new RulesEngine({ kernel, clock: Date.now })
  try {
    const apply = async (blocks: readonly Block[]): Promise<number> => {
      const start = performance.now()
      engine.setDesired(desired(blocks))
      await engine.settled()
      const { state, lastError } = engine.status()
      if (state !== 'applied') throw new Error(`the rules are ${state}: ${lastError?.message}`)
      return performance.now() - start
    }
    report('chains and sets from nothing', `${showMs(await apply([]))} (${kernel.backend})`)
    for (const amount of [0, 10_000, 50_000]) {
      const present = manyBlocks(amount, 10)
      const bulk = await apply(present)
      if (amount > 0) {
        report(
          `${showCount(amount)} blocks in bulk`,
          `${showMs(bulk)} (${showCount((amount / bulk) * 1000)}/s)`,
        )
      }
      await benchSingles(report, apply, present)
    }
    const check = await timed(() => engine.check())
    report('thorough comparison of 50,000 unchanged entries', showMs(check))
    const light = await timed(() => engine.check())
    report('light comparison of 50,000 unchanged entries', showMs(light))
    report('counters of 50,000 entries', showMs(await timed(() => engine.counters())))
    await benchRestart(report, netns)
    report('everything removed', showMs(await timed(() => engine.off())))
  } finally {
    await engine.close()
    await execa('ip', ['netns', 'del', netns])
  }
}

/** From the decision to the kernel's word that it holds it; one block a round, then one unblock. */
async function benchSingles(
  report: Report,
  apply: (blocks: readonly Block[]) => Promise<number>,
  present: readonly Block[],
) {
  const times: number[] = []
  for (const block of manyBlocks(ROUNDS, 172)) {
    times.push(await apply([...present, block]))
    await apply(present)
  }
  times.sort((a, b) => a - b)
  const [half, most] = [times[Math.floor(ROUNDS * 0.5)]!, times[Math.floor(ROUNDS * 0.99)]!]
  report(
    `one block among ${showCount(present.length)}, ${ROUNDS} times`,
    `p50 ${showMs(half)}, p99 ${showMs(most)}`,
  )
}

async function benchRestart(report: Report, netns: string): Promise<void> {
  const kernel = new IptablesKernel({ netns })
  const engine = new RulesEngine({ kernel, clock: Date.now })
  const elapsed = await timed(async () => {
    engine.setDesired(desired(manyBlocks(50_000, 10)))
    await engine.settled()
  })
  await engine.close()
  report('restart over 50,000 entries that are there', showMs(elapsed))
}

const UNTIL = Date.now() + 3_600_000

function manyBlocks(amount: number, first: number): readonly Block[] {
  return Array.from({ length: amount }, (_, i) => ({
    target: prefixOfAddress(`${first}.${i >> 16}.${(i >> 8) & 255}.${i & 255}` as Address),
    scope: 'sip',
    until: UNTIL,
  }))
}

function desired(blocks: readonly Block[]): DesiredState {
  return {
    traffic: { interfaces: ['eth0'], destinations: 'local', udpPorts: [5060], tcpPorts: [5060] },
    limits: { register: { perSecond: 5, burst: 10 }, sip: { perSecond: 20, burst: 50, enforced: false } },
    allow: [],
    blocks,
    suspensions: [],
  }
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await act()
  return performance.now() - start
}

function showMs(milliseconds: number): string {
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`
}
