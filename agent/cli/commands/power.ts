import type { Command } from 'commander'
import { Argument } from 'commander'
import type { Noted } from '../../../dashboard/api/control-plane.ts'
import type { Milliseconds } from '../../../registrar/net/time.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { count, plain } from '../terminal.ts'

export function offCommand(deps: CliDeps): Command {
  return newCommand('off', {
    says: 'take every rule and set of Ringfence out of the kernel, also when no daemon is running',
    examples: ['ringfence off'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    let answer: { readonly removed: readonly string[] }
    let after = 'the daemon goes on observing; `ringfence on` or a restart of it puts the rules back'
    try {
      answer = (await session.ask({ method: 'POST', path: 'off' }, { patience: PATIENCE })) as typeof answer
    } catch (error) {
      if (!(error instanceof CliFailure) || error.code !== 'not-running') throw error
      answer = { removed: await deps.removeEverything() }
      after = 'no daemon is running'
    }
    session.show(answer, ({ removed }) => `${sayRemoved(removed)}\n${after}\n`)
  })
}

/** Programs are asked for both kinds of iptables, and another firewall may hold their lock. */
const PATIENCE: Milliseconds = 60_000

/** The names are some hundred, and for a program: `--json` has them. */
function sayRemoved(removed: readonly string[]): string {
  if (removed.length === 0) return 'nothing of Ringfence was in the kernel'
  const sets = removed.filter((name) => name.startsWith('rf-')).length
  const parts = [
    ...(removed.length > sets ? [count(removed.length - sets, 'chain')] : []),
    ...(sets > 0 ? [count(sets, 'set')] : []),
  ]
  return `removed from the kernel: ${parts.join(' and ')} (\`--json\` names them)`
}

export function onCommand(deps: CliDeps): Command {
  return newCommand('on', {
    says: 'put the rules back after `ringfence off`',
    examples: ['ringfence on'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const answer = await session.ask({ method: 'POST', path: 'on' })
    session.show(answer as Noted, ({ notice }) =>
      notice === null ? 'the rules are on\n' : `${plain(notice)}\n`,
    )
  })
}

export function enforceCommand(deps: CliDeps): Command {
  return newCommand('enforce', {
    says: 'drop what is over the limit for SIP other than REGISTER; survives a restart',
    examples: ['ringfence enforce sip', 'ringfence enforce sip --observe'],
  })
    .addArgument(new Argument('<limit>', 'which limit').choices(['sip']))
    .option('--observe', 'back to only listing whom it would limit')
    .action(async (_limit: string, options: { observe?: boolean }, command: Command) => {
      const session = openSession(deps, command)
      const body = { enforced: options.observe !== true }
      const answer = await session.ask({ method: 'POST', path: 'enforce-sip', body })
      session.show(answer as { readonly enforced: boolean } & Noted, ({ enforced, notice }) => {
        if (!enforced) return 'the SIP limit is only observed: `ringfence status` lists whom it would limit\n'
        if (notice !== null) return `the SIP limit is enforced: ${plain(notice)}\n`
        return 'the SIP limit is enforced: what is over it is dropped\n'
      })
    })
}

export function runCommand(deps: CliDeps): Command {
  return newCommand('run', {
    says: 'run the daemon in the foreground until SIGTERM or SIGINT',
    examples: ['ringfence run', 'ringfence run --config ./ringfence.yaml'],
  }).action(async (_options: unknown, command: Command) => {
    const { options } = openSession(deps, command)
    const exitCode = await deps.runDaemon({ configFile: options.config ?? deps.defaults.configFile })
    if (exitCode === EXIT.done) return
    // The daemon has said on its log why.
    throw new CliFailure(
      (exitCode in EXIT_BY_NUMBER ? exitCode : EXIT.failed) as typeof EXIT.failed,
      'daemon',
      '',
    )
  })
}

const EXIT_BY_NUMBER = Object.fromEntries(Object.values(EXIT).map((code) => [code, true]))
