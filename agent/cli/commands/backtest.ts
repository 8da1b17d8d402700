import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { ComparisonView } from '../../../dashboard/api/comparison.ts'
import { parseDuration } from '../../../registrar/net/time.ts'
import { readCandidateFile } from '../candidate-file.ts'
import { askDaemon } from '../client.ts'
import { newCommand, openSession } from '../command.ts'
import { COMPARISON_EXIT_CODES, comparisonInWords } from '../comparison-words.ts'
import type { CliDeps } from '../deps.ts'
import { findSocket } from '../find-socket.ts'
import { CliFailure, EXIT } from '../outcome.ts'

/** The daemon judges for 40 s at most. */
const PATIENCE = 58_000
const SHORTEST = 60
const LONGEST = 90 * 86_400

export function backtestCommand(deps: CliDeps): Command {
  return newCommand('backtest [file]', {
    says: 'what another configuration would have decided about the recorded traffic of late, and which registered phones it would have cut off; changes nothing',
    examples: ['ringfence backtest --config ./new.yaml', 'ringfence backtest ./new.yaml --since 7d --json'],
  })
    .addHelpText('after', COMPARISON_EXIT_CODES)
    .addHelpText('after', 'The file may also be named without --config, as with `ringfence plan`.')
    .option('--since <duration>', 'how far back, like 2h or 7d', '24h')
    .action(async (named: string | undefined, { since }: { since: string }, command: Command) => {
      const session = openSession(deps, command)
      const { config, socket: given } = session.options
      const file = named ?? config
      if (file === undefined) {
        throw new CliFailure(EXIT.usage, 'bad-input', '--config FILE is missing: the configuration to try')
      }
      const seconds = parseDuration(since)
      if (seconds === undefined || seconds < SHORTEST || seconds > LONGEST) {
        throw new CliFailure(
          EXIT.usage,
          'bad-input',
          `--since ${since} is no duration from 1m to 90d; write it like 24h`,
        )
      }
      const candidate = { text: readCandidateFile(file), file: resolve(file) }
      // The daemon is where its own configuration says; the one that is tried may say otherwise, or nothing.
      const ownFile = named === undefined ? undefined : config
      const socket = await findSocket({ socket: given, configFile: ownFile, defaults: deps.defaults })
      const answer = await askDaemon(
        { socket, caller: deps.caller, patience: PATIENCE },
        { method: 'POST', path: 'backtest', body: { candidate, seconds } },
      )
      const view = answer as ComparisonView
      session.show(view, (comparison) => comparisonInWords(comparison, deps))
      if (view.phones.touched.count > 0) throw new CliFailure(EXIT.failed, 'phones-touched', '')
    })
}
