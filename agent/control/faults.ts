import type { StatusSnapshot } from '../../dashboard/api/control-plane.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { RulesStatus } from '../../rules/status.ts'
import { failureSentence } from './notice.ts'

/** What is known of the parts, as far as something can be wrong with it. */
export interface PartsHealth {
  readonly now: EpochMilliseconds
  readonly rules: RulesStatus
  /** The alarm "Not in the path", null where all is well. */
  readonly notInPath: string | null
  readonly sensor: Pick<StatusSnapshot['sensor'], 'state' | 'detail'>
  readonly registrar: Pick<StatusSnapshot['registrar'], 'state' | 'detail'>
  /** Changes that the journal could not take. */
  readonly journalFailures: number
  /** Verdicts that found no place among so many decisions. */
  readonly refusedFull: number
  readonly decisions: number
}

/** What is not in order, a sentence each, the worst first. */
export function listFaults(health: PartsHealth): readonly string[] {
  const { rules, notInPath, sensor, registrar, journalFailures, refusedFull, decisions } = health
  const faults: string[] = []
  if (rules.state === 'failing' && rules.lastError) {
    faults.push(`Rules cannot be applied: ${withStop(failureSentence(rules.lastError))}`)
  }
  if (rules.state === 'contested') faults.push(contestedSentence(rules, health.now))
  if (notInPath !== null) faults.push(notInPath)
  if (sensor.state === 'failed') faults.push(`Sensor: ${withStop(sensor.detail)}`)
  if (registrar.state === 'failed') faults.push(`Registrar: ${withStop(registrar.detail)}`)
  if (rules.state !== 'off') faults.push(...rules.full.map(withStop))
  if (journalFailures > 0) {
    faults.push(`The journal could not take ${journalFailures} changes: look at the disk.`)
  }
  if (refusedFull > 0) {
    faults.push(`${refusedFull} verdicts found no place among ${decisions} decisions.`)
  }
  return faults
}

/** Another program keeps at our rules: what was found, and when the next repair is tried. */
export function contestedSentence({ repairs }: RulesStatus, now: EpochMilliseconds): string {
  const found = repairs.last === null ? '' : ` (${repairs.last})`
  const wait = Math.max(0, Math.ceil(((repairs.contestedUntil ?? now) - now) / 1_000))
  const next = wait > 0 ? `the next repair is tried in ${wait} s` : 'the next repair is tried now'
  return `Another program keeps changing the rules${found}: ${next}. Find it, or have it leave the table raw alone.`
}

function withStop(sentence: string): string {
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`
}
