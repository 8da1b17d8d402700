import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { readPorts } from '../ports.ts'
import { count, jsonLine } from '../terminal.ts'

export function configCommand(deps: CliDeps): Command {
  return newCommand('config', {
    says: 'check the configuration file, or write a commented one',
    examples: ['ringfence config check', 'ringfence config init --interfaces eth0 --out ringfence.yaml'],
  })
    .addCommand(checkCommand(deps))
    .addCommand(initCommand(deps))
}

function checkCommand(deps: CliDeps): Command {
  return newCommand('check [file]', {
    says: 'name every problem of a configuration file by line, column and key',
    examples: ['ringfence config check', 'ringfence config check ./ringfence.yaml'],
  }).action(async (named: string | undefined, _options: unknown, command: Command) => {
    const { options } = openSession(deps, command)
    const file = named ?? options.config ?? deps.defaults.configFile
    const { readConfigFile } = await import('../../config/read-config.ts')
    const { showProblem } = await import('../../config/problem.ts')
    const reading = readConfigFile(file)
    const [problems, warnings] = reading.kind === 'ok' ? [[], reading.warnings] : [reading.problems, []]
    if (options.json) {
      deps.out(jsonLine({ file, ok: problems.length === 0, problems, warnings }))
    } else {
      for (const warning of warnings) deps.out(`warning: ${showProblem(warning)}\n`)
      for (const problem of problems) deps.err(`${showProblem(problem)}\n`)
    }
    if (problems.length > 0) {
      const sentence = `${count(problems.length, 'problem')}; the daemon does not start with this file`
      throw new CliFailure(EXIT.failed, 'config', options.json ? '' : sentence)
    }
    if (!options.json) deps.out(`${file} is fine\n`)
  })
}

interface InitOptions {
  readonly interfaces: string
  readonly udpPorts: string
  readonly tcpPorts: string
  readonly out?: string
}

function initCommand(deps: CliDeps): Command {
  return newCommand('init', {
    says: 'write a commented configuration file with every default; an existing file is never touched',
    examples: [
      'ringfence config init --interfaces eth0,eth1 --udp-ports 5060,5080 --tcp-ports 5060 --out /etc/ringfence/ringfence.yaml',
    ],
  })
    .requiredOption('--interfaces <names>', 'the interfaces that SIP arrives on, with commas between them')
    .option('--udp-ports <ports>', "SIP ports of UDP, with commas between them; '' for none", '5060')
    .option('--tcp-ports <ports>', "SIP ports of TCP, with commas between them; '' for none", '5060')
    .option('--out <file>', 'where to; without it to standard output')
    .action(async (options: InitOptions, command: Command) => {
      const session = openSession(deps, command)
      const { renderConfigTemplate } = await import('../../config/template.ts')
      const { readConfig } = await import('../../config/read-config.ts')
      const text = renderConfigTemplate({
        interfaces: options.interfaces.split(',').map((name) => name.trim()),
        udpPorts: readPorts(options.udpPorts, { option: '--udp-ports' }),
        tcpPorts: readPorts(options.tcpPorts, { option: '--tcp-ports' }),
      })
      const reading = readConfig(text, { file: options.out ?? 'configuration' })
      if (reading.kind === 'refused') {
        const sentences = reading.problems.map(({ key, message }) =>
          key === '' ? message : `${key}: ${message}`,
        )
        throw new CliFailure(EXIT.usage, 'bad-input', sentences.join('\n'))
      }
      if (options.out === undefined) {
        deps.out(session.options.json ? jsonLine({ text }) : text)
        return
      }
      writeNew(options.out, text)
      session.show(
        { file: options.out },
        ({ file }) => `${file} is written; check changes with \`ringfence config check\`\n`,
      )
    })
}

/** Passwords may come to stand in the file: others must not read it. */
function writeNew(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true })
    const descriptor = openSync(file, 'wx', 0o640)
    try {
      writeSync(descriptor, text)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') {
      throw new CliFailure(EXIT.failed, 'exists', `${file} is there already; it was left as it is`)
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new CliFailure(
        EXIT.permission,
        'not-permitted',
        `${file} may not be written by this user; try again as root`,
      )
    }
    throw new CliFailure(EXIT.failed, 'unwritable', `${file} cannot be written (${code ?? 'unknown error'})`)
  }
}
