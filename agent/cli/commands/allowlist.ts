import type { Command } from 'commander'
import type { AllowedView, AllowView } from '../../../dashboard/api/decisions.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { readingTarget } from '../target.ts'
import { count, number, plain, showTime, table } from '../terminal.ts'

export function allowCommand(deps: CliDeps): Command {
  return newCommand('allow <target>', {
    says: 'put an address or prefix on the allowlist, and take back blocks of it',
    examples: ["ringfence allow 198.51.100.0/24 --reason 'our trunk'"],
  })
    .option('--reason <text>', 'why, for those who read it later')
    .action(async (text: string, options: { reason?: string }, command: Command) => {
      const session = openSession(deps, command)
      const { readTarget } = await import('../../../dashboard/api/target.ts')
      const target = readingTarget(() => readTarget(text))
      const answer = await session.ask({
        method: 'POST',
        path: 'allow',
        body: { target, reason: options.reason },
      })
      session.show(answer as AllowedView, (entry) => {
        const lines = [`${plain(entry.target)} is allowed`]
        if (entry.lifted.count > 0) {
          const what = count(entry.lifted.count, 'block or suspension', 'blocks and suspensions')
          lines.push(`taken back: ${what} (${named(entry.lifted)})`)
        }
        if (entry.wider.count > 0) {
          const goesOn = entry.wider.count === 1 ? 'goes on for the rest of it' : 'go on for the rest of them'
          lines.push(
            `${named(entry.wider)} ${goesOn}: only ${plain(entry.target)} is let through (\`ringfence unblock\` takes a block back)`,
          )
        }
        return `${lines.join('\n')}\n`
      })
    })
}

function named({ count: all, first }: AllowedView['lifted']): string {
  const more = all > first.length ? ` and ${number(all - first.length)} more` : ''
  return `${first.map(plain).join(', ')}${more}`
}

export function disallowCommand(deps: CliDeps): Command {
  return newCommand('disallow <target>', {
    says: 'take an address or prefix off the allowlist',
    examples: ['ringfence disallow 198.51.100.0/24'],
  }).action(async (text: string, _options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const { readTarget } = await import('../../../dashboard/api/target.ts')
    const target = readingTarget(() => readTarget(text))
    const answer = await session.ask({ method: 'POST', path: 'disallow', body: { target } })
    const { removed } = answer as { readonly removed: readonly AllowView[] }
    if (removed.length === 0) {
      throw new CliFailure(EXIT.notFound, 'not-found', `${target} is not on the allowlist`)
    }
    session.show(answer, () =>
      removed.map((entry) => `${plain(entry.target)} is no longer allowed\n`).join(''),
    )
  })
}

export function allowedCommand(deps: CliDeps): Command {
  return newCommand('allowed', {
    says: 'list what is never blocked',
    examples: ['ringfence allowed'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const answer = await session.ask({ method: 'GET', path: 'allowed' })
    session.show(answer as readonly AllowView[], (entries) =>
      entries.length === 0
        ? 'the allowlist is empty\n'
        : table(
            [{ title: 'TARGET' }, { title: 'SINCE' }, { title: 'BY' }, { title: 'REASON' }],
            entries.map(({ target, since, by, reason }) => [
              target,
              since > 0 ? showTime(since) : '-',
              by,
              reason,
            ]),
            deps,
          ),
    )
  })
}
