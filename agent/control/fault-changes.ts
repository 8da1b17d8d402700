import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Fault } from './faults.ts'

/** A table that is full in one look and not in the next is one fault that lasts. */
const ENDED_AFTER: Milliseconds = 15_000
/** More faults at once than there are parts, sets and tables are none that a log could tell. */
const MOST_KNOWN = 64
const LONGEST_SENTENCE = 500

/** A fault that was told, and when it was seen last. */
export interface KnownFault extends Fault {
  readonly seenAt: EpochMilliseconds
}

export interface FaultChanges {
  readonly known: readonly KnownFault[]
  readonly appeared: readonly Fault[]
  readonly ended: readonly Fault[]
}

/** Which faults are new and which are over, however their sentences count on meanwhile. */
export function changeFaults(
  before: readonly KnownFault[],
  faults: readonly Fault[],
  now: EpochMilliseconds,
): FaultChanges {
  const knownBefore = new Map(before.map((fault) => [fault.key, fault]))
  const known = new Map<string, KnownFault>()
  const appeared: Fault[] = []
  for (const { key, sentence } of faults) {
    if (known.size >= MOST_KNOWN) break
    if (known.has(key)) continue
    const told = knownBefore.get(key)
    const fault = told ?? { key, sentence: sentence.slice(0, LONGEST_SENTENCE) }
    known.set(key, { ...fault, seenAt: now })
    if (!told) appeared.push(fault)
  }
  const ended: Fault[] = []
  for (const fault of before) {
    if (known.has(fault.key)) continue
    if (now - fault.seenAt < ENDED_AFTER && known.size < MOST_KNOWN) known.set(fault.key, fault)
    else ended.push(fault)
  }
  return { known: [...known.values()], appeared, ended }
}
