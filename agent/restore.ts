import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isSocketAnswered } from '../dashboard/api/listen.ts'
import type { Clock, Milliseconds } from '../registrar/net/time.ts'
import { DesiredStateError } from '../rules/check-desired-state.ts'
import type { DesiredState } from '../rules/desired-state.ts'
import { RulesEngine } from '../rules/engine.ts'
import { itemsOf } from '../rules/find-difference.ts'
import { IptablesKernel } from '../rules/iptables-kernel.ts'
import { probeNflog } from '../rules/probe-nflog.ts'
import type { Config } from './config/config.ts'
import { type HostFacts, readHostFacts } from './config/kernel-sizes.ts'
import { ConfigRefused } from './config/problem.ts'
import { loadConfig } from './config/read-config.ts'
import { failureSentence } from './control/notice.ts'
import { Allowlist } from './decide/allowlist.ts'
import { KernelFeed } from './decide/kernel-feed.ts'
import { KernelItems } from './decide/kernel-items.ts'
import { type Journal, JournalError } from './journal/journal.ts'
import { openJournal } from './journal/open-journal.ts'

/** While the host starts, modules are loaded and others hold the lock of iptables: a first refusal is not the last word. */
const RETRY_FOR: Milliseconds = 10_000

/** Why the rules are not back, with a word for scripts. */
export class RestoreError extends Error {
  readonly code: 'config' | 'not-applied'
  constructor(code: RestoreError['code'], message: string) {
    super(message)
    this.name = 'RestoreError'
    this.code = code
  }
}

/** What was done, in a word and in a sentence. */
export interface Restoration {
  readonly outcome: 'restored' | 'daemon-runs' | 'observing'
  readonly says: string
}

export interface RestoreOptions {
  readonly configFile: string
  /** The control socket; a daemon that answers on it holds the kernel to its own state. */
  readonly socket: string
  readonly clock: Clock
}

/**
 * Brings the kernel to what configuration and journal ask for, once, and leaves it so: for the moment of a host's
 * start at which there is no network yet, and no daemon. Interfaces and addresses need not exist. Throws a
 * `RestoreError` where that was not possible.
 */
export async function restoreRules({ configFile, socket, clock }: RestoreOptions): Promise<Restoration> {
  // Before the file is read: a daemon that runs does not mind what is in it now.
  if (await isSocketAnswered(socket)) {
    return {
      outcome: 'daemon-runs',
      says: `a daemon answers on ${socket} and keeps the kernel as it should be: nothing was done`,
    }
  }
  const config = readConfiguration(configFile)
  if (config.mode === 'observe') {
    return {
      outcome: 'observing',
      says: 'the configuration says mode: observe: nothing was put into the kernel',
    }
  }
  const { journal, notice } = openOrForget(config, clock)
  const engine = new RulesEngine({ kernel: new IptablesKernel(), clock })
  try {
    // The same rules as the daemon's, or it would have to write them again, with their counters.
    const host = { ...readHostFacts(), logsPackets: await probeNflog() }
    const desired = handOn({ host, config, journal, clock, engine })
    await applied(engine, clock)
    return { outcome: 'restored', says: [sayRestored(desired), ...notice].join('; ') }
  } finally {
    await engine.close()
    journal.close()
  }
}

function readConfiguration(file: string): Config {
  try {
    return loadConfig(file)
  } catch (error) {
    if (error instanceof ConfigRefused) throw new RestoreError('config', error.message)
    throw error
  }
}

/** Rules without the blocks of before protect better than no rules. */
function openOrForget(config: Config, now: Clock): { journal: Journal; notice: readonly string[] } {
  try {
    const { journal, notice } = openJournal({ file: join(config.data, 'ringfence.db'), now })
    return { journal, notice: notice === null ? [] : [notice] }
  } catch (error) {
    if (!(error instanceof JournalError)) throw error
    const { journal } = openJournal({ file: ':memory:', now })
    return { journal, notice: [`without the blocks and lanes of before: ${error.message}`] }
  }
}

function handOn({
  host,
  config,
  journal,
  clock,
  engine,
}: {
  readonly host: HostFacts
  readonly config: Config
  readonly journal: Journal
  readonly clock: Clock
  readonly engine: RulesEngine
}): DesiredState {
  const items = new KernelItems()
  for (const target of journal.standingTargets(clock())) items.put(target)
  // No verdict is made here, so nobody has to be spared from one.
  const configured = { allow: config.allow, protect: [], gateways: [] }
  const allowlist = new Allowlist({ journal, configured, ownAddresses: () => [] })
  const feed = new KernelFeed({
    config: () => config,
    host,
    journal,
    clock,
    decisions: {
      allowedPrefixes: (prefixes) => allowlist.prefixes(prefixes),
      blocks: () => items.blocks(),
      suspensions: () => items.suspensions(),
    },
    hand: (state) => engine.setDesired(state),
    onAttack: () => {},
    keep: (write) => write(),
  })
  try {
    feed.start()
    return feed.desired()
  } catch (error) {
    if (error instanceof DesiredStateError) throw new RestoreError('config', error.message)
    throw error
  } finally {
    feed.close()
  }
}

async function applied(engine: RulesEngine, clock: Clock): Promise<void> {
  const deadline = performance.now() + RETRY_FOR
  for (;;) {
    await engine.settled()
    const { state, lastError } = engine.status()
    if (state === 'applied') return
    if (performance.now() > deadline) throw new RestoreError('not-applied', failureSentence(lastError))
    const wait = (lastError?.nextAttemptAt ?? clock()) - clock()
    await pause(Math.max(50, Math.min(wait, 1_000)))
  }
}

function sayRestored({ blocks, suspensions, members }: DesiredState): string {
  const proven = members.flat().filter(({ lane }) => lane === 'proven').length
  const counted = [
    counting(itemsOf(blocks).length, 'block'),
    counting(itemsOf(suspensions).length, 'suspension'),
    counting(proven, 'proven port'),
  ]
  return `the rules are in the kernel, with ${counted[0]}, ${counted[1]} and ${counted[2]}`
}

function counting(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`
}
