import type { Command } from 'commander'
import type { DecisionView, SourceStory, VerdictView } from '../../../dashboard/api/control-plane.ts'
import { showDuration } from '../../../registrar/net/time.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { readingTarget } from '../target.ts'
import { count, facts, number, plain, showTime } from '../terminal.ts'

export function explainCommand(deps: CliDeps): Command {
  return newCommand('explain <address>', {
    says: 'what is known of a source: its lane, and each verdict with its evidence (exit code 4: never seen)',
    examples: ['ringfence explain 203.0.113.7', 'ringfence explain 2001:db8::7 --json'],
  }).action(async (text: string, _options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const { readAddress } = await import('../../../dashboard/api/target.ts')
    const address = readingTarget(() => readAddress(text))
    const answer = await session.ask({ method: 'GET', path: `sources/${encodeURIComponent(address)}` })
    const story = answer as SourceStory
    if (isUnheardOf(story)) {
      throw new CliFailure(EXIT.notFound, 'not-found', `${address} was never seen, blocked or allowed`)
    }
    session.show(story, storyInWords)
  })
}

function isUnheardOf(story: SourceStory): boolean {
  return (
    story.lane === 'unknown' &&
    story.firstSeen === null &&
    story.overSipLimit === null &&
    story.decisions.length + story.verdicts.length + story.pastDecisions.length === 0
  )
}

function storyInWords(story: SourceStory): string {
  const seen =
    story.firstSeen === null
      ? 'never'
      : `first ${showTime(story.firstSeen)}, last ${story.lastSeen === null ? '-' : showTime(story.lastSeen)}`
  const rows: [string, string][] = [
    [
      'address',
      story.source === story.address ? story.address : `${story.address}, judged as ${story.source}`,
    ],
    ['lane', `${story.lane}: ${story.laneReason}`],
    ...(story.notice === null ? [] : [['but', story.notice] as [string, string]]),
    ...overSipLimit(story),
    ['seen', seen],
    ['REGISTERs', `${number(story.registers)} (${number(story.registersInWindow)} in the flood window)`],
    [
      'answers',
      `${number(story.challenges)} challenges, ${number(story.successes)} successes, ${number(story.failures)} failures`,
    ],
    ...(story.accounts.length === 0 ? [] : [['accounts', story.accounts.join(', ')] as [string, string]]),
    ...story.userAgents.map((agent, i): [string, string] => [i === 0 ? 'user agents' : '', agent]),
  ]
  return [
    facts(rows),
    section('Standing decisions', story.decisions.map(standing)),
    section('Verdicts, newest first', story.verdicts.map(verdict)),
    section('Past decisions', story.pastDecisions.map(past)),
  ].join('')
}

function overSipLimit({ overSipLimit: over }: SourceStory): [string, string][] {
  if (over === null) return []
  const says = over.limited ? 'it is limited' : 'it would be limited if that were enforced'
  return [['SIP limit', `${count(over.packets, 'packet')} over it in the last ten minutes: ${says}`]]
}

function section(title: string, entries: readonly string[]): string {
  return entries.length === 0 ? '' : `\n${title}:\n${entries.join('')}`
}

function standing(decision: DecisionView): string {
  const left =
    decision.secondsLeft === null ? 'until it is taken back' : `${showDuration(decision.secondsLeft)} left`
  return `  ${showTime(decision.since)}  ${what(decision)}, ${left}: ${plain(decision.reason)}\n${evidence(decision)}`
}

function past(decision: DecisionView): string {
  const end = decision.until === null ? '' : ` until ${showTime(decision.until)}`
  return `  ${showTime(decision.since)}${end}  ${what(decision)}: ${plain(decision.reason)}\n`
}

function what({ kind, target, scope, by }: DecisionView): string {
  return `${kind} of ${plain(target)}, scope ${scope}, by ${plain(by)}`
}

function verdict(entry: VerdictView): string {
  const { time, action, scope, grade, reason } = entry
  return `  ${showTime(time)}  ${action}, scope ${scope}, grade ${grade}: ${plain(reason)}\n${evidence(entry)}`
}

function evidence(entry: {
  readonly evidence: Readonly<Record<string, string | number | boolean | null>>
}): string {
  const parts = Object.entries(entry.evidence).map(
    ([name, value]) => `${plain(name)}=${plain(String(value))}`,
  )
  return parts.length === 0 ? '' : `      ${parts.join(' ')}\n`
}
