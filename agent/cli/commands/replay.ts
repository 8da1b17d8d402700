import type { Command } from 'commander'
import type { Config } from '../../config/config.ts'
import { newCommand, openSession } from '../command.ts'
import { COMPARISON_EXIT_CODES, comparisonInWords } from '../comparison-words.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT, type ExitCode } from '../outcome.ts'
import { readPorts } from '../ports.ts'
import { jsonLine, plainLines } from '../terminal.ts'

export function replayCommand(deps: CliDeps): Command {
  return newCommand('replay <file...>', {
    says: 'what would have been decided over captures (pcap, pcapng), when and why; touches nothing, needs no root',
    examples: [
      'ringfence replay attack.pcap',
      'ringfence replay --ports any --json morning.pcapng evening.pcapng',
      'ringfence replay --config /etc/ringfence/ringfence.yaml attack.pcap',
      'ringfence replay --config /etc/ringfence/ringfence.yaml --against ./new.yaml morning.pcap',
    ],
  })
    .addHelpText('after', COMPARISON_EXIT_CODES.replace('Exit codes here', 'Exit codes with --against'))
    .option('--against <file>', 'another configuration: what it would have decided otherwise')
    .option(
      '--ports <ports>',
      'the SIP ports, like 5060,5061, or any: SIP is known by its content (default: those of the configuration)',
    )
    .action(async (files: string[], options: { ports?: string; against?: string }, command: Command) => {
      const session = openSession(deps, command)
      const config = await readThresholds(session.options.config)
      const { udp, tcp } = config.protect.ports
      let ports: number[] | 'any' = [...new Set([...udp, ...tcp])]
      if (options.ports === 'any') ports = 'any'
      else if (options.ports !== undefined) ports = readPorts(options.ports, { option: '--ports' })
      if (ports.length === 0) {
        throw new CliFailure(
          EXIT.usage,
          'bad-input',
          '--ports names no port; write it like 5060,5061, or any',
        )
      }
      const against =
        options.against === undefined
          ? undefined
          : {
              config: await readThresholds(options.against),
              names: [session.options.config ?? 'the defaults', options.against] as const,
            }
      const { exitCode, comparison } = await deps.replayCaptures({
        files,
        ports,
        json: session.options.json === true,
        config,
        ...(against ? { against } : {}),
        write: (line) => deps.out(`${plainLines(line)}\n`),
        writeError: (line) => deps.err(`ringfence: ${plainLines(line)}\n`),
      })
      if (comparison && !session.options.json) deps.out(comparisonInWords(comparison, deps))
      if (comparison && session.options.json) deps.out(jsonLine({ type: 'comparison', ...comparison }))
      if (comparison && comparison.phones.touched.count > 0)
        throw new CliFailure(EXIT.failed, 'phones-touched', '')
      if (exitCode !== EXIT.done) throw new CliFailure(exitCode as ExitCode, 'replay', '')
    })
}

/** Without a file that was named the defaults hold, so that a replay means the same on every host. */
async function readThresholds(file: string | undefined): Promise<Config> {
  const { defaultConfig, readConfigFile } = await import('../../config/read-config.ts')
  if (file === undefined) return defaultConfig()
  const reading = readConfigFile(file)
  if (reading.kind === 'ok') return reading.config
  const { showProblem } = await import('../../config/problem.ts')
  throw new CliFailure(EXIT.failed, 'config', reading.problems.map(showProblem).join('\n'))
}
