import type { Logger } from 'pino'
import type { AccountView, BindingView, StatusSnapshot } from '../dashboard/api/control-plane.ts'
import { OrderRefused } from '../dashboard/api/control-plane.ts'
import type { Address } from '../registrar/net/address.ts'
import type { Config } from './config/config.ts'
import type { RegistrarDoor } from './control/control-plane.ts'
import type { Verdict } from './detect/verdict.ts'

export interface RegistrarProcessOptions {
  readonly config: () => Config
  readonly log: Logger
  readonly onVerdict: (verdict: Verdict) => void
}

/** The registrar as the daemon sees it. */
export class RegistrarProcess implements RegistrarDoor {
  readonly #options: RegistrarProcessOptions
  constructor(options: RegistrarProcessOptions) {
    this.#options = options
  }
  start(): void {}
  async restart(): Promise<void> {}
  async stop(): Promise<void> {}
  status(): StatusSnapshot['registrar'] {
    return {
      state: 'off',
      accounts: 0,
      bindings: 0,
      detail: String(this.#options.config().registrar.enabled),
    }
  }
  async accounts(): Promise<readonly AccountView[]> {
    return []
  }
  async addAccount(): Promise<AccountView> {
    throw new OrderRefused('unavailable', 'off')
  }
  async removeAccount(): Promise<AccountView | undefined> {
    return undefined
  }
  async bindings(): Promise<readonly BindingView[]> {
    return []
  }
  pardon(_address: Address): void {}
}
