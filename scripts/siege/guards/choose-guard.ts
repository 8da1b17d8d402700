import { FAILURES_LOGGED, NOTHING_ADDED, type SoftswitchAdditions } from '../softswitch.ts'
import type { SiegeStage } from '../stage.ts'
import { Crowdsec } from './crowdsec.ts'
import { Fail2ban } from './fail2ban.ts'
import type { GuardName, SiegeGuard } from './guard.ts'
import { HashlimitRecipe } from './hashlimit.ts'
import { PIKE, Pike } from './pike.ts'
import { Ringfence } from './ringfence.ts'

/** What the softswitch must be told for its guard. */
export function softswitchFor(name: GuardName): SoftswitchAdditions {
  switch (name) {
    case 'pike':
      return PIKE
    case 'fail2ban':
    case 'crowdsec':
      return FAILURES_LOGGED
    case 'none':
    case 'ringfence':
    case 'hashlimit':
      return NOTHING_ADDED
  }
}

/** The guard of this name, not started; null where there is none. `settings` are for Ringfence. */
export function chooseGuard(name: GuardName, stage: SiegeStage, settings: string): SiegeGuard | null {
  switch (name) {
    case 'none':
      return null
    case 'ringfence':
      return new Ringfence(stage, settings)
    case 'hashlimit':
      return new HashlimitRecipe(stage)
    case 'pike':
      return new Pike(stage.softswitchLog)
    case 'fail2ban':
      return new Fail2ban(stage, stage.softswitchLog)
    case 'crowdsec':
      return new Crowdsec(stage, stage.softswitchLog)
  }
}
