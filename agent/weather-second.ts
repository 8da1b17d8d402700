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
    whole: summary.captures.every(({ state }) => state === 'running'),
    known: summary.answers.answered + summary.answers.silent > 0 ? summary.answers : null,
  }
}
