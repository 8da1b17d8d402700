import type { BacktestOrder, ComparisonView } from '../../dashboard/api/comparison.ts'
import { OrderRefused } from '../../dashboard/api/control-plane.ts'
import type { BacktestTask, PolicyUnderTest } from '../backtest/backtest.ts'
import type { FromBacktest } from '../backtest/backtest-child.ts'
import type { Config } from '../config/config.ts'
import { sparedLists } from '../decide/spared.ts'
import { readCandidate } from './candidate.ts'
import type { DaemonParts } from './parts.ts'

type BacktestParts = Pick<DaemonParts, 'clock' | 'config' | 'decisions' | 'log'> & {
  readonly history: DaemonParts['history']
}

/** What verdicts follow; everything else of a configuration is judged by `ringfence plan`, or by nobody. */
const JUDGED: ReadonlySet<string> = new Set(['policy', 'allow', 'gateways', 'protect', 'registrar'])
/** What does not change what is decided about anybody. */
const HARMLESS: ReadonlySet<string> = new Set(['dashboard', 'control', 'data', 'history', 'sensor', 'mode'])

/** One at a time: each takes a process, and a core for as long as it lasts. */
export class Backtests {
  readonly #o: BacktestParts
  #isBusy = false

  constructor(parts: BacktestParts) {
    this.#o = parts
  }

  /** What the candidate would have decided otherwise about the traffic of late. Changes nothing. */
  async run({ candidate, seconds }: BacktestOrder): Promise<ComparisonView> {
    const { clock, config, history, decisions } = this.#o
    const { config: next, warnings } = readCandidate(candidate)
    if (this.#isBusy) throw new OrderRefused('conflict', 'Another backtest runs; try again when it is done.')
    const present = config()
    if (present.history.days === 0) {
      throw new OrderRefused(
        'unavailable',
        'No traffic is recorded: set history.days in the configuration, and ask again when there is some.',
      )
    }
    const to = clock()
    const task: BacktestTask = {
      from: to - seconds * 1_000,
      to,
      before: underTest('the present policy', present, decisions.allowedPrefixes(present.allow)),
      after: underTest(candidate.file, next, decisions.allowedPrefixes(next.allow)),
      notes: [...noteTrouble(history), ...noteKeys(present, next), ...warnings],
    }
    this.#isBusy = true
    try {
      return viewOf(await history.backtest(task))
    } finally {
      this.#isBusy = false
    }
  }
}

function viewOf(answer: FromBacktest): ComparisonView {
  if (answer.type === 'judged') return answer.view
  throw new OrderRefused('unavailable', `The record could not be judged: ${answer.message}.`)
}

function underTest(name: string, config: Config, allow: Config['allow'] = config.allow): PolicyUnderTest {
  const { policy, registrar } = config
  return {
    ...sparedLists(config),
    name,
    policy,
    allow,
    registrarPorts: registrar.enabled ? registrar.listen.map(({ port }) => port) : [],
  }
}

function noteTrouble({ trouble, lost }: BacktestParts['history']): readonly string[] {
  return [
    ...(trouble() === null ? [] : [`at present traffic is not recorded: ${trouble()}`]),
    ...(lost() === 0 ? [] : [`${lost()} rows could not be written since the daemon began`]),
  ]
}

/** Keys that differ and that no verdict follows. */
function noteKeys(before: Config, after: Config): readonly string[] {
  const differs = (Object.keys(after) as (keyof Config)[]).filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  )
  const others = differs.filter((key) => !JUDGED.has(key) && !HARMLESS.has(key))
  const tightened = 'under attack the daemon tightens the policy by itself: that is not tried here'
  return [
    ...(others.length === 0
      ? []
      : [
          `${others.join(', ')} differ too, and are not judged here: \`ringfence plan\` says what they change`,
        ]),
    ...(differs.includes('policy') ? [tightened] : []),
    ...(after.registrar.enabled ? ['what the registrar judges itself is not tried here'] : []),
  ]
}
