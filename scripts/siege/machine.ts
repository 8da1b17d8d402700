import { readFileSync } from 'node:fs'

/** What the whole machine has done since it was started, in hundredths of a second of one core. */
export interface MachineTimes {
  readonly busy: number
  readonly all: number
  /** Of it this siege, the kernel's work for its packets included: where it is much less, others were at work. */
  readonly own: number
  /** Packets that a core's queue had no room for, of all namespaces. */
  readonly queueDrops: number
}

/** `pids`: the processes of a siege. */
export function machineTimes(pids: readonly number[]): MachineTimes {
  const fields = readFileSync('/proc/stat', 'latin1')
    .split('\n')[0]!
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number)
  const all = fields.reduce((total, field) => total + field, 0)
  const idle = fields[3]! + fields[4]!
  const rows = readFileSync('/proc/net/softnet_stat', 'latin1').trim().split('\n')
  const queueDrops = rows.reduce((total, row) => total + Number.parseInt(row.split(' ')[1]!, 16), 0)
  const running = pids.map((pid) => timesOf(pid).slice(0, 2))
  // Of this process also its children that have ended, such as the flood.
  const own = [timesOf(process.pid), ...running].flat().reduce((total, ticks) => total + ticks, 0)
  return { busy: all - idle, all, own, queueDrops }
}

/** User and system time of a process, and of its children that have ended; nothing where it is no more. */
function timesOf(pid: number): readonly number[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 15)
      .map(Number)
  } catch {
    return []
  }
}
