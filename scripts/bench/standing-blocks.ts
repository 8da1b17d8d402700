import { setTimeout as pause } from 'node:timers/promises'
import type { NewDecision } from '../../agent/journal/entries.ts'
import { openJournal } from '../../agent/journal/open-journal.ts'
import type { Prefix } from '../../registrar/net/address.ts'
import { Cable } from './cable.ts'
import { BenchDaemon, timeOf } from './daemon.ts'
import { type Report, showCount, showTimes } from './figures.ts'

const MANY = 100_000
const ROUNDS = 3
const SINGLES = 300
const LOOKS = 20
const PER_SECOND = 1_000
const TICK = 5
/** Room for what stands and for what is ordered. */
const SETTINGS = 'kernel: { elements: 262144 }'

type By = 'verdicts' | 'the operator'

/**
 * The real daemon with a hundred thousand blocks: how long restoring them takes, and what an order costs beside them.
 * `seconds`: how long orders come at a thousand a second.
 */
export async function benchStandingBlocks(
  report: Report,
  { seconds }: { readonly seconds: number },
): Promise<void> {
  await withDaemon([], (stage) => benchRestore(report, 'nothing', stage))
  for (const by of ['verdicts', 'the operator'] as const) {
    await withDaemon(decisions(by), (stage) =>
      benchRestore(report, `${showCount(MANY)} blocks of ${by}`, stage),
    )
  }
  for (const amount of [0, MANY]) {
    await withDaemon(decisions('the operator', amount), (stage) =>
      benchOrders(report, amount, stage, seconds),
    )
  }
}

interface Stage {
  readonly cable: Cable
  readonly daemon: BenchDaemon
}

async function withDaemon(
  standing: readonly NewDecision[],
  act: (stage: Stage) => Promise<void>,
): Promise<void> {
  const cable = new Cable()
  try {
    await cable.lay()
    const daemon = new BenchDaemon(cable, SETTINGS)
    const { journal } = openJournal({ file: `${daemon.data}/ringfence.db`, now: Date.now })
    for (const decision of standing) journal.recordDecision(decision)
    journal.close()
    await act({ cable, daemon })
  } finally {
    await cable.remove()
  }
}

async function benchRestore(report: Report, what: string, { cable, daemon }: Stage): Promise<void> {
  const fresh: number[] = []
  const again: number[] = []
  const up: number[] = []
  const upFromNothing: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await cable.run('server', 'iptables', ['-t', 'raw', '-F'])
    await cable.run('server', 'ip6tables', ['-t', 'raw', '-F'])
    await clear(cable)
    fresh.push(await daemon.restore())
    again.push(await daemon.restore())
    up.push(await daemon.startToUp())
    await daemon.stop()
    await clear(cable)
    upFromNothing.push(await daemon.startToUp())
    await daemon.stop()
  }
  report(`ringfence restore, ${what}, into an empty kernel`, showTimes(fresh))
  report(`ringfence restore, ${what}, where all is there`, showTimes(again))
  report(`start of the daemon to "ringfence is up", ${what}, where all is there`, showTimes(up))
  report(`the same into an empty kernel, ${what}`, showTimes(upFromNothing))
}

/** As after a start of the host: no rules and no sets. */
async function clear(cable: Cable): Promise<void> {
  for (const program of ['iptables', 'ip6tables']) {
    await cable.run('server', program, ['-t', 'raw', '-F'])
    await cable.run('server', program, ['-t', 'raw', '-X'])
  }
  await cable.run('server', 'ipset', ['destroy'])
}

async function benchOrders(
  report: Report,
  standing: number,
  { cable, daemon }: Stage,
  seconds: number,
): Promise<void> {
  await daemon.startToUp()
  try {
    // What a start does besides must not count as an order's.
    await pause(5_000)
    const beside = `beside ${showCount(standing)}`
    const block: number[] = []
    const unblock: number[] = []
    for (let i = 0; i < SINGLES; i++) {
      const target = addressAt(i, 20)
      block.push(await timed(() => daemon.order('blocks', { target })))
      if (i < LOOKS) await cable.run('server', 'ipset', ['test', 'rf-deny4', target])
      await pause(3)
    }
    for (let i = 0; i < SINGLES; i++) {
      unblock.push(await timed(() => daemon.order('unblock', { target: addressAt(i, 20) })))
      await pause(3)
    }
    report(`one block ${beside}, from the order to the answer, when the kernel has it`, showTimes(block))
    report(`one unblock ${beside}, the same`, showTimes(unblock))
    await benchRate(report, beside, daemon, seconds)
  } finally {
    await daemon.stop()
  }
}

/** Orders come when they are due, however long those before them take: a lag that grows is a daemon that falls behind. */
async function benchRate(
  report: Report,
  beside: string,
  daemon: BenchDaemon,
  seconds: number,
): Promise<void> {
  const lags: number[] = []
  const waiting: Promise<void>[] = []
  const before = timeOf(daemon.pid)
  const begun = performance.now()
  let sent = 0
  while (sent < PER_SECOND * seconds) {
    const due = Math.min(PER_SECOND * seconds, ((performance.now() - begun) / 1_000) * PER_SECOND)
    for (; sent < due; sent++) {
      const at = begun + (sent * 1_000) / PER_SECOND
      const answered = daemon.order('blocks', { target: addressAt(sent, 30), seconds: 3_600 })
      waiting.push(answered.then(() => void lags.push(performance.now() - at)))
    }
    await pause(TICK)
  }
  const ordered = performance.now() - begun
  await Promise.all(waiting)
  const took = performance.now() - begun
  const used = (100 * (timeOf(daemon.pid) - before)) / took
  const what = `${showCount(PER_SECOND)} orders a second for ${seconds} s ${beside}`
  report(`${what}: from when each was due to its answer`, showTimes(lags))
  report(
    `${what}: done after the last was sent; the daemon`,
    `${(took - ordered).toFixed(0)} ms; ${used.toFixed(0)} % of a core`,
  )
}

function decisions(by: By, amount = MANY): readonly NewDecision[] {
  const now = Date.now()
  return Array.from({ length: amount }, (_, i) => ({
    kind: 'block',
    target: { kind: 'prefix', prefix: `${addressAt(i, 10)}/32` as Prefix },
    scope: 'sip',
    since: now,
    until: by === 'the operator' ? null : now + 86_400_000,
    by: by === 'the operator' ? 'operator' : 'failures',
    who: by === 'the operator' ? 'root@cli' : null,
    grade: by === 'the operator' ? null : 'path',
    reason: '20 failures over three accounts in 10 min',
    evidence: by === 'the operator' ? {} : { failures: 20, accounts: 3 },
  }))
}

function addressAt(i: number, first: number): string {
  return `${first}.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await act()
  return performance.now() - begun
}
