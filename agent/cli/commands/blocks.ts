import type { Command } from 'commander'
import type { Noted } from '../../../dashboard/api/control-plane.ts'
import type { DecisionView } from '../../../dashboard/api/decisions.ts'
import { parseDuration, type Seconds, showDuration } from '../../../registrar/net/time.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { readingTarget } from '../target.ts'
import { number, plain, table } from '../terminal.ts'

export function blockCommand(deps: CliDeps): Command {
  return newCommand('block <target>', {
    says: 'drop everything that an address or prefix sends to the SIP ports',
    examples: [
      'ringfence block 203.0.113.7',
      "ringfence block 203.0.113.0/24 --for 10m --reason 'guesses passwords'",
      'ringfence block 2001:db8::/48 --for 7d',
    ],
  })
    .option('--for <duration>', 'how long, like 90s, 10m, 1h30m or 7d; without it until `ringfence unblock`')
    .option('--reason <text>', 'why, for those who read it later')
    .action(async (text: string, options: { for?: string; reason?: string }, command: Command) => {
      const session = openSession(deps, command)
      const { readTarget } = await import('../../../dashboard/api/target.ts')
      const target = readingTarget(() => readTarget(text))
      const seconds = options.for === undefined ? undefined : readFor(options.for)
      const answer = await session.ask({
        method: 'POST',
        path: 'blocks',
        body: { target, seconds, reason: options.reason },
      })
      session.show(answer as DecisionView & Noted, (decision) => {
        const end =
          decision.secondsLeft === null
            ? 'until it is unblocked'
            : `for ${showDuration(decision.secondsLeft)}`
        // Nobody may believe that an attacker is kept out who is not.
        const { target: shown, notice } = decision
        if (notice !== null) return `${plain(shown)} is on the blocklist ${end}: ${plain(notice)}\n`
        return `${plain(shown)} is blocked on the SIP ports ${end}\n`
      })
    })
}

export function unblockCommand(deps: CliDeps): Command {
  return newCommand('unblock <target>', {
    says: 'take back every block and suspension of exactly this address, prefix or address:port',
    examples: ['ringfence unblock 203.0.113.7', 'ringfence unblock 203.0.113.7:5062'],
  }).action(async (text: string, _options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const { readDecisionTarget } = await import('../../../dashboard/api/target.ts')
    const target = readingTarget(() => readDecisionTarget(text))
    const answer = await session.ask({ method: 'POST', path: 'unblock', body: { target } })
    const { removed } = answer as { readonly removed: readonly DecisionView[] }
    if (removed.length === 0) {
      throw new CliFailure(EXIT.notFound, 'not-found', `${target} is neither blocked nor suspended`)
    }
    session.show(answer, () =>
      removed
        .map(({ kind, target: was, scope }) => {
          const what = kind === 'block' ? `block of scope ${scope}` : 'suspension'
          return `${plain(was)}: the ${what} is taken back\n`
        })
        .join(''),
    )
  })
}

export function blockedCommand(deps: CliDeps): Command {
  return newCommand('blocked', {
    says: 'list the blocks and suspensions that stand now, newest first',
    examples: ['ringfence blocked', "ringfence blocked --json | jq -r '.[].target'"],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const answer = await session.ask({ method: 'GET', path: 'blocked' })
    session.show(answer as readonly DecisionView[], (decisions) =>
      decisions.length === 0 ? 'nothing is blocked or suspended\n' : decisionTable(decisions, deps),
    )
  })
}

/** Decisions as a table, with the time that is left to each. */
function decisionTable(
  decisions: readonly DecisionView[],
  { colours }: { readonly colours: boolean },
): string {
  const rows = decisions.map((decision) => [
    decision.target,
    decision.kind,
    decision.scope,
    decision.secondsLeft === null ? 'stands' : showDuration(decision.secondsLeft),
    decision.packetsDropped === null ? '-' : number(decision.packetsDropped),
    decision.by,
    decision.allowedBy === undefined
      ? decision.reason
      : `NOT BLOCKED, allowed by ${decision.allowedBy}; ${decision.reason}`,
  ])
  return table(
    [
      { title: 'TARGET' },
      { title: 'KIND' },
      { title: 'SCOPE' },
      { title: 'LEFT', align: 'right' },
      { title: 'DROPPED', align: 'right' },
      { title: 'BY' },
      { title: 'REASON' },
    ],
    rows,
    { colours },
  )
}

function readFor(text: string): Seconds {
  const seconds = parseDuration(text)
  if (seconds !== undefined && seconds > 0) return seconds
  const message = `--for ${JSON.stringify(text)} is no duration; write it like 90s, 10m, 1h30m or 7d`
  throw new CliFailure(EXIT.usage, 'bad-input', message)
}
