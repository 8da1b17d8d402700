import { extname, join } from 'node:path'
import type { Logger } from 'pino'
import type { AccountView, BindingView } from '../dashboard/api/accounts.ts'
import { OrderRefused } from '../dashboard/api/control-plane.ts'
import type { StatusSnapshot } from '../dashboard/api/status.ts'
import type {
  AccountEntry,
  Answer,
  BindingEntry,
  FromRegistrar,
  Question,
  ToRegistrar,
} from '../registrar/messages.ts'
import { type Address, showSource, sourcePrefixOf } from '../registrar/net/address.ts'
import type { EpochMilliseconds } from '../registrar/net/time.ts'
import type { RegistrarSettings } from '../registrar/open-registrar.ts'
import type { PolicySettings } from '../registrar/policy.ts'
import type { Config } from './config/config.ts'
import type { RegistrarDoor } from './control/parts.ts'
import { lockoutVerdict, suspendVerdict } from './detect/failure-verdicts.ts'
import type { Verdict } from './detect/verdict.ts'
import { KeptChild } from './kept-child.ts'
import { Questions } from './questions.ts'

const MOST_BINDINGS_SHOWN = 10_000

export interface RegistrarChildOptions {
  readonly config: () => Config
  /** The one that holds now: under attack it is a tighter one. */
  readonly policy: () => PolicySettings
  readonly log: Logger
  readonly onVerdict: (verdict: Verdict) => void
  readonly onChange: () => void
}

/** Ringfence's own registrar as the daemon sees it: a process of its own, or none where it is not enabled. */
export class RegistrarChild implements RegistrarDoor {
  readonly #options: RegistrarChildOptions
  readonly #child: KeptChild<ToRegistrar, FromRegistrar>
  readonly #questions = new Questions<Answer>()
  /** What the process said of its own failing, until it has ended. */
  #failure: string | undefined
  #status: StatusSnapshot['registrar'] = OFF

  constructor(options: RegistrarChildOptions) {
    this.#options = options
    this.#child = new KeptChild({
      what: 'the registrar',
      script: new URL(`../registrar/main${extname(import.meta.url)}`, import.meta.url),
      greeting: () => ({ type: 'start', settings: this.#settings() }),
      onMessage: (message) => this.#take(message),
      onStarting: () => {
        // Where it failed before, the reason stays until it runs: it may be tried for hours while a port is taken.
        if (this.#status.state === 'failed') return
        this.#is({ state: 'starting', detail: 'the registrar is starting' })
      },
      // It counts for us every second.
      onSilent: (detail) => {
        this.#is({ state: 'failed', detail })
        options.log.error(detail)
      },
      onEnded: (detail) => {
        this.#questions.giveUp()
        // What it said itself tells more than how it ended.
        this.#is({ state: 'failed', detail: this.#failure ?? detail })
        options.log.error(this.#failure ?? detail)
        this.#failure = undefined
      },
    })
  }

  start(): void {
    if (this.#options.config().registrar.enabled) this.#child.start()
  }

  async restart(): Promise<void> {
    await this.stop()
    this.start()
  }

  async stop(): Promise<void> {
    await this.#child.stop()
    this.#questions.giveUp()
    this.#status = OFF
  }

  status(): StatusSnapshot['registrar'] {
    return this.#status
  }

  async accounts(): Promise<readonly AccountView[]> {
    if (this.#status.state === 'off') return []
    const answer = await this.#ask({ kind: 'accounts' })
    return answer.kind === 'accounts' ? answer.accounts.map(accountView) : []
  }

  async addAccount({
    user,
    password,
  }: {
    readonly user: string
    readonly password: string
  }): Promise<AccountView> {
    const answer = await this.#ask({ kind: 'add-account', aor: user, password })
    if (answer.kind !== 'account')
      throw new OrderRefused('unavailable', 'The registrar gave no account back.')
    return accountView(answer.account)
  }

  async removeAccount(user: string): Promise<AccountView> {
    const answer = await this.#ask({ kind: 'remove-account', aor: user })
    if (answer.kind !== 'account')
      throw new OrderRefused('unavailable', 'The registrar gave no account back.')
    return accountView(answer.account)
  }

  async bindings(): Promise<readonly BindingView[]> {
    if (this.#status.state === 'off') return []
    const answer = await this.#ask({ kind: 'bindings', limit: MOST_BINDINGS_SHOWN })
    const now = Date.now()
    return answer.kind === 'bindings' ? answer.bindings.map((binding) => bindingView(binding, now)) : []
  }

  /** Other numbers for retry and suspension, while it runs and whenever it starts anew. */
  setPolicy(policy: PolicySettings): void {
    if (!this.#child.running) return
    void this.#questions.ask((id) =>
      this.#child.tell({ type: 'ask', id, question: { kind: 'set-policy', policy: policyOf(policy) } }),
    )
  }

  pardon(address: Address): void {
    if (!this.#child.running) return
    const question: Question = { kind: 'release', prefix: sourcePrefixOf(address) }
    void this.#questions.ask((id) => this.#child.tell({ type: 'ask', id, question }))
  }

  #settings(): RegistrarSettings {
    const { registrar, data } = this.#options.config()
    return {
      ...registrar,
      accounts: registrar.accounts.map(({ user, ha1 }) => ({ user, ha1 })),
      listen: registrar.listen.map(({ host, port }) => ({ host, port })),
      policy: policyOf(this.#options.policy()),
      directory: join(data, 'registrar'),
    }
  }

  async #ask(question: Question): Promise<Answer> {
    if (this.#status.state === 'off') {
      throw new OrderRefused(
        'unavailable',
        'The registrar is off; set registrar.enabled: true in the configuration and reload.',
      )
    }
    const answer = this.#child.running
      ? await this.#questions.ask((id) => this.#child.tell({ type: 'ask', id, question }))
      : undefined
    // One that is just being tried again knows less of why it does not run than is known here.
    const isUp = answer && !(answer.kind === 'refused' && answer.refusal === 'not-started')
    if (!isUp)
      throw new OrderRefused(
        'unavailable',
        `The registrar does not answer: ${this.#status.detail || 'look at the log'}.`,
      )
    if (answer.kind === 'refused') throw refusal(answer)
    return answer
  }

  #take(message: FromRegistrar): void {
    switch (message.type) {
      case 'ready': {
        const at = message.listening.map(({ host, port }) => `${host}:${port}`).join(', ')
        this.#is({ state: 'running', detail: '', accounts: message.accounts, bindings: message.bindings })
        this.#options.log.info(
          { at, accounts: message.accounts, bindings: message.bindings },
          'the registrar is up',
        )
        return
      }
      case 'failed':
        this.#failure = message.message
        return
      case 'counts':
        this.#is({ state: 'running', detail: '', accounts: message.accounts, bindings: message.bindings })
        return
      case 'suspended':
        this.#options.onVerdict(suspendVerdict(message.suspension, { time: message.at, wholeSource: false }))
        return
      case 'locked-out':
        this.#options.onVerdict(lockoutVerdict(message.lockout, { time: message.at }))
        return
      case 'bindings':
        this.#options.onChange()
        return
      case 'answer':
        this.#questions.answer(message.id, message.answer)
        return
      case 'fault':
        this.#options.log.error(`the registrar survived a fault: ${message.message}`)
        return
    }
  }

  #is(status: Partial<StatusSnapshot['registrar']>): void {
    this.#status = { ...this.#status, ...status }
    this.#options.onChange()
  }
}

const OFF: StatusSnapshot['registrar'] = { state: 'off', accounts: 0, bindings: 0, detail: '' }

/** What of a policy is the registrar's business. */
function policyOf({ registerRetry, registerSuspend, registerSuspendTime, block }: PolicySettings) {
  return { registerRetry, registerSuspend, registerSuspendTime, block }
}

function refusal({ refusal, message }: Extract<Answer, { kind: 'refused' }>): OrderRefused {
  switch (refusal) {
    case 'unknown':
      return new OrderRefused('not-found', message)
    case 'not-started':
    case 'fault':
      return new OrderRefused('unavailable', message)
    default:
      return new OrderRefused(refusal === 'exists' ? 'conflict' : 'bad-input', message)
  }
}

function accountView({ aor, origin, bindings }: AccountEntry): AccountView {
  return { aor, origin, bindings }
}

function bindingView(binding: BindingEntry, now: EpochMilliseconds): BindingView {
  const { aor, contact, source, transport, userAgent, registeredAt, expiresAt } = binding
  return {
    aor,
    contact,
    source: showSource(source),
    transport,
    userAgent,
    registeredAt,
    secondsLeft: Math.max(0, Math.round((expiresAt - now) / 1000)),
  }
}
