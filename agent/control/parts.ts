import type { AccountView, BindingView, StatusSnapshot } from '../../dashboard/api/control-plane.ts'
import type { Address } from '../../registrar/net/address.ts'
import type { Clock } from '../../registrar/net/time.ts'
import type { RulesEngine } from '../../rules/engine.ts'
import type { Config } from '../config/config.ts'
import type { Decisions } from '../decide/decisions.ts'
import type { HostFigures } from '../host/host-figures.ts'
import type { Journal } from '../journal/journal.ts'
import type { SourceKnowledge } from '../sensor/messages.ts'
import type { Picture } from './picture.ts'

/** What the control plane knows of the sensor process. */
export interface SensorView {
  state: StatusSnapshot['sensor']['state']
  engine: string
  framesSeen: number
  framesLost: number
  malformed: number
  sourcesTracked: number
  detail: string
}

/** The registrar as the control plane uses it; `state: 'off'` where it is not enabled. */
export interface RegistrarDoor {
  status(): StatusSnapshot['registrar']
  accounts(): Promise<readonly AccountView[]>
  addAccount(order: { readonly user: string; readonly password: string }): Promise<AccountView>
  removeAccount(user: string): Promise<AccountView | undefined>
  bindings(): Promise<readonly BindingView[]>
  /** Forgets what counts against a source. */
  pardon(address: Address): void
}

/** The parts of the daemon that the control plane speaks for. */
export interface DaemonParts {
  readonly version: string
  readonly clock: Clock
  readonly config: () => Config
  readonly journal: Journal
  readonly decisions: Decisions
  readonly engine: RulesEngine
  readonly picture: Picture
  readonly sensor: SensorView
  readonly explainSource: (address: Address) => Promise<SourceKnowledge | null>
  readonly pardonSource: (address: Address) => void
  readonly registrar: RegistrarDoor
  readonly host: () => HostFigures
  /** Whether the SIP limit drops; and the change of it, which is kept over a restart. */
  readonly sipEnforced: () => boolean
  readonly setSipEnforced: (enforced: boolean) => void
  /** Takes every rule and set out of the kernel; gives their names. */
  readonly removeRules: () => Promise<readonly string[]>
  /** What an observing daemon would have done, newest last; empty when it enforces. */
  readonly wouldHaveDone: () => readonly string[]
}
