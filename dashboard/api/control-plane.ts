import type { Seconds } from '../../registrar/net/time.ts'
import type { AccountView, BindingView } from './accounts.ts'
import type { BacktestOrder, ComparisonView } from './comparison.ts'
import type { AllowedView, AllowView, DecisionView } from './decisions.ts'
import type { SourceStory } from './source-story.ts'
import type { LiveSnapshot, StatusSnapshot } from './status.ts'
import type { StrictView } from './weather.ts'
import type { AppliedView, ApplyOrder, CandidateText, PlanView, TraceOrder, TraceView } from './what-if.ts'

/**
 * What the dashboard and the command line may see and do. Plain JSON values only: the agent implements this, the
 * API serves it, and neither knows how the other is built.
 */
export interface ControlPlane {
  status(): Promise<StatusSnapshot>
  /** Blocks and suspensions that stand now, newest first. */
  blocked(): Promise<readonly DecisionView[]>
  /** Blocks an address or prefix with scope `sip`, by the operator's word. */
  block(order: BlockOrder): Promise<DecisionView & Noted>
  /** Takes back every block and suspension of exactly this target. */
  unblock(order: TargetOrder): Promise<{ readonly removed: readonly DecisionView[] }>
  /** Puts a target on the operator's allowlist, and takes back what stands against nothing but addresses in it. */
  allow(order: TargetOrder & { readonly reason?: string }): Promise<AllowedView>
  disallow(order: TargetOrder): Promise<{ readonly removed: readonly AllowView[] }>
  allowed(): Promise<readonly AllowView[]>
  /** Of an address, or of an address and port: then that port's story is told apart too. */
  explain(source: string): Promise<SourceStory>
  /** From observing the SIP limit to dropping by it, and back. Survives a restart. */
  enforceSip(order: {
    readonly enforced: boolean
    readonly by: string
  }): Promise<{ readonly enforced: boolean } & Noted>
  /** Takes every rule and set out of the kernel and keeps them out until `on` or a restart. */
  off(order: { readonly by: string }): Promise<{ readonly removed: readonly string[] }>
  on(order: { readonly by: string }): Promise<Noted>
  /** Has the strict limits decide, or not, or as the attack asks for it. Survives a restart. */
  strict(order: { readonly order: StrictView['order']; readonly by: string }): Promise<StrictView & Noted>
  /** Brings a candidate configuration in: for good, or on trial until `confirm`. A bad one changes nothing. */
  apply(order: ApplyOrder): Promise<AppliedView>
  /** Keeps the configuration that is on trial: it is written over the configuration file. */
  confirm(order: { readonly by: string }): Promise<AppliedView>
  /** Takes the configuration that is on trial back before its time. */
  revert(order: { readonly by: string }): Promise<{ readonly reverted: string }>
  /** What a configuration would change; without a candidate, the configuration file as it is on disk. */
  plan(candidate?: CandidateText): Promise<PlanView>
  /** What a configuration would have decided otherwise about the traffic of late, and which phones that touches. */
  backtest(order: BacktestOrder): Promise<ComparisonView>
  /** What the rules would do with an imaginary packet. */
  trace(packet: TraceOrder): Promise<TraceView>
  /** The registrar's accounts; empty where it is off. */
  accounts(): Promise<readonly AccountView[]>
  addAccount(order: {
    readonly aor: string
    readonly password: string
    readonly by: string
  }): Promise<AccountView>
  removeAccount(order: { readonly aor: string; readonly by: string }): Promise<AccountView>
  /** Those of the registrar; where it is off, those that the softswitch's answers told of. A bounded number. */
  bindings(): Promise<readonly BindingView[]>
  /** Calls the listener when the picture changes, at most twice a second. Returns how to stop it. */
  watch(listener: (snapshot: LiveSnapshot) => void): () => void
}

/**
 * A refused order: bad input or an impossible wish. The message is one sentence that says what to do; of a bad
 * configuration a line a problem.
 */
export class OrderRefused extends Error {
  readonly code: 'bad-input' | 'bad-config' | 'not-found' | 'conflict' | 'unavailable'
  constructor(code: OrderRefused['code'], message: string) {
    super(message)
    this.name = 'OrderRefused'
    this.code = code
  }
}

/** An order that was taken while nothing can come of it says so here, as a sentence; else null. */
export interface Noted {
  readonly notice: string | null
}

export interface TargetOrder {
  /** An address or prefix as a person writes it. */
  readonly target: string
  /** Who says so, for the audit trail: `admin@dashboard`, `root@cli`. */
  readonly by: string
}

export interface BlockOrder extends TargetOrder {
  /** Without it the block stands until it is taken back. */
  readonly seconds?: Seconds
  readonly reason?: string
}
