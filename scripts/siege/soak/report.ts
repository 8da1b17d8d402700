import { showCount } from '../../bench/figures.ts'
import { growthOf, type Held, leaksOf, megabytes, show } from './growth.ts'
import type { RoundRecord, SoakRecord } from './soak.ts'

/** Why a soak is not passed, as sentences; none where it is. */
export function judgeSoak({ held, honestBans }: SoakRecord): readonly string[] {
  const blocked = honestBans.map(
    ({ target, by, reason }) => `honest and blocked: ${target} by ${by}: ${reason}`,
  )
  return [...leaksOf(held), ...blocked]
}

/** Of all rounds: how many registrations of customers there were, and how many of them were not in time. */
export function customersOf(rounds: readonly RoundRecord[]): {
  readonly asked: number
  readonly failed: number
} {
  let asked = 0
  let failed = 0
  for (const { kinds } of rounds) {
    for (const kind of ['customer', 'ordinary', 'busy'] as const) {
      const { registrations = 0, success = 1 } = kinds[kind] ?? {}
      asked += registrations
      failed += Math.round(registrations * (1 - (success ?? 1)))
    }
  }
  return { asked, failed }
}

/** One line for whoever looks on. */
export function lastRoundInWords({ rounds, held }: SoakRecord): string {
  const round = rounds.at(-1)!
  const { asked, failed } = customersOf([round])
  const { memory, files, processes, tables } = held.at(-1)!
  const guard = `${megabytes(memory)}, ${files} files, ${processes} processes, tables ${megabytes(tables)}`
  return `${rounds.length}: ${round.attack}, ${round.seconds} s, share ${round.share}: ${asked - failed} of ${asked} registrations in time; ${guard}`
}

/** What a person reads: the soak, its rounds by attack, and how what the guard holds went over time. */
export function renderSoak(record: SoakRecord): string {
  const { rounds, held, honestBans, bans } = record
  const { asked, failed } = customersOf(rounds)
  const share = asked === 0 ? '–' : `${((100 * (asked - failed)) / asked).toFixed(2)} %`
  const last = held.at(-1)
  const rows: [string, string][] = [
    ['rounds', `${rounds.length} in ${showCount(last?.at ?? 0)} s`],
    ["customers' registrations within 4 s", `${share} of ${showCount(asked)}`],
    ['phones that heard nothing for 32 s', String(rounds.reduce((sum, one) => sum + one.unanswered, 0))],
    ['honest blocked or suspended', String(honestBans.length)],
    ['blocks and suspensions in all', showCount(bans)],
    ...growthOf(held).map(({ what, from, to }): [string, string] => [
      `${what}, second and last quarter`,
      `${show(what, from)} → ${show(what, to)}`,
    ]),
    ["the kernel's tables at most", megabytes(Math.max(0, ...held.map(({ tables }) => tables)))],
    ['data on disk at the end', megabytes(last?.data ?? 0)],
  ]
  const attacks = [...new Set(rounds.map(({ attack }) => attack))].map((attack) => {
    const those = rounds.filter((round) => round.attack === attack)
    const figures = customersOf(those)
    const busiest = Math.max(...those.map(({ machineBusy }) => machineBusy))
    return `| ${attack} | ${those.length} | ${figures.failed} of ${figures.asked} | ${(100 * busiest).toFixed(0)} % |`
  })
  const times = held.map(
    (one) =>
      `| ${one.at} | ${megabytes(one.memory)} | ${byKind(one.kinds)} | ${showCount(one.sources)} | ${one.files} | ${one.processes} | ${megabytes(one.tables)} | ${megabytes(one.data)} |`,
  )
  const failures = judgeSoak(record)
  return [
    '| what | figure |',
    '|---|---|',
    ...rows.map(([what, value]) => `| ${what} | ${value} |`),
    '',
    '| attack | rounds | registrations not in time | machine busy at most |',
    '|---|---|---|---|',
    ...attacks,
    '',
    '| second | memory | of which | sources known | files | processes | tables | data |',
    '|---|---|---|---|---|---|---|---|',
    ...times,
    '',
    ...(failures.length === 0
      ? ['passed: nothing leaked, and nobody honest was blocked']
      : failures.map((failure) => `NOT PASSED: ${failure}`)),
  ].join('\n')
}

function byKind(kinds: Held['kinds']): string {
  return Object.entries(kinds)
    .filter(([, bytes]) => bytes > 0)
    .map(([name, bytes]) => `${name} ${(bytes / 1e6).toFixed(0)}`)
    .join(', ')
}
