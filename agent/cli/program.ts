import { Command, CommanderError } from 'commander'
import { addCommonOptions } from './command.ts'
import { accountCommand, bindingsCommand } from './commands/accounts.ts'
import { allowCommand, allowedCommand, disallowCommand } from './commands/allowlist.ts'
import { backtestCommand } from './commands/backtest.ts'
import { blockCommand, blockedCommand, unblockCommand } from './commands/blocks.ts'
import { configCommand } from './commands/config.ts'
import { demoCommand } from './commands/demo.ts'
import { explainCommand } from './commands/explain.ts'
import { planCommand } from './commands/plan.ts'
import { enforceCommand, offCommand, onCommand, runCommand } from './commands/power.ts'
import { replayCommand } from './commands/replay.ts'
import { restoreCommand } from './commands/restore.ts'
import { simulateCommand } from './commands/simulate.ts'
import { statusCommand } from './commands/status.ts'
import { strictCommand } from './commands/strict.ts'
import { traceCommand } from './commands/trace.ts'
import { applyCommand, confirmCommand, revertCommand } from './commands/trial.ts'
import type { CliDeps } from './deps.ts'
import { CliFailure, EXIT, EXIT_CODES_HELP } from './outcome.ts'
import { jsonLine, plainLines } from './terminal.ts'

/** Runs one command line (without `node` and the script) and answers the exit code. Never throws what a user caused. */
export async function runCommandLine(args: readonly string[], deps: CliDeps): Promise<number> {
  try {
    await buildProgram(deps).parseAsync(args, { from: 'user' })
    return EXIT.done
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
    if (!(error instanceof CliFailure)) throw error
    if (error.message !== '') {
      if (args.includes('--json')) deps.out(jsonLine({ error: error.code, message: error.message }))
      deps.err(`ringfence: ${plainLines(error.message)}\n`)
    }
    return error.exitCode
  }
}

/** Every command of `ringfence`. Nothing heavy is loaded before a command is run. */
export function buildProgram(deps: CliDeps): Command {
  const program = new Command('ringfence')
    .description(
      'keeps a SIP softswitch answering its customers while somebody floods it or guesses passwords',
    )
    .version(deps.version(), '--version', 'print the version')
    .addHelpText('after', `\nExample:\n  ringfence block 203.0.113.7 --for 10m\n${EXIT_CODES_HELP}`)
  addCommonOptions(program)
  const commands = [
    statusCommand,
    blockedCommand,
    blockCommand,
    unblockCommand,
    allowedCommand,
    allowCommand,
    disallowCommand,
    explainCommand,
    traceCommand,
    enforceCommand,
    strictCommand,
    offCommand,
    onCommand,
    replayCommand,
    backtestCommand,
    configCommand,
    planCommand,
    applyCommand,
    confirmCommand,
    revertCommand,
    accountCommand,
    bindingsCommand,
    simulateCommand,
    demoCommand,
    runCommand,
    restoreCommand,
  ]
  for (const command of commands) program.addCommand(command(deps))
  prepare(program, deps)
  return program
}

/** Exits and output are ours in every command, nested ones too. */
function prepare(command: Command, deps: CliDeps): void {
  command.exitOverride().configureOutput({
    writeOut: deps.out,
    writeErr: deps.err,
    outputError: (text, write) =>
      write(`${plainLines(text.trimEnd())}
`),
    getOutHelpWidth: () => 100,
    getErrHelpWidth: () => 100,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  })
  for (const child of command.commands) prepare(child, deps)
}
