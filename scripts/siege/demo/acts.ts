import { showCount } from '../../bench/figures.ts'
import type { Served } from '../phones/plan.ts'

/** How long each act lasts, in seconds. */
export interface Lengths {
  readonly peace: number
  readonly unguarded: number
  readonly meet: number
  readonly guarded: number
  readonly guesser: number
}

export const FIVE_MINUTES: Lengths = { peace: 12, unguarded: 20, meet: 20, guarded: 30, guesser: 15 }
export const QUICK: Lengths = { peace: 5, unguarded: 8, meet: 8, guarded: 10, guesser: 8 }

/** What became of the customers in an act. */
export interface ActFigures {
  readonly act: string
  readonly attack: string
  readonly served: Served
  /** SIP packets a second that reached the softswitch's socket. */
  readonly reachedPerSecond: number
  /** Packets that Ringfence dropped; null where it was not there. */
  readonly dropped: number | null
}

/** Between two looks at counts that only grow. */
export function servedBetween(before: Served, after: Served): Served {
  return { asked: after.asked - before.asked, inTime: after.inTime - before.inTime }
}

export function shareOf({ asked, inTime }: Served): string {
  return asked === 0 ? '–' : `${((100 * inTime) / asked).toFixed(inTime === asked ? 0 : 1)} %`
}

/** The story as a table, an act a row. */
export function renderActs(acts: readonly ActFigures[]): string {
  const rows = [
    ['', 'attack', 'customers served in time', 'reached the softswitch', 'dropped in the kernel'],
    ...acts.map(({ act, attack, served, reachedPerSecond, dropped }) => [
      act,
      attack,
      `${shareOf(served)} of ${showCount(served.asked)}`,
      `${showCount(Math.round(reachedPerSecond))}/s`,
      dropped === null ? '–' : showCount(dropped),
    ]),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')}`.trimEnd())
  lines.splice(1, 0, `  ${widths.map((width) => '─'.repeat(width)).join('  ')}`)
  return lines.join('\n')
}
