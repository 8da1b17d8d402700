import { percentile, showCount } from '../../bench/figures.ts'
import type { KernelTables } from '../kernel-tables.ts'
import { IN_TIME } from '../phones/served.ts'
import type { HonestPhase, HonestResult } from './honest-plan.ts'

/** Of the honest phone's questions that began in a phase. */
export interface HonestFigures {
  readonly asked: number
  /** Answered (registered) within 4 s, 0 to 1; null where nothing was asked. */
  readonly inTime: number | null
  readonly refused: number
  /** Milliseconds. */
  readonly p50: number | null
  readonly p99: number | null
}

export interface SimulationFigures {
  readonly attack: string
  readonly target: string
  readonly perSecond: number
  readonly seconds: number
  readonly seed: number
  readonly sent: number
  readonly guesses: { readonly tries: number; readonly refused: number; readonly silent: number } | null
  /** Frames that came in where Ringfence protects, the honest phones' among them. */
  readonly arrived: number
  /** Of all traffic to the protected ports meanwhile; null without a daemon. */
  readonly dropped: number | null
  readonly droppedBy: Readonly<Record<string, number>> | null
  /** Packets a second that no rule dropped: so much reached the softswitch. */
  readonly throughPerSecond: number
  /** Milliseconds from the first packet; null where nothing was dropped within 5 s, or there was no flood. */
  readonly firstDropAfter: number | null
  readonly honest: {
    readonly asks: HonestResult['asks']
    readonly phases: Readonly<Record<HonestPhase, HonestFigures>>
    readonly newcomer: HonestResult['newcomer']
  }
  readonly honestBlocked: readonly string[]
  /** Of the simulated sources; lifted at the end. */
  readonly blocked: number
  /** Of others meanwhile, as `TARGET by WHO: WHY`. */
  readonly othersBlocked: readonly string[]
  /** Percent of one core; memory in bytes. */
  readonly guard: {
    readonly user: number
    readonly kernel: number
    readonly memory: number
  } | null
  readonly tables: KernelTables | null
  readonly strict: string | null
  /** Of all cores, 0 to 1. */
  readonly machineBusy: number
  readonly queueDrops: number
  readonly notes: readonly string[]
  readonly failures: readonly string[]
}

export function honestFigures({ tries }: HonestResult, of: HonestPhase): HonestFigures {
  // What began in the last moments and is still open says nothing yet.
  const those = tries.filter(
    ({ phase, outcome }) => phase === of && !(phase === 'after' && outcome === 'open'),
  )
  const times = those.flatMap(({ took }) => (took === null ? [] : [took]))
  const at = (share: number) => {
    const value = percentile(times, share)
    return Number.isNaN(value) ? null : Math.round(value)
  }
  return {
    asked: those.length,
    inTime: those.length === 0 ? null : times.filter((took) => took <= IN_TIME).length / those.length,
    refused: those.filter(({ outcome }) => outcome === 'refused').length,
    p50: at(0.5),
    p99: at(0.99),
  }
}

/** Why a test is not passed, as sentences; none where it is. */
export function judgeSimulation({
  honest,
  honestBlocked,
}: Pick<SimulationFigures, 'honest' | 'honestBlocked'>): readonly string[] {
  const { before, during, after } = honest.phases
  const what = honest.asks === 'REGISTER' ? 'registrations' : 'OPTIONS'
  if (before.inTime === null || before.inTime === 0) {
    return [
      `no ${what} were answered before the attack, so that nothing can be said of it: give an --account`,
    ]
  }
  const failures: string[] = []
  if (during.inTime !== 1)
    failures.push(`${showShare(during.inTime)} of the honest ${what} were served in time`)
  if (after.inTime !== null && after.inTime < 1) {
    failures.push(`after the attack ${showShare(after.inTime)} of the honest ${what} were served in time`)
  }
  if (honestBlocked.length > 0) failures.push(`honest phones were blocked: ${honestBlocked.join('; ')}`)
  return failures
}

/** What a person reads. */
export function renderSimulation(figures: SimulationFigures): string {
  const { honest, guesses, guard, tables } = figures
  const rows: [string, string][] = [
    ['attack', `${figures.attack}, ${figures.seconds} s, to ${figures.target}, seed ${figures.seed}`],
  ]
  if (guesses) {
    const { tries, refused, silent } = guesses
    rows.push(['guesses', `${showCount(tries)} tries, ${refused} told wrong, ${silent} unanswered`])
  } else {
    rows.push(['sent', `${showCount(figures.sent)} packets, ${showCount(figures.sent / figures.seconds)}/s`])
  }
  rows.push(['came in', `${showCount(figures.arrived)} packets, the honest phones' among them`])
  if (figures.dropped !== null) {
    rows.push(['dropped by Ringfence', showCount(figures.dropped)])
    const by = Object.entries(figures.droppedBy ?? {}).sort(([, a], [, b]) => b - a)
    if (by.length > 0) {
      rows.push(['by these rules', by.map(([rule, packets]) => `${rule} ${showCount(packets)}`).join(', ')])
    }
    if (!guesses) rows.push(['first drop', showTime(figures.firstDropAfter)])
  }
  rows.push(['reached the softswitch', `${showCount(figures.throughPerSecond)}/s`])
  for (const phase of ['before', 'during', 'after'] as const) {
    const { asked, inTime, refused, p50, p99 } = honest.phases[phase]
    const times = `p50 ${showTime(p50)}, p99 ${showTime(p99)}${refused > 0 ? `; ${refused} refused` : ''}`
    rows.push([
      `honest ${honest.asks} ${phase}`,
      asked === 0 ? '–' : `${showShare(inTime)} of ${asked} within 4 s; ${times}`,
    ])
  }
  if (honest.newcomer) {
    const { took, waited } = honest.newcomer
    const value = took === null ? `not within ${showTime(waited)}` : `registered after ${showTime(took)}`
    rows.push(['a phone first seen in the attack', value])
  }
  if (figures.dropped !== null) {
    rows.push(['honest blocked or suspended', figures.honestBlocked.join('; ') || '0'])
    rows.push(['simulated sources blocked or suspended', `${figures.blocked}, lifted at the end`])
  }
  if (figures.othersBlocked.length > 0) {
    const first = figures.othersBlocked.slice(0, 5).join('; ')
    rows.push(['others blocked meanwhile', `${figures.othersBlocked.length}: ${first}`])
  }
  if (figures.strict !== null) rows.push(['limits', figures.strict])
  if (guard) {
    rows.push([
      'Ringfence',
      `${guard.user.toFixed(1)} % of a core in user space, ${guard.kernel.toFixed(1)} % in the kernel; ${megabytes(guard.memory)} MB`,
    ])
  }
  if (tables) {
    rows.push([
      "the kernel's tables",
      `sets ${megabytes(tables.sets)} MB, limits ${megabytes(tables.limits)} MB`,
    ])
  }
  const busy = `${(100 * figures.machineBusy).toFixed(0)} % busy`
  rows.push(['machine', `${busy}, ${showCount(figures.queueDrops)} packets lost in queues`])
  const table = ['| what | figure |', '|---|---|', ...rows.map(([what, value]) => `| ${what} | ${value} |`)]
  const verdict =
    figures.failures.length === 0
      ? ['', 'passed: all honest phones were served']
      : ['', ...figures.failures.map((failure) => `NOT PASSED: ${failure}`)]
  return [
    ...table,
    '',
    ...figures.notes.map((note) => `note: ${note}`),
    ...verdict.slice(figures.notes.length > 0 ? 0 : 1),
  ].join('\n')
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
const showShare = (value: number | null) => (value === null ? '–' : `${(100 * value).toFixed(1)} %`)
const showTime = (value: number | null) => (value === null ? '–' : `${showCount(value)} ms`)
