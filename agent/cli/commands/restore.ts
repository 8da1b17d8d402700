import type { Command } from 'commander'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { findSocket } from '../find-socket.ts'
import { plain } from '../terminal.ts'

export function restoreCommand(deps: CliDeps): Command {
  return newCommand('restore', {
    says: 'put rules, blocks and lanes back from the configuration and the journal, once and without a daemon; for the start of the host',
    examples: ['ringfence restore', 'ringfence restore --config ./ringfence.yaml'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const { options } = session
    const configFile = options.config ?? deps.defaults.configFile
    const socket = await findSocket({
      socket: options.socket,
      configFile: options.config,
      defaults: deps.defaults,
    })
    session.show(await deps.restoreRules({ configFile, socket }), ({ says }) => `${plain(says)}\n`)
  })
}
