import { OrderRefused } from '../../dashboard/api/control-plane.ts'
import type { CandidateText, PlanView } from '../../dashboard/api/what-if.ts'
import { checkDesiredState } from '../../rules/check-desired-state.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import type { Config } from '../config/config.ts'
import { showProblem } from '../config/problem.ts'
import { readConfigFile } from '../config/read-config.ts'
import { warnOfAbsentInterfaces } from './absent-interfaces.ts'
import { type ReadCandidate, readCandidate } from './candidate.ts'
import { compareStates, isSameState } from './compare-states.ts'
import { keysThatNeedRestart, withFixedOf } from './needs-restart.ts'
import { failureSentence } from './notice.ts'
import type { DaemonParts } from './parts.ts'
import { listPhonesTouched } from './phones-touched.ts'

type PlanningParts = Pick<
  DaemonParts,
  'clock' | 'config' | 'configFile' | 'desired' | 'desiredUnder' | 'engine' | 'hostInterfaces'
> & { readonly isOff: boolean }

/**
 * What a configuration would change in the kernel, and whom it would touch; without a candidate, the configuration
 * file as it is on disk. Changes nothing. Refuses a configuration that would be refused.
 */
export async function planConfiguration(
  candidate: CandidateText | undefined,
  parts: PlanningParts,
): Promise<PlanView> {
  const file = candidate?.file ?? parts.configFile
  const { config, warnings } = candidate ? readCandidate(candidate) : readOwnFile(file)
  const present = parts.config()
  const needsRestart = keysThatNeedRestart(present, config)
  const before = parts.desired()
  const after = parts.desiredUnder(withFixedOf(present, config))
  const refusals = checkDesiredState(after)
  if (refusals.length > 0) throw new OrderRefused('bad-config', refusals.join('\n'))
  const now = parts.clock()
  const difference = compareStates(before, after, now)
  return {
    file,
    same: isSameState(difference) && needsRestart.length === 0,
    needsRestart,
    ...difference,
    phones: await listPhonesTouched(before, after, now),
    warnings: [...warnings, ...warnOfAbsentInterfaces(config, parts.hostInterfaces())],
    notes: [...noteKernel(parts), ...noteRoom(after), ...noteOthers(present, config)],
  }
}

function readOwnFile(file: string): ReadCandidate {
  const reading = readConfigFile(file)
  if (reading.kind === 'ok') return { config: reading.config, warnings: reading.warnings.map(showProblem) }
  throw new OrderRefused('bad-config', reading.problems.map(showProblem).join('\n'))
}

/** The plan is made against what the kernel should hold; where it does not hold that, it has to be said. */
function noteKernel({ config, engine, isOff }: PlanningParts): readonly string[] {
  if (config().mode === 'observe')
    return ['the kernel holds nothing while the configuration says mode: observe']
  if (isOff) return ['the rules are off: nothing of this reaches the kernel before `ringfence on`']
  const rules = engine.status()
  switch (rules.state) {
    case 'applied':
      return []
    case 'pending':
      return ['changes are on their way to the kernel; this plan begins where they end']
    case 'off':
      return ['no rules were applied so far']
    case 'contested':
      return [
        'another program keeps changing our rules; this plan begins where the kernel holds what it should',
      ]
    case 'failing':
      return [`the kernel does not hold what it should: ${failureSentence(rules.lastError)}`]
  }
}

/** Members that find no place in their sets would lose their lane. */
function noteRoom({ members, sizes }: DesiredState): readonly string[] {
  const counts = new Map<string, number>()
  for (const { lane } of members.flat()) counts.set(lane, (counts.get(lane) ?? 0) + 1)
  return [...counts]
    .filter(([, count]) => count > sizes.elements)
    .map(
      ([lane, count]) => `there are ${count} ${lane} members, and a set would hold ${sizes.elements} of them`,
    )
}

/** What changes without the kernel: verdicts and the registrar. */
function noteOthers(before: Config, after: Config): readonly string[] {
  const keys = (['policy', 'sensor', 'registrar'] as const).filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  )
  return keys.length === 0 ? [] : [`outside the kernel ${keys.join(', ')} would change too`]
}
