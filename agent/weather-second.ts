import type { Silence } from './decide/outage.ts'
import type { WatchedSecond } from './decide/weather-watch.ts'
import type { SensorSummary } from './sensor/messages.ts'

/** What a summary of the sensor tells of the weather. */
export function watchedSecond(summary: SensorSummary): WatchedSecond {
  const { time, seconds, challenges, successes, failures, unknownRegisters } = summary
  // Under a flood all are counted by a sample; those of strangers are what the sample stands for.
  const registers = Math.max(summary.registers, unknownRegisters)
  return {
    time,
    seconds,
    registers,
    unknownRegisters,
    answered: challenges + successes + failures,
    successes,
    sources: summary.sourcesTracked + summary.sourcesLetGo,
    sightedRegisters: registers - summary.unseenRegisters,
    lowerBounds: summary.lowerBounds,
    silence: silenceOf(summary),
    whole: summary.captures.every(({ state }) => state === 'running'),
    known: summary.answers.answered + summary.answers.silent > 0 ? summary.answers : null,
  }
}

/** Where answers leave by a way that is not seen, the lack of them says nothing, and what was said before neither. */
function silenceOf({ silence, sight, time }: SensorSummary): Silence {
  const isSeen = sight.some(({ state }) => state === 'sighted')
  if (isSeen) return silence
  const leaveUnseen = sight.some(({ state }) => state === 'half-sighted')
  return { answeredAt: leaveUnseen ? time : silence.answeredAt, asked: null }
}
