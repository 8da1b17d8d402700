import type { WeatherView } from '../../dashboard/api/weather.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Config } from '../config/config.ts'
import { HOURS_TO_LEARN } from '../decide/baseline.ts'
import { sayAnomaly } from '../decide/baseline-anomalies.ts'
import type { Capacity } from '../decide/capacity.ts'
import { sayOutage } from '../decide/outage.ts'
import type { WeatherFacts } from '../decide/weather-watch.ts'

/** The weather for people, as it is `now`. */
export function viewWeather(
  facts: WeatherFacts,
  limits: Config['limits'],
  now: EpochMilliseconds,
): WeatherView {
  const { weather, expected, capacity, leftForUnknown, anomalies, policy, changes } = facts
  const { state, since, why, outage } = weather
  const ranges = expected.kind === 'learnt' ? expected.ranges : undefined
  const follows = limits.follow.total || limits.follow.strict
  const { registerRetry, registerSuspendTime } = policy
  return {
    state,
    since,
    why,
    baseline: {
      state: expected.kind,
      hours: expected.hours,
      hoursNeeded: HOURS_TO_LEARN,
      usual: ranges
        ? {
            registers: ranges.registers?.usual ?? null,
            successes: ranges.successes?.usual ?? null,
            share: ranges.share?.usual ?? null,
            endpoints: ranges.endpoints?.usual ?? null,
            newSources: ranges.newSources?.usual ?? null,
          }
        : null,
      bound: ranges?.registers?.high ?? null,
    },
    capacity: {
      ...advised(capacity, limits),
      leftForUnknown: follows ? leftForUnknown : null,
    },
    anomalies: anomalies.map((anomaly) => ({ since: anomaly.since, sentence: sayAnomaly(anomaly) })),
    policy: { registerRetry, registerSuspendTime },
    outage: outage && { ...outage, sentence: sayOutage(outage, now) },
    changes,
  }
}

/** A limit above what the softswitch can do protects nothing; whoever reads the capacity should hear of it. */
function advised(capacity: Capacity, { follow, total }: Config['limits']): Capacity {
  const { perSecond, how, why } = capacity
  const isKnown = perSecond !== null && (how === 'measured' || how === 'configured')
  if (!isKnown || follow.total || total.perSecond < perSecond) return capacity
  const rate = total.perSecond.toLocaleString('en-US')
  return {
    ...capacity,
    why: `${why} limits.total lets ${rate} of unknown sources through: say perSecond: auto there.`,
  }
}
