import { readFileSync } from 'node:fs'

/** USER_HZ of every Linux that Node runs on, in milliseconds. */
const TICK = 10
/** Fields of /proc/PID/stat behind the name: user space, the kernel, and both of children that have ended. */
const [USER, SYSTEM, ENDED_USER, ENDED_SYSTEM] = [11, 12, 13, 14]

/** What processes took. */
export interface ProcessFigures {
  /** Milliseconds of processor time since they began, in user space and in the kernel. */
  readonly user: number
  readonly system: number
  /** Bytes, those that processes share counted once (PSS). */
  readonly memory: number
  /** Of these, the buffers that the kernel captures into. */
  readonly rings: number
}

/** What these processes took together; of one that is no more its parent knows the time (see `figuresOfEnded`). */
export function figuresOfProcesses(pids: readonly number[]): ProcessFigures {
  return pids.map(figuresOf).reduce(added, NOTHING)
}

/** The processor time of those children of a process that have ended and were waited for. */
export function figuresOfEnded(pid: number): ProcessFigures {
  const fields = statOf(pid)
  return { ...NOTHING, user: timeIn(fields, ENDED_USER), system: timeIn(fields, ENDED_SYSTEM) }
}

export function added(one: ProcessFigures, other: ProcessFigures): ProcessFigures {
  return {
    user: one.user + other.user,
    system: one.system + other.system,
    memory: one.memory + other.memory,
    rings: one.rings + other.rings,
  }
}

function figuresOf(pid: number): ProcessFigures {
  const fields = statOf(pid)
  // To look at every mapping is dear, and few processes capture.
  const rings = fileOf(pid, 'maps').includes(RING) ? readRings(fileOf(pid, 'smaps')) : 0
  return {
    user: timeIn(fields, USER),
    system: timeIn(fields, SYSTEM),
    memory: readProportional(fileOf(pid, 'smaps_rollup')),
    rings,
  }
}

/** Bytes of the mappings in a /proc/PID/smaps_rollup, or in a part of a /proc/PID/smaps. */
function readProportional(text: string): number {
  return (
    1_024 *
    [...text.matchAll(/^Pss:\s+(\d+) kB/gm)].reduce((sum, [, kibibytes]) => sum + Number(kibibytes), 0)
  )
}

/** Bytes of the packet sockets' rings among the mappings of a /proc/PID/smaps. */
export function readRings(smaps: string): number {
  const mappings = smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  return mappings
    .filter((mapping) => mapping.split('\n', 1)[0]!.includes(RING))
    .reduce((sum, mapping) => sum + readProportional(mapping), 0)
}

const RING = ' socket:['
const NOTHING: ProcessFigures = { user: 0, system: 0, memory: 0, rings: 0 }

/** A name may hold spaces and brackets. */
function statOf(pid: number): readonly string[] {
  const stat = fileOf(pid, 'stat')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** A child that is replaced may end at any moment. */
function timeIn(fields: readonly string[], field: number): number {
  return Number(fields[field] ?? 0) * TICK
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
