import type { AccountView } from '../../dashboard/api/accounts.ts'
import {
  type BlockOrder,
  type Noted,
  OrderRefused,
  type TargetOrder,
} from '../../dashboard/api/control-plane.ts'
import type { AllowedView, AllowView, DecisionView } from '../../dashboard/api/decisions.ts'
import { readTarget as readNormalTarget } from '../../dashboard/api/target.ts'
import type { StrictView } from '../../dashboard/api/weather.ts'
import {
  type Address,
  familyOf,
  type Prefix,
  parsePrefix,
  parseSource,
  prefixHolds,
  showPrefix,
  showSource,
  sourcePrefixOf,
  splitPrefix,
} from '../../registrar/net/address.ts'
import type { Gateway } from '../../rules/desired-state.ts'
import { KernelError } from '../../rules/kernel.ts'
import type { AuditEntry, Decision } from '../journal/entries.ts'
import { noticeOf } from './notice.ts'
import type { DaemonParts } from './parts.ts'
import { showTarget } from './views.ts'

/** Longer blocks are written without an end. */
const LONGEST_BLOCK_SECONDS = 10 * 365 * 86_400

/** So many decisions are named that an order took back, or left. */
const MOST_NAMED = 10

export interface OrdersOptions extends DaemonParts {
  /** Decisions as people see them, with what the kernel dropped for them. */
  readonly viewsOf: (decisions: readonly Decision[]) => DecisionView[]
  readonly refreshCounters: () => Promise<void>
  readonly onChange: () => void
}

/** Whether the rules may be in the kernel, by the operator's word: `left-behind` where off was not carried out in full. */
export type Power =
  | { readonly state: 'on' | 'leaving' | 'off' }
  | { readonly state: 'left-behind'; readonly why: string }

/** Why something of ours stayed in the kernel after `off`; null where nothing did. */
export function leftBehindOf(power: Power): string | null {
  return power.state === 'left-behind' ? power.why : null
}

/** What the operator orders. Every order is in the audit trail; one that cannot be is refused with a sentence. */
export class Orders {
  readonly #o: OrdersOptions
  #power: Power = { state: 'on' }

  constructor(options: OrdersOptions) {
    this.#o = options
  }

  /** Whether the operator took the rules out of the kernel. */
  get isOff(): boolean {
    return this.#power.state !== 'on'
  }

  /** How far his word was carried out. */
  get power(): Power {
    return this.#power
  }

  /** What has to be said with an order while the kernel drops nothing; null where it does. */
  get notice(): string | null {
    const { mode } = this.#o.config()
    return noticeOf({
      mode,
      isOff: this.isOff,
      leftBehind: leftBehindOf(this.#power),
      rules: this.#o.engine.status(),
    })
  }

  async block(order: BlockOrder): Promise<DecisionView & Noted> {
    const target = readTarget(order.target)
    const refusal = this.#o.decisions.refusalOfOrder(target)
    if (refusal !== undefined) {
      throw new OrderRefused(splitPrefix(target).length === 0 ? 'bad-input' : 'conflict', refusal)
    }
    const { seconds } = order
    if (
      seconds !== undefined &&
      (!Number.isFinite(seconds) || seconds < 1 || seconds > LONGEST_BLOCK_SECONDS)
    ) {
      throw new OrderRefused(
        'bad-input',
        'A block lasts between 1 second and 10 years; leave the time out for one without an end.',
      )
    }
    if (this.#o.decisions.allowedPrefixes().includes(target)) {
      throw new OrderRefused(
        'conflict',
        `${showPrefix(target)} is on the allowlist, which comes first; take it off with: ringfence disallow ${showPrefix(target)}`,
      )
    }
    const now = this.#o.clock()
    const decision = this.#o.decisions.order({
      target,
      until: seconds === undefined ? null : now + seconds * 1000,
      reason: order.reason ?? 'blocked by the operator',
      who: order.by,
    })
    this.audit(order.by, 'block', showPrefix(target))
    const { notice } = await this.#done()
    const [view] = this.#o.viewsOf([decision])
    const { allowedBy } = view!
    if (allowedBy !== undefined) {
      const passes = `${allowedBy} is on the allowlist, which comes first: nothing of ${view!.target} is dropped`
      return { ...view!, notice: notice === null ? `noted; ${passes}` : `${notice}; and ${passes}` }
    }
    const reach = [...gatewaysCutOff(target, this.#gatewaysNotAllowed()), ...restOfSource(target)]
    if (reach.length === 0) return { ...view!, notice }
    return { ...view!, notice: [...(notice === null ? [] : [notice]), ...reach].join('; and ') }
  }

  async unblock(order: TargetOrder): Promise<{ readonly removed: readonly DecisionView[] }> {
    const port = parseSource(order.target.trim())
    const target = port ?? readTarget(order.target)
    const address = typeof target === 'string' ? splitPrefix(target).address : target.address
    const shown = typeof target === 'string' ? showPrefix(target) : showSource(target)
    await this.#o.refreshCounters()
    const lifted = this.#o.decisions.lift(target, order.by)
    if (lifted.length === 0) {
      const around = this.#o.decisions.about(address).map(showTarget)
      const hint = around.length > 0 ? `; what holds it is ${around.join(', ')}: unblock that` : ''
      throw new OrderRefused('not-found', `${shown} is not blocked or suspended${hint}.`)
    }
    this.#pardon(address)
    this.audit(order.by, 'unblock', shown)
    const removed = this.#o.viewsOf(lifted)
    await this.#done()
    return { removed }
  }

  async allow(order: TargetOrder & { readonly reason?: string }): Promise<AllowedView> {
    const target = readTarget(order.target)
    if (splitPrefix(target).length === 0) {
      throw new OrderRefused(
        'bad-input',
        `${order.target} is every address there is; to stop protecting use: ringfence off`,
      )
    }
    const since = this.#o.clock()
    const entry = { target, since, who: order.by, reason: order.reason ?? 'allowed by the operator' }
    const { lifted, wider } = this.#o.decisions.allow(entry)
    this.#pardon(splitPrefix(target).address)
    this.audit(order.by, 'allow', showPrefix(target))
    await this.#done()
    return {
      target: showPrefix(target),
      since,
      by: 'operator',
      reason: entry.reason,
      lifted: someOf(lifted),
      wider: someOf(wider),
    }
  }

  async disallow(order: TargetOrder): Promise<{ readonly removed: readonly AllowView[] }> {
    const target = readTarget(order.target)
    const removed = this.#o.decisions.disallow(target)
    if (!removed) {
      const configured = this.#o.decisions.configuredAllow.includes(target)
      if (configured) {
        throw new OrderRefused(
          'conflict',
          `${showPrefix(target)} is allowed by the configuration file; take it out of allow: there and reload.`,
        )
      }
      throw new OrderRefused('not-found', `${showPrefix(target)} is not on the allowlist.`)
    }
    this.audit(order.by, 'disallow', showPrefix(target))
    await this.#done()
    return {
      removed: [{ target: showPrefix(target), since: removed.since, by: 'operator', reason: removed.reason }],
    }
  }

  async enforceSip(order: {
    readonly enforced: boolean
    readonly by: string
  }): Promise<{ readonly enforced: boolean } & Noted> {
    if (!order.enforced && this.#o.config().limits.sip.enforce) {
      throw new OrderRefused(
        'conflict',
        'The configuration file says limits.sip.enforce: true; change it there and reload.',
      )
    }
    this.#o.setSipEnforced(order.enforced)
    this.audit(order.by, order.enforced ? 'enforce sip' : 'observe sip', '')
    const { notice } = await this.#done()
    return { enforced: this.#o.sipEnforced(), notice: order.enforced ? notice : null }
  }

  async strict(order: {
    readonly order: StrictView['order']
    readonly by: string
  }): Promise<StrictView & Noted> {
    this.#o.setStrict(order.order)
    this.audit(order.by, `strict ${order.order}`, '')
    const { notice } = await this.#done()
    return { ...this.#o.strict(), notice: order.order === 'on' ? notice : null }
  }

  async off(order: { readonly by: string }): Promise<{ readonly removed: readonly string[] }> {
    this.audit(order.by, 'off', '')
    const leaving: Power = { state: 'leaving' }
    this.#power = leaving
    // Whoever says `on` meanwhile has the last word.
    const became = (power: Power) => {
      if (this.#power === leaving) this.#power = power
      this.#o.onChange()
    }
    try {
      const removed = await this.#o.removeRules()
      became({ state: 'off' })
      return { removed }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      became({ state: 'left-behind', why })
      if (!(error instanceof KernelError)) throw error
      throw new OrderRefused(
        'unavailable',
        `Not everything of Ringfence could be taken out of the kernel: ${why} Mend that and say \`ringfence off\` again.`,
      )
    }
  }

  async on(order: { readonly by: string }): Promise<Noted> {
    this.audit(order.by, 'on', '')
    this.#power = { state: 'on' }
    this.#o.engine.on()
    return this.#done()
  }

  async addAccount(order: {
    readonly aor: string
    readonly password: string
    readonly by: string
  }): Promise<AccountView> {
    const added = await this.#o.registrar.addAccount({ user: order.aor, password: order.password })
    this.audit(order.by, 'account add', order.aor)
    return added
  }

  async removeAccount(order: { readonly aor: string; readonly by: string }): Promise<AccountView> {
    const removed = await this.#o.registrar.removeAccount(order.aor)
    if (!removed) throw new OrderRefused('not-found', `There is no account ${order.aor.slice(0, 80)}.`)
    this.audit(order.by, 'account remove', order.aor)
    return removed
  }

  audit(who: string, what: AuditEntry['what'], target: string): void {
    try {
      this.#o.journal.audit({ time: this.#o.clock(), who, what, target })
    } catch {
      this.#o.decisions.journalFailures++
    }
  }

  /** Those that a block can touch: the allowlist comes before it. */
  #gatewaysNotAllowed(): readonly Gateway[] {
    const isAllowed = (prefix: Prefix) =>
      this.#o.decisions.allowedAround({ kind: 'prefix', prefix }) !== undefined
    return this.#o.config().gateways.map((gateway) => ({
      ...gateway,
      prefixes: gateway.prefixes.filter((one) => !isAllowed(one)),
    }))
  }

  /** Waits for the kernel, and says where it drops nothing all the same. */
  async #done(): Promise<Noted> {
    await this.#o.engine.settled()
    this.#o.onChange()
    return { notice: this.notice }
  }

  #pardon(address: Address): void {
    this.#o.pardonSource(address)
    this.#o.registrar.pardon(address)
  }
}

/** An operator's block goes before the lane of the gateways: whoever blocks a trunk, or part of one, has to know it. */
function gatewaysCutOff(target: Prefix, gateways: readonly Gateway[]): readonly string[] {
  const holding: string[] = []
  const held: string[] = []
  for (const { name, prefixes } of gateways) {
    if (prefixes.some((prefix) => prefixHolds(target, prefix))) held.push(name)
    else if (prefixes.some((prefix) => prefixHolds(prefix, target))) holding.push(name)
  }
  return [
    ...nameGateways(held).map((named) => `it cuts off ${named}`),
    ...nameGateways(holding).map((named) => `it cuts off a part of ${named}`),
  ]
}

function nameGateways(names: readonly string[]): readonly string[] {
  if (names.length === 0) return []
  const others = names.length - MOST_NAMED
  const named = names.slice(0, MOST_NAMED).join(', ')
  const more = others > 0 ? ` and ${others} more` : ''
  return [`the configured ${names.length === 1 ? 'gateway' : 'gateways'} ${named}${more}`]
}

/** Verdicts judge IPv6 by /64, since whoever has one address of it has them all; the operator's word is taken as it is. */
function restOfSource(target: Prefix): readonly string[] {
  const { address, length } = splitPrefix(target)
  if (familyOf(address) === 4 || length <= 64) return []
  const source = sourcePrefixOf(address)
  return [
    `other addresses of ${source} are not blocked, though whoever has one of them has them all: to block them too, block ${source}`,
  ]
}

/** The newest first. */
function someOf(decisions: readonly Decision[]): AllowedView['lifted'] {
  return { count: decisions.length, first: decisions.slice(0, MOST_NAMED).map(showTarget) }
}

/** The API's own reading of what a person writes, refusals included. */
function readTarget(text: string): Prefix {
  return parsePrefix(readNormalTarget(text))!
}
