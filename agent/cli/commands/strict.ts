import type { Command } from 'commander'
import { Argument } from 'commander'
import type { Noted } from '../../../dashboard/api/control-plane.ts'
import type { StrictView } from '../../../dashboard/api/weather.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { plain } from '../terminal.ts'

export function strictCommand(deps: CliDeps): Command {
  return newCommand('strict', {
    says: 'have the strict limits decide about unknown sources, or not, or as an attack asks for it; survives a restart',
    examples: ['ringfence strict on', 'ringfence strict auto'],
  })
    .addArgument(new Argument('<order>', 'auto leaves it to what is seen').choices(['on', 'off', 'auto']))
    .action(async (order: StrictView['order'], _options: unknown, command: Command) => {
      const session = openSession(deps, command)
      const answer = await session.ask({ method: 'POST', path: 'strict', body: { order } })
      session.show(answer as StrictView & Noted, ({ state, why, notice }) => {
        const decide = state === 'strict' ? 'the strict limits decide' : 'the limits of peace decide'
        return `${decide}: ${plain(why)}\n${notice === null ? '' : `${plain(notice)}\n`}`
      })
    })
}
