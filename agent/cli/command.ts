import { Command, Option } from 'commander'
import type { Milliseconds } from '../../registrar/net/time.ts'
import { askDaemon, type Order } from './client.ts'
import type { CliDeps } from './deps.ts'
import { findSocket } from './find-socket.ts'
import { EXIT_CODES_HELP } from './outcome.ts'
import { jsonLine } from './terminal.ts'

/** The options that every command has. */
export interface CommonOptions {
  readonly json?: boolean
  readonly config?: string
  readonly socket?: string
}

/** A command with the common options, examples and exit codes in its help. */
export function newCommand(
  signature: string,
  { says, examples }: { readonly says: string; readonly examples: readonly string[] },
): Command {
  const [name = '', ...args] = signature.split(' ')
  const command = new Command(name).description(says)
  for (const arg of args) command.argument(arg)
  addCommonOptions(command)
  const lines = examples.map((example) => `  ${example}`).join('\n')
  return command.addHelpText(
    'after',
    `\nExample${examples.length === 1 ? '' : 's'}:\n${lines}\n${EXIT_CODES_HELP}`,
  )
}

export function addCommonOptions(command: Command): void {
  command
    .addOption(new Option('--json', 'answer as JSON'))
    .addOption(new Option('--config <file>', 'the configuration file'))
    .addOption(new Option('--socket <path>', 'the socket of the daemon'))
}

/** What a command's action works with. */
export interface Session {
  readonly deps: CliDeps
  readonly options: CommonOptions
  /** `patience`: how long the answer may take, where the daemon has much to do. */
  ask(order: Order, options?: { readonly patience: Milliseconds }): Promise<unknown>
  /** Writes the answer: as JSON where that is wanted, else in words. */
  show<T>(answer: T, inWords: (answer: T) => string): void
}

export function openSession(deps: CliDeps, command: Command): Session {
  const options = command.optsWithGlobals<CommonOptions>()
  return {
    deps,
    options,
    async ask(order, patience) {
      const { defaults, caller } = deps
      const socket = await findSocket({ socket: options.socket, configFile: options.config, defaults })
      return askDaemon({ socket, caller, ...patience }, order)
    },
    show(answer, inWords) {
      deps.out(options.json ? jsonLine(answer) : inWords(answer))
    },
  }
}
