import type { StatusSnapshot } from '../../dashboard/api/status.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { RulesStatus } from '../../rules/status.ts'
import { failureSentence } from './notice.ts'

/** What is known of the parts, as far as something can be wrong with it. */
export interface PartsHealth {
  readonly now: EpochMilliseconds
  readonly rules: RulesStatus
  /** Off was ordered, and this is why something stayed in the kernel; null where nothing did. */
  readonly leftBehind?: string | null
  /** The alarm "Not in the path", null where all is well. */
  readonly notInPath: string | null
  readonly sensor: Pick<StatusSnapshot['sensor'], 'state' | 'detail'>
  readonly registrar: Pick<StatusSnapshot['registrar'], 'state' | 'detail'>
  /** The softswitch answers nobody, though registered phones ask: a sentence; null (or absent) where it answers. */
  readonly outage?: string | null
  /** Changes that the journal could not take. */
  readonly journalFailures: number
  /** Verdicts that found no place among so many others. */
  readonly refusedFull: number
  readonly verdicts: number
}

/** One thing that is not in order. */
export interface Fault {
  /** What it is, as long as it lasts: the sentence may count on meanwhile. */
  readonly key: string
  readonly sentence: string
}

/** What is not in order, the worst first. */
export function listFaults(health: PartsHealth): readonly Fault[] {
  const {
    rules,
    leftBehind = null,
    notInPath,
    outage = null,
    sensor,
    registrar,
    journalFailures,
    refusedFull,
    verdicts,
  } = health
  const faults: Fault[] = []
  const add = (key: string, sentence: string) => faults.push({ key, sentence: withStop(sentence) })
  // No phone can register then, whatever else there is.
  if (outage !== null) add('outage', outage)
  if (rules.state === 'failing' && rules.lastError) {
    add('failing', `Rules cannot be applied: ${failureSentence(rules.lastError)}`)
  }
  if (leftBehind !== null) {
    add(
      'left-behind',
      `Not off: the rules should be out of the kernel, and some stayed: ${leftBehind} Mend that and say \`ringfence off\` again.`,
    )
  }
  if (rules.state === 'contested') add('contested', contestedSentence(rules, health.now))
  if (notInPath !== null) add(NOT_IN_PATH, notInPath)
  if (sensor.state === 'failed') add('sensor', `Sensor: ${sensor.detail}`)
  if (registrar.state === 'failed') add('registrar', `Registrar: ${registrar.detail}`)
  if (rules.state !== 'off') {
    // Up to the parenthesis the sentence names what is full, and then it counts.
    for (const sentence of rules.full) add(`full: ${sentence.split(' (')[0]}`, sentence)
  }
  if (journalFailures > 0) {
    add('journal', `The journal could not take ${journalFailures} changes: look at the disk.`)
  }
  if (refusedFull > 0) {
    const found = refusedFull === 1 ? '1 verdict found' : `${refusedFull} verdicts found`
    add(
      'decisions',
      `${found} no place among the blocks and suspensions of verdicts (${verdicts} stand now): raise kernel.elements.`,
    )
  }
  return faults
}

/** The key of the fault that `PathWatch` logs by itself. */
export const NOT_IN_PATH = 'not-in-path'

/** Another program keeps at our rules: what was found, and when the next repair is tried. */
function contestedSentence({ repairs }: RulesStatus, now: EpochMilliseconds): string {
  const found = repairs.last === null ? '' : ` (${repairs.last})`
  const wait = Math.max(0, Math.ceil(((repairs.contestedUntil ?? now) - now) / 1_000))
  const next = wait > 0 ? `the next repair is tried in ${wait} s` : 'the next repair is tried now'
  return `Another program keeps changing the rules${found}: ${next}, and \`ringfence on\` repairs at once. Find it, or have it leave the table raw alone.`
}

function withStop(sentence: string): string {
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`
}
