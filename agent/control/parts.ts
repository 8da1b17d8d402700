import type { AccountView, BindingView } from '../../dashboard/api/accounts.ts'
import type { StatusSnapshot } from '../../dashboard/api/status.ts'
import type { StrictView, WeatherView } from '../../dashboard/api/weather.ts'
import type { Address, Source } from '../../registrar/net/address.ts'
import type { Clock } from '../../registrar/net/time.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import type { RulesEngine, RulesLog } from '../../rules/engine.ts'
import type { HeldByKernel } from '../../rules/trace/trace.ts'
import type { BacktestTask } from '../backtest/backtest.ts'
import type { FromBacktest } from '../backtest/backtest-child.ts'
import type { Config } from '../config/config.ts'
import type { Decisions } from '../decide/decisions.ts'
import type { LaneCounts } from '../decide/lanes.ts'
import type { HostFigures } from '../host/host-figures.ts'
import type { Journal } from '../journal/journal.ts'
import type { SourceKnowledge, ToldBinding } from '../sensor/messages.ts'
import type { Picture } from './picture.ts'
import type { SensorView } from './sensor-watch.ts'
import type { SoftswitchWatch } from './softswitch-watch.ts'

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
  /** What is known of the softswitch: its ports and its nonces. */
  readonly softswitch: SoftswitchWatch
  /** Who is registered with it, as its answers told; undefined where the sensor does not answer. */
  readonly learntBindings: () => Promise<readonly ToldBinding[] | undefined>
  /** UDP packets a second to protected ports, as the rules counted them: for who sees only some of them. */
  readonly arrivals: (perSecond: number) => void
  /** Null where the sensor knows nothing of it, undefined where it does not answer. */
  readonly explainSource: (address: Address) => Promise<SourceKnowledge | null | undefined>
  readonly pardonSource: (address: Address) => void
  readonly registrar: RegistrarDoor
  readonly host: () => HostFigures
  /** Whether the SIP limit drops; and the change of it, which is kept over a restart. */
  readonly sipEnforced: () => boolean
  readonly setSipEnforced: (enforced: boolean) => void
  /** Which limits decide about unknown sources; and the operator's order, which is kept over a restart. */
  readonly strict: () => StrictView
  readonly setStrict: (order: StrictView['order']) => void
  /** How many sources each lane has. */
  readonly lanes: () => LaneCounts
  /** Alerts of the last hour, and guessers that are only limited. */
  readonly looks: () => StatusSnapshot['looks']
  /** Peace, attack or recovery; what is usual, what is not, and what the softswitch can do. */
  readonly weather: () => WeatherView
  /** What the kernel should hold now, and what it should hold under another configuration. */
  readonly desired: () => DesiredState
  readonly desiredUnder: (config: Config) => DesiredState
  /** Which of the sets that the kernel fills by itself hold a source; null where the kernel cannot be asked. */
  readonly heldByKernel: (source: Source) => Promise<HeldByKernel | null>
  /** The network interfaces that this host has now; undefined where they cannot be read. */
  readonly hostInterfaces: () => readonly string[] | undefined
  /** The configuration file; and another configuration put in force, in memory alone. */
  readonly configFile: string
  readonly reconfigure: (config: Config) => void
  /** The record of traffic: why it does not go on now (null where it does), rows that it lost, and a look back at it. */
  readonly history: {
    readonly trouble: () => string | null
    readonly lost: () => number
    readonly backtest: (task: BacktestTask) => Promise<FromBacktest>
  }
  readonly log: RulesLog
  /** Takes every rule and set out of the kernel; gives their names. */
  readonly removeRules: () => Promise<readonly string[]>
  /** What an observing daemon would have done, newest last; empty when it enforces. */
  readonly wouldHaveDone: () => readonly string[]
}
