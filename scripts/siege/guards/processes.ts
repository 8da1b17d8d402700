import { readFileSync } from 'node:fs'
import { timeOf } from '../../bench/daemon.ts'

/** Milliseconds of processor time since it began, and resident memory in bytes. */
export interface ProcessFigures {
  readonly time: number
  readonly memory: number
}

/** What these processes took together; one that is no more counts as far as it was seen. */
export function figuresOfProcesses(pids: readonly number[]): ProcessFigures {
  let time = 0
  let memory = 0
  for (const pid of pids) {
    try {
      time += timeOf(pid)
    } catch {
      // A child that is replaced may end at any moment.
      continue
    }
    memory += Number(/^VmRSS:\s+(\d+)/m.exec(fileOf(pid, 'status'))?.[1] ?? 0) * 1024
  }
  return { time, memory }
}

export function childrenOf(pid: number): number[] {
  const text = fileOf(pid, `task/${pid}/children`).trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

/** A file of /proc/PID; empty where the process is no more. */
export function fileOf(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return ''
  }
}
