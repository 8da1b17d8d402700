import type { Command } from 'commander'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'

const PORT = 8_570

export function demoCommand(deps: CliDeps): Command {
  return newCommand('demo', {
    says: 'an attack told in five minutes, on a softswitch and phones of its own in network namespaces',
    examples: ['ringfence demo', 'ringfence demo --port 9000 --no-wait'],
  })
    .option('--port <n>', 'where on 127.0.0.1 its dashboard opens', String(PORT))
    .option('--no-wait', 'do not wait for Enter before all of it is removed')
    .option('--quick', 'a minute instead of five, for who only wants to see that it works')
    .addHelpText(
      'after',
      '\nNeeds root, Debian’s kamailio, a C compiler, iptables and ipset. It touches nothing of this host but one loopback port.',
    )
    .action(async (options: { port: string; wait: boolean; quick?: boolean }, command: Command) => {
      openSession(deps, command)
      const port = /^\d{1,5}$/.test(options.port) ? Number(options.port) : 0
      if (port < 1 || port > 65_535) {
        const message = `--port ${JSON.stringify(options.port)} is no port from 1 to 65535`
        throw new CliFailure(EXIT.usage, 'bad-input', message)
      }
      const exitCode = await deps.runBeside({
        program: 'demo',
        input: { port, waits: options.wait, quick: options.quick === true },
      })
      if (exitCode !== EXIT.done) throw new CliFailure(EXIT.failed, 'demo', '')
    })
}
