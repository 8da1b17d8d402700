import type { Command } from 'commander'
import type { DecisionView } from '../../../dashboard/api/decisions.ts'
import type {
  EndpointView,
  ExchangeView,
  GradeEvidence,
  SourceStory,
  VerdictView,
} from '../../../dashboard/api/source-story.ts'
import { showDuration } from '../../../registrar/net/time.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { readingTarget } from '../target.ts'
import { count, facts, number, plain, showTime } from '../terminal.ts'

export function explainCommand(deps: CliDeps): Command {
  return newCommand('explain <address>', {
    says: 'what is known of a source, or of an address and port: its lane, and each verdict with its evidence (exit code 3: the sensor did not answer, 4: never seen)',
    examples: [
      'ringfence explain 203.0.113.7',
      'ringfence explain 203.0.113.7:5062',
      'ringfence explain 2001:db8::7 --json',
    ],
  }).action(async (text: string, _options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const { readAddressOrPort } = await import('../../../dashboard/api/target.ts')
    const address = readingTarget(() => readAddressOrPort(text))
    const answer = await session.ask({ method: 'GET', path: `sources/${encodeURIComponent(address)}` })
    const story = answer as SourceStory
    if (isUnheardOf(story)) {
      throw new CliFailure(
        EXIT.notFound,
        'not-found',
        `${address} was never seen to register, blocked or allowed`,
      )
    }
    session.show(story, storyInWords)
    if (story.unanswered !== undefined) {
      deps.err(`ringfence: ${plain(story.unanswered)}\n`)
      throw new CliFailure(EXIT.unreachable, 'sensor-silent', '')
    }
  })
}

function isUnheardOf(story: SourceStory): boolean {
  return (
    story.lane === 'unknown' &&
    story.unanswered === undefined &&
    story.firstSeen === null &&
    story.overSipLimit === null &&
    story.decisions.length + story.verdicts.length + story.pastDecisions.length === 0
  )
}

function storyInWords(story: SourceStory): string {
  const seen =
    story.unanswered !== undefined
      ? 'not known: the sensor did not answer'
      : story.firstSeen === null
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
    ...(story.unanswered === undefined ? counted(story) : []),
    ...(story.accounts.length === 0 ? [] : [['accounts', story.accounts.join(', ')] as [string, string]]),
    ...behind(story),
    ...story.userAgents.map((agent, i): [string, string] => [i === 0 ? 'user agents' : '', agent]),
  ]
  return [
    ...portInWords(story),
    facts(rows),
    section('Proven of it', (story.evidence ?? []).map(proof)),
    registeredThere(story),
    section("What the softswitch's OPTIONS told", (story.endpoints ?? []).slice(0, MOST_PORTS).map(endpoint)),
    lastExchanges(story.exchanges ?? []),
    forgotten(story),
    section(
      'What would change that',
      (story.wouldChange ?? []).map((line) => `  ${plain(line)}\n`),
    ),
    section('Standing decisions', story.decisions.map(standing)),
    section('Verdicts, newest first', story.verdicts.map(verdict)),
    section('Past decisions', story.pastDecisions.map(past)),
  ].join('')
}

function counted(story: SourceStory): [string, string][] {
  const { registers, registersInWindow, challenges, successes, failures } = story
  return [
    ['REGISTERs', `${number(registers)} (${number(registersInWindow)} in the flood window)`],
    [
      'answers',
      `${number(challenges)} challenges, ${number(successes)} successes, ${number(failures)} failures`,
    ],
  ]
}

/** The port that was asked about, before what is known of its address. */
function portInWords({ port }: SourceStory): readonly string[] {
  if (!port) return []
  const { registered } = port
  const who = registered
    ? `${registered.accounts.join(', ') || 'an account'}, ${showDuration(registered.secondsLeft)} left`
    : 'nobody'
  return [
    facts([
      ['port', port.source],
      ['lane', `${port.lane}: ${port.laneReason}`],
      ['registered', who],
    ]),
    lastExchanges(port.exchanges),
    section('Standing decisions', port.decisions.map(standing)),
    section('Verdicts, newest first', port.verdicts.slice(0, MOST_OF_A_PORT).map(verdict)),
    section('Past decisions', port.pastDecisions.slice(0, MOST_OF_A_PORT).map(past)),
    '\nAll of its address:\n\n',
  ]
}

function overSipLimit({ overSipLimit: over }: SourceStory): [string, string][] {
  if (over === null) return []
  const says = over.limited ? 'it is limited' : 'it would be limited if that were enforced'
  return [['SIP limit', `${count(over.packets, 'packet')} over it in the last ten minutes: ${says}`]]
}

function behind({ aggregator = false, accountsBehind = 0 }: SourceStory): [string, string][] {
  if (accountsBehind === 0) return []
  const many = accountsBehind >= 64 ? '64 or more accounts' : count(accountsBehind, 'account')
  const says = aggregator ? ', brought by an SBC or proxy: never punished as an address' : ''
  return [['behind it', `${many} registered within a day${says}`]]
}

const MOST_PORTS = 5
const MOST_OF_A_PORT = 20
const MOST_EXCHANGES = 5

function proof({ grade, holds, says }: GradeEvidence): string {
  return `  ${(holds ? grade : `not ${grade}`).padEnd(11)}  ${plain(says)}\n`
}

function registeredThere({ registeredPorts: ports }: SourceStory): string {
  if (!ports || ports.count === 0) return ''
  const lines = ports.first.slice(0, MOST_PORTS).map(({ source, accounts, secondsLeft }) => {
    const who = accounts.length === 0 ? 'an account' : accounts.map(plain).join(', ')
    return `  ${plain(source)}  ${who}, ${showDuration(secondsLeft)} left\n`
  })
  const more = ports.count - lines.length
  return section('Registered from there now', [
    ...lines,
    ...(more > 0 ? [`  and ${number(more)} more\n`] : []),
  ])
}

function endpoint({ source, state, asked, answered, roundTripMilliseconds: took }: EndpointView): string {
  const says = {
    online: `answers${took === null ? '' : ` within ${number(took)} ms`}`,
    silent: 'stays silent, which alone takes nothing from it',
    unasked: 'was not asked often enough to tell',
  }[state]
  return `  ${plain(source)}  ${says} (${number(answered)} of ${number(asked)} answered)\n`
}

/** The newest of each kind: a phone's day is the same two exchanges again and again. */
function lastExchanges(exchanges: readonly ExchangeView[]): string {
  const told = new Map<string, { exchange: ExchangeView; times: number }>()
  for (const exchange of exchanges) {
    const { source, method, account, outcome, status, grade } = exchange
    const key = JSON.stringify([source, method, account, outcome, status, grade])
    const known = told.get(key)
    if (known) known.times++
    else told.set(key, { exchange, times: 1 })
  }
  const lines = [...told.values()].slice(0, MOST_EXCHANGES).map(({ exchange, times }) => {
    const { time, source, transport, method, account, outcome, status, grade } = exchange
    const by = method === undefined ? '' : ` by ${plain(method)}`
    const often = times === 1 ? '' : `, ${times} times`
    return `  ${showTime(time)}  ${plain(source)} ${transport} ${plain(account)}: ${outcome}${by} (${status}, grade ${grade})${often}\n`
  })
  const all = count(exchanges.length, 'exchange')
  return section(`Of its last ${all} the newest of each kind`, lines)
}

function forgotten({ exchanges = [], exchangesLetGo = 0, successes, failures }: SourceStory): string {
  if (exchanges.length > 0 || exchangesLetGo === 0 || successes + failures === 0) return ''
  return `\nIts exchanges are not kept: those of ${count(exchangesLetGo, 'source')} had to go for lack of room.\n`
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
  const end = endOf(decision)
  return `  ${showTime(decision.since)}${end}  ${what(decision)}: ${plain(decision.reason)}\n`
}

/** When it ended, which a block that was taken back did before its time. */
function endOf({ until, endedAt, endedBy }: DecisionView): string {
  if (endedAt !== undefined)
    return ` until ${showTime(endedAt)} (ended by ${plain(endedBy ?? 'nobody knows whom')})`
  return until === null ? '' : ` until ${showTime(until)}`
}

function what({ kind, target, scope, by }: DecisionView): string {
  return `${kind} of ${plain(target)}, scope ${scope}, by ${plain(by)}`
}

function verdict(entry: VerdictView): string {
  const { time, name, action, scope, grade, reason } = entry
  const named = name === undefined ? '' : `${plain(name)}: `
  return `  ${showTime(time)}  ${named}${action}, scope ${scope}, grade ${grade}: ${plain(reason)}\n${evidence(entry)}`
}

function evidence(entry: {
  readonly evidence: Readonly<Record<string, string | number | boolean | null>>
}): string {
  const parts = Object.entries(entry.evidence).map(
    ([name, value]) => `${plain(name)}=${plain(String(value))}`,
  )
  return parts.length === 0 ? '' : `      ${parts.join(' ')}\n`
}
