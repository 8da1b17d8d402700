import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseDocument } from 'yaml'
import { askDaemon, type Order } from '../../../agent/cli/client.ts'
import { CliFailure } from '../../../agent/cli/outcome.ts'
import type { DecisionView } from '../../../dashboard/api/decisions.ts'
import type { StatusSnapshot } from '../../../dashboard/api/status.ts'
import type { AppliedView, PlanView } from '../../../dashboard/api/what-if.ts'
import type { Seconds } from '../../../registrar/net/time.ts'
import type { Ban, SiegeGuard } from '../guards/guard.ts'
import type { ProcessFigures } from '../guards/processes.ts'
import { figuresOfDaemon, readRingfenceDrops } from '../guards/ringfence.ts'
import type { RunThere } from '../kernel-tables.ts'
import { until } from '../program.ts'

/** The name under which the configuration of a test is on trial. */
export const TRIAL = 'the configuration of ringfence simulate'
const PATIENCE = 60_000

export interface InstalledOptions {
  readonly socket: string
  readonly caller: string
  /** Runs a program where the daemon does. */
  readonly run: RunThere
  /** An interface that it is to protect for so long at most, as its others. */
  readonly entrance: string
  readonly atMost: Seconds
}

/**
 * The Ringfence that runs on this host. From `start` to `end` it protects one more interface, by a configuration on
 * trial: whatever ends the test, the daemon takes it back by itself.
 */
export class InstalledRingfence implements SiegeGuard {
  readonly #o: InstalledOptions
  #onTrial = false
  #pid = 0
  /** Of the backend that the daemon uses, which need not be the host's usual one. */
  #save = 'iptables-save'

  constructor(options: InstalledOptions) {
    this.#o = options
  }

  /** Null where no daemon answers. */
  async find(): Promise<StatusSnapshot | null> {
    try {
      const status = await this.status()
      const backend = /(?:nft|legacy)$/.exec(status.rules.backend)?.[0]
      if (backend !== undefined) this.#save = `iptables-${backend}-save`
      return status
    } catch (error) {
      if (error instanceof CliFailure && error.code === 'not-running') return null
      throw error
    }
  }

  /** Takes back what a test left on trial that was killed. */
  async forgetAbandoned({ trial }: StatusSnapshot): Promise<void> {
    if (trial?.file === TRIAL) await this.#ask({ method: 'POST', path: 'revert' })
  }

  async start(): Promise<void> {
    const { entrance, atMost, socket, run } = this.#o
    const { file, same, needsRestart } = await this.#ask<PlanView>({ method: 'POST', path: 'plan', body: {} })
    if (!same || needsRestart.length > 0) {
      throw new Error(
        `${file} is not what the daemon has in force: first reload it (ringfence plan says what differs)`,
      )
    }
    const text = withInterface(readFileSync(file, 'utf8'), entrance)
    const body = { text, file: TRIAL, confirmWithin: atMost }
    const { warnings } = await this.#ask<AppliedView>({ method: 'POST', path: 'apply', body })
    this.#onTrial = true
    if (warnings.some((warning) => warning.includes(entrance) && warning.startsWith('there is no'))) {
      throw new Error(`the daemon on ${socket} does not run where the target is: name its own with --socket`)
    }
    this.#pid = listenerOn(await run('ss', ['-Hxlp']).catch(() => ''), socket)
    await until(() => this.#isReady(), { within: 30_000, what: `${entrance} protected`, every: 100 })
  }

  async #isReady(): Promise<boolean> {
    const { traffic, sensor, rules } = await this.status()
    if (!traffic.interfaces.includes(this.#o.entrance) || sensor.state !== 'running') return false
    return rules.pendingChanges === 0 && rules.state !== 'pending'
  }

  /** The configuration is as before. */
  async end(): Promise<void> {
    if (!this.#onTrial) return
    this.#onTrial = false
    // It may have been over already.
    await this.#ask({ method: 'POST', path: 'revert' }).catch(() => {})
  }

  status(): Promise<StatusSnapshot> {
    return this.#ask({ method: 'GET', path: 'status' })
  }

  async banned(): Promise<readonly Ban[]> {
    const decisions = await this.#ask<readonly DecisionView[]>({ method: 'GET', path: 'blocked' })
    return decisions.map(({ id, target, by, reason }) => ({ id: String(id), target, by, reason }))
  }

  async unblock(target: string): Promise<void> {
    // It may have ended by itself.
    await this.#ask({ method: 'POST', path: 'unblock', body: { target } }).catch(() => {})
  }

  async dropsByRule(): Promise<Readonly<Record<string, number>>> {
    return readRingfenceDrops(await this.#o.run(this.#save, ['-c', '-t', 'raw']))
  }

  /** Nothing where the daemon's process is not known. */
  figures(): Readonly<Record<string, ProcessFigures>> {
    return this.#pid === 0 ? {} : figuresOfDaemon(this.#pid)
  }

  async #ask<T>(order: Order): Promise<T> {
    const { socket, caller } = this.#o
    return (await askDaemon({ socket, caller, patience: PATIENCE }, order)) as T
  }
}

/**
 * The process that listens on a Unix socket, from what `ss -xlp` says; 0 where none is found. A daemon makes its socket
 * in a folder beside the name that it has in the end.
 */
export function listenerOn(listening: string, socket: string): number {
  const lines = listening.split('\n').filter((line) => line.includes(` ${dirname(socket)}/`))
  const line = lines.find((one) => one.includes(` ${socket} `)) ?? lines.find((one) => one.includes('/.rf-'))
  return Number(/pid=(\d+)/.exec(line ?? '')?.[1] ?? 0)
}

/** A configuration that protects one more interface; all else, comments too, as it was. */
export function withInterface(text: string, name: string): string {
  const document = parseDocument(text)
  const interfaces = document.getIn(['protect', 'interfaces'])
  if (interfaces === undefined) throw new Error('the configuration names no protect.interfaces')
  document.addIn(['protect', 'interfaces'], name)
  return document.toString()
}
