import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Milliseconds } from '../../../registrar/net/time.ts'
import { showDuration } from '../../../registrar/net/time.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { findSocket } from '../find-socket.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import {
  LONGEST,
  MOST_PER_SECOND,
  readOrder,
  SIMULATED_ATTACKS,
  type SimulationOptions,
  type SimulationOrder,
} from '../simulation-order.ts'

/** How long the question stands. */
const PATIENCE: Milliseconds = 120_000
const LONGEST_PASSWORD = 1_024

interface SimulateOptions extends SimulationOptions {
  readonly account?: string
  readonly passwordFile?: string
  readonly yes?: boolean
}

export function simulateCommand(deps: CliDeps): Command {
  const width = Math.max(...Object.keys(SIMULATED_ATTACKS).map((name) => name.length))
  const attacks = Object.entries(SIMULATED_ATTACKS).map(([name, says]) => `  ${name.padEnd(width)}  ${says}`)
  return newCommand('simulate', {
    says: 'attack the softswitch of this host, within bounds, and say what became of it: an acceptance test',
    examples: [
      'ringfence simulate --attack sources --rate 2000 --for 10s --target 192.0.2.10',
      'ringfence simulate --attack forged-once --rate 5000 --for 30s --target 192.0.2.10:5080 --account 9999 --password-file ./9999.password',
    ],
  })
    .requiredOption('--attack <name>', 'what is sent, see below')
    .requiredOption('--target <address[:port]>', 'an IPv4 address of this host, or of a namespace on it')
    .option('--rate <n>', `packets a second, at most ${MOST_PER_SECOND}`, '1000')
    .option('--for <duration>', `how long, at most ${showDuration(LONGEST)}`, '10s')
    .option(
      '--account <user>',
      'an account for tests: honest phones register with it before, during and after',
    )
    .option('--password-file <file>', 'its password, on the first line')
    .option('--domain <name>', 'the domain that it registers with; without it the address')
    .option('--namespace <name>', 'the network namespace of the target, where several have its address')
    .option('--seed <n>', 'of all that is random', '1')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      `
Attacks:
${attacks.join('\n')}

The packets come from 198.18.0.0/15 (RFC 2544), in a network namespace that is made for the test, over a cable that the
daemon protects meanwhile as it does its other interfaces (a configuration on trial, taken back at the end or by itself):
no rule matches on lo. Nothing leaves this host. Exit code 0: all honest phones were served, and nobody honest was blocked.
What passes the limits does reach the softswitch, and unknown phones share those limits with the attack. The sensor begins
afresh before and after: who is registered stays known, counts of failures begin again.`,
    )
    .action(async (options: SimulateOptions, command: Command) => {
      const { options: common } = openSession(deps, command)
      const order = readOrder(options, readAccount(options))
      if (typeof order === 'string') throw new CliFailure(EXIT.usage, 'bad-input', order)
      if (options.yes !== true) await askWhether(order, deps)
      const { socket: wanted, config, json } = common
      const socket = await findSocket({ socket: wanted, configFile: config, defaults: deps.defaults })
      const exitCode = await deps.runBeside({
        program: 'simulate',
        input: { order, socket, caller: deps.caller, json: json === true },
      })
      // It has said why.
      if (exitCode !== EXIT.done) throw new CliFailure(EXIT.failed, 'simulation', '')
    })
}

async function askWhether(order: SimulationOrder, { askLine, err }: CliDeps): Promise<void> {
  if (!askLine) {
    throw new CliFailure(EXIT.usage, 'not-confirmed', 'nobody is there to be asked: say --yes')
  }
  const { attack, perSecond, seconds, target } = order
  err(`${attack}: ${SIMULATED_ATTACKS[attack]}
${perSecond} a second for ${showDuration(seconds)}, to ${target.address}:${target.port}, from a namespace on this host.
What passes the limits reaches the softswitch; phones that are not yet known share those limits with it.
`)
  const answer = await askLine('Begin? Type yes: ', { within: PATIENCE })
  if (answer?.trim().toLowerCase() === 'yes') return
  throw new CliFailure(EXIT.failed, 'not-confirmed', 'nothing was sent')
}

function readAccount({
  account,
  passwordFile,
}: SimulateOptions): { readonly user: string; readonly password: string } | undefined {
  if (account === undefined && passwordFile === undefined) return undefined
  if (account === undefined || passwordFile === undefined) {
    throw new CliFailure(EXIT.usage, 'bad-input', '--account and --password-file go together')
  }
  let text: string
  try {
    text = readFileSync(passwordFile, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CliFailure(
      EXIT.failed,
      'unreadable',
      `${passwordFile} cannot be read (${code ?? 'unknown error'})`,
    )
  }
  const [password = ''] = text.split(/\r?\n/, 1)
  if (password === '' || password.length > LONGEST_PASSWORD) {
    throw new CliFailure(EXIT.usage, 'bad-input', `the first line of ${passwordFile} holds no password`)
  }
  return { user: account, password }
}
