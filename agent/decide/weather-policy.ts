import type { Config } from '../config/config.ts'
import type { DetectionPolicy } from '../detect/verdict.ts'
import type { WeatherName } from './weather.ts'

/**
 * The policy that holds in a state. Under attack the retry limit is the tighter one and a suspension the longer one of
 * the two that are configured. While phones come back all at once, nobody is blocked for a rate.
 */
export function policyUnder(state: WeatherName, { attack, ...policy }: Config['policy']): DetectionPolicy {
  switch (state) {
    case 'peace':
      return policy
    case 'attack':
      return {
        ...policy,
        registerRetry: Math.min(policy.registerRetry, attack.registerRetry),
        registerSuspendTime: Math.max(policy.registerSuspendTime, attack.registerSuspendTime),
      }
    case 'recovery':
      return { ...policy, flood: { ...policy.flood, informs: true } }
  }
}
