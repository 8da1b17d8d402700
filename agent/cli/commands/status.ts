import type { Command } from 'commander'
import type { StatusSnapshot } from '../../../dashboard/api/status.ts'
import { type Milliseconds, showDuration } from '../../../registrar/net/time.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { type Colour, count, facts, number, paint, plain, showTime } from '../terminal.ts'

const MOST_LISTED = 10
const MOST_LOOKS = 5
/** Figures of the kernel older than this are called old. */
const OLD: Milliseconds = 10_000

export function statusCommand(deps: CliDeps): Command {
  return newCommand('status', {
    says: 'how the host, the sensor, the rules and the lanes are, and who the SIP limit limits, or would',
    examples: ['ringfence status', 'ringfence status --json | jq .rules.state'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const answer = await session.ask({ method: 'GET', path: 'status' })
    session.show(answer as StatusSnapshot, (status) => statusInWords(status, deps))
  })
}

const STATE_COLOURS: Readonly<Record<StatusSnapshot['state'], Colour>> = {
  peace: 'green',
  attack: 'red',
  recovery: 'yellow',
  observing: 'yellow',
  off: 'red',
  degraded: 'yellow',
}

function statusInWords(status: StatusSnapshot, { colours }: { readonly colours: boolean }): string {
  const { traffic, rates, sensor, rules, limits, host, counts, registrar } = status
  const troubles = [
    ...(rules.lastError === null ? [] : [`last error: ${rules.lastError}`]),
    ...(rules.state === 'contested' ? [contested(status)] : []),
    ...(rules.notInPath === null ? [] : [rules.notInPath]),
    ...rules.full,
  ]
  const state = paint(plain(status.state), STATE_COLOURS[status.state] ?? 'yellow', { colours })
  const up = showDuration((status.time - status.startedAt) / 1_000)
  const lines = [
    `${state}: ${plain(status.sentence)}`,
    `Ringfence ${plain(status.version)}, mode ${status.mode}, running for ${up}`,
    ...onTrial(status),
    '',
  ]
  const ports = (list: readonly number[]) => (list.length === 0 ? 'none' : list.join(','))
  const { sip } = limits
  const rows: [string, string][] = [
    ['traffic', `to ${traffic.destinations.join(', ')} on ${traffic.interfaces.join(', ')}`],
    ['ports', `udp ${ports(traffic.udpPorts)}, tcp ${ports(traffic.tcpPorts)}`],
    [
      'rates',
      `${number(rates.registers)} REGISTER/s, ${number(rates.sipMessages)} SIP/s, ${number(rates.successes)} successes/s, ${number(rates.failures)} failures/s`,
    ],
    [
      'sensor',
      `${sensor.state} (${sensor.engine}), ${count(sensor.framesSeen, 'frame')}, ${number(sensor.framesLost)} lost, ${number(sensor.malformed)} malformed, ${count(sensor.sourcesTracked, 'source')}`,
    ],
    ...notReadInWords(sensor).map((text): [string, string] => ['', text]),
    ...(sensor.detail === '' ? [] : [['', sensor.detail] as [string, string]]),
    ...samplingInWords(status).map((text): [string, string] => ['', text]),
    [
      'rules',
      `${rules.state} (${rules.backend}), ${count(rules.pendingChanges, 'change')} pending, ${count(rules.repairs, 'repair')}, ${count(rules.registerPacketsDropped, 'REGISTER')} dropped`,
    ],
    ...troubles.map((trouble): [string, string] => ['', trouble]),
    [
      'packets',
      `${number(rules.judged.udp)} UDP and ${number(rules.judged.tcp)} TCP judged, ${drops(status)}`,
    ],
    ...oldFigures(status).map((text): [string, string] => ['', text]),
    ['limits', `${strictness(status)}`],
    ['', `REGISTER ${limits.register.perSecond}/s burst ${limits.register.burst} a source`],
    [
      '',
      `SIP ${sip.perSecond}/s burst ${sip.burst} a source, ${
        sip.enforced
          ? `${sip.prefix.perSecond}/s a prefix, ${sip.total.perSecond}/s in all, enforced`
          : 'only observed: none of it is dropped'
      }`,
    ],
    ...status.logs.map((log, i): [string, string] => [i === 0 ? 'logs' : '', logInWords(log)]),
    ['lanes', lanesInWords(status)],
    ...sightInWords(status),
    ...noncesInWords(status),
    ['bindings', `${number(sensor.learntBindings)} learnt from the softswitch's answers`],
    ...onlineCheckInWords(status),
    ...weatherInWords(status),
    ...status.gateways.map(({ name, prefixes, cps, burst }, i): [string, string] => [
      i === 0 ? 'gateways' : '',
      `${name}: ${cps} calls/s burst ${burst} (${prefixes.join(', ')})`,
    ]),
    [
      'decisions',
      `${count(counts.blocks, 'block')}, ${count(counts.suspensions, 'suspension')}, ${number(counts.allowed)} allowed`,
    ],
    ['registrar', registrarInWords(registrar)],
    [
      'host',
      `CPU ${number(host.cpu)} %, memory ${gigabytes(host.memoryUsed)} of ${gigabytes(host.memoryTotal)} GiB`,
    ],
  ]
  return lines
    .join('\n')
    .concat(
      '\n',
      facts(rows),
      looksInWords(status),
      changesOfState(status),
      wouldLimit(status),
      wouldHaveDone(status),
    )
}

/** How requests are read, where that is not the usual way. */
function samplingInWords({ sensor: { sampling, lowerBounds }, rules }: StatusSnapshot): readonly string[] {
  const group = `the kernel's log (NFLOG group ${sampling?.group})`
  const how =
    sampling?.state === 'loud'
      ? [
          `so much arrives that requests are read from ${group}; all ${number(rules.judged.udp)} UDP packets were judged`,
        ]
      : []
  const bounds = lowerBounds === true ? ['not all that comes is seen: the rates say so much or more'] : []
  const trouble =
    sampling === undefined || sampling.detail === ''
      ? []
      : [`under a flood everything is captured: ${plain(sampling.detail)}`]
  return [...how, ...bounds, ...trouble]
}

/** Figures that the kernel was not asked for lately must not pass for those of now. */
function oldFigures({ rules: { countedAt, state }, time }: StatusSnapshot): readonly string[] {
  if (countedAt === undefined || state === 'off') return []
  if (countedAt === null) return ['the kernel has not told its counters yet']
  const age = time - countedAt
  if (age <= OLD) return []
  return [`these figures are ${showDuration(age / 1_000)} old: the kernel is slow to tell its counters`]
}

function onTrial({ trial }: StatusSnapshot): readonly string[] {
  if (trial === null) return []
  const left = showDuration(trial.secondsLeft)
  return [
    `On trial for another ${left}: ${plain(trial.file)} of ${plain(trial.by)} (\`ringfence confirm\` keeps it, \`ringfence revert\` takes it back)`,
  ]
}

function contested({ rules, time }: StatusSnapshot): string {
  const wait = Math.max(0, Math.ceil(((rules.contestedUntil ?? time) - time) / 1_000))
  const found = rules.lastRepair === null ? '' : `; found last: ${rules.lastRepair}`
  return `another program keeps changing the rules${found}; next repair in ${wait} s, at once with \`ringfence on\``
}

/** What is said after the number; a pair has a form for one. */
const DROP_CAUSES: Readonly<Record<string, string | readonly [one: string, many: string]>> = {
  blocks: 'by blocks',
  suspensions: 'by suspensions',
  registerLimit: 'over REGISTER limits',
  firstPackets: ['first packet under attack', 'first packets under attack'],
  sipLimit: 'over the SIP limit',
  rest: ['unasked keepalive or response', 'unasked keepalives and responses'],
  gateways: 'over the CPS of gateways',
  ceiling: 'over the ceiling',
  connections: ['new connection', 'new connections'],
  full: 'by full tables',
}

function drops({ rules: { dropped } }: StatusSnapshot): string {
  const causes = Object.entries(dropped).filter(([, packets]) => packets > 0)
  if (causes.length === 0) return 'none dropped'
  return `dropped: ${causes.map(droppedBy).join(', ')}`
}

function droppedBy([cause, packets]: readonly [string, number]): string {
  const said = DROP_CAUSES[cause] ?? plain(cause)
  return `${number(packets)} ${typeof said === 'string' ? said : said[packets === 1 ? 0 : 1]}`
}

function strictness({ strict: { state, since, why, order } }: StatusSnapshot): string {
  const ordered = order === 'auto' ? '' : ` (ordered: strict ${order})`
  return `${state} since ${showTime(since)}${ordered}: ${why}`
}

/** Said after the number, by the bound that was reached. */
const LET_GO: Readonly<Record<string, string>> = {
  provenOfAccount: 'proven of one account',
  provenOfAll: 'proven of all accounts',
  evidence: 'reports of the sensor',
}

function lanesInWords({ lanes }: StatusSnapshot): string {
  const { proven, answered, returning, ignoring, letGo, letGoLast = {} } = lanes
  const letGoBy = ([bound, amount]: readonly [string, number]) => {
    const last = letGoLast[bound]
    return `${number(amount)} ${LET_GO[bound] ?? plain(bound)}${last === undefined ? '' : ` (last ${showTime(last)})`}`
  }
  const gone = Object.entries(letGo).filter(([, amount]) => amount > 0)
  const lost = gone.length === 0 ? '' : `; let go for lack of room: ${gone.map(letGoBy).join(', ')}`
  return `${number(proven)} proven, ${number(answered)} answered, ${number(returning)} returning, ${number(ignoring)} ignoring${lost}`
}

function logInWords(log: StatusSnapshot['logs'][number]): string {
  const state = log.reason === '' ? log.state : `${log.state}, ${plain(log.reason)}`
  const doubtful = log.linesDoubtful === 0 ? '' : `, ${number(log.linesDoubtful)} not believed`
  return `${log.log} ${plain(log.path)}: ${state}; ${count(log.linesRead, 'line')}, ${number(log.linesUnderstood)} understood, ${number(log.linesLetGo)} let go${doubtful}, ${number(log.eventsUsed)} used`
}

function weatherInWords({ weather }: StatusSnapshot): readonly [string, string][] {
  const { state, since, why, baseline, capacity, anomalies, policy, outage } = weather
  const { registerRetry, registerSuspendTime } = policy
  return [
    ['weather', `${state} since ${showTime(since)}: ${why}`],
    ...(outage ? [['', outage.sentence] as [string, string]] : []),
    ['', `${count(registerRetry, 'failure')} suspend for ${showDuration(registerSuspendTime)}`],
    ['usual', baselineInWords(baseline)],
    ...anomalies.map(({ since, sentence }): [string, string] => [
      '',
      `unusual since ${showTime(since)}: ${sentence}`,
    ]),
    ['capacity', capacityInWords(capacity)],
  ]
}

function baselineInWords({
  state,
  hours,
  hoursNeeded,
  usual,
  bound,
}: StatusSnapshot['weather']['baseline']): string {
  if (state === 'learning' || usual === null)
    return `not learnt yet (${hours} of ${count(hoursNeeded, 'hour')}); nothing is decided by it`
  const { registers, share, endpoints, newSources } = usual
  const succeed = share === null ? '' : `, ${Math.round(share * 100)} % successful`
  const far = bound === null ? '' : ` (over ${number(bound)} is far more)`
  return `at this hour ${number(registers ?? 0)} REGISTER/s${far}${succeed}, ${count(Math.round(endpoints ?? 0), 'endpoint')}, ${number(newSources ?? 0)} new sources a minute; from ${count(hours, 'hour')}`
}

const KNOWN_HOW: Readonly<Record<StatusSnapshot['weather']['capacity']['how'], string>> = {
  configured: 'configured',
  measured: 'measured',
  'at-least': 'or more',
  unknown: 'not known yet',
}

function capacityInWords({
  perSecond,
  how,
  why,
  leftForUnknown,
}: StatusSnapshot['weather']['capacity']): string {
  const rate = perSecond === null ? 'not known yet' : `${number(perSecond)} REGISTER/s, ${KNOWN_HOW[how]}`
  const left = leftForUnknown === null ? '' : ` Unknown sources may send ${number(leftForUnknown)}/s.`
  return `${rate}: ${why}${left}`
}

function looksInWords({ looks: { count: all, first } }: StatusSnapshot): string {
  if (all === 0) return ''
  const lines = first.slice(0, MOST_LOOKS).map(({ time, source, name, action, times, reason }) => {
    const often = times === 1 ? '' : `, ${number(times)} times`
    return `  ${showTime(time)}  ${plain(source)}  ${plain(name)} (${action}${often}): ${plain(reason)}\n`
  })
  const more = all > lines.length ? `  and ${number(all - lines.length)} more\n` : ''
  return `\nLook at these of the last hour, which nothing blocks (\`ringfence explain\` tells more):\n${lines.join('')}${more}`
}

function changesOfState({ weather: { changes } }: StatusSnapshot): string {
  if (changes.length === 0) return ''
  const lines = changes.map(
    (change) =>
      `  ${showTime(change.time)}  ${plain(change.what)}: ${plain(change.state)}: ${plain(change.why)}${peakInWords(change)}`,
  )
  return `\nLast changes, newest first:\n${lines.join('\n')}\n`
}

/** The most that came while it stood. */
function peakInWords({ figures }: StatusSnapshot['weather']['changes'][number]): string {
  const { peakRegisters, peakAtLeast, peakArrivals, endedAt } = figures
  const peaks = [
    ...(typeof peakRegisters === 'number'
      ? [`${peakAtLeast === true ? 'at least ' : ''}${number(peakRegisters)} REGISTER/s`]
      : []),
    ...(typeof peakArrivals === 'number' ? [`${number(peakArrivals)} packets/s in the kernel`] : []),
  ]
  if (peaks.length === 0) return ''
  const until = typeof endedAt === 'number' ? ` until ${showTime(endedAt)}` : ''
  return ` Most${until}: ${peaks.join(', ')}.`
}

/** A line for each port that needs a word, and one for those that are seen. */
function sightInWords({ sight }: StatusSnapshot): [string, string][] {
  const named = (ports: StatusSnapshot['sight']) => ports.map(({ transport, port }) => `${transport} ${port}`)
  const lines: string[] = []
  for (const state of ['sighted', 'quiet'] as const) {
    const ports = sight.filter((each) => each.state === state)
    if (ports.length > 0) lines.push(`${state}: ${named(ports).join(', ')}`)
  }
  for (const { transport, port, state, since, detail } of sight) {
    if (state === 'half-sighted' || state === 'blind')
      lines.push(`${state}: ${transport} ${port} since ${showTime(since)}, ${plain(detail)}`)
  }
  return lines.map((line, i) => [i === 0 ? 'sight' : '', line])
}

function noncesInWords({ nonces }: StatusSnapshot): [string, string][] {
  return nonces.map(({ server, state, detail }, i) => [
    i === 0 ? 'nonces' : '',
    `${plain(server)} ${state}: ${plain(detail)}`,
  ])
}

function onlineCheckInWords({ sensor: { onlineCheck: check } }: StatusSnapshot): [string, string][] {
  if (!check || check.online + check.silent + check.unasked === 0) return []
  const says = `${count(check.online, 'phone')} answer the softswitch's OPTIONS, ${number(check.silent)} stay silent`
  const unseen = check.state === 'unseen' ? ' (answers are not seen now)' : ''
  return [['online check', `${says}${unseen}`]]
}

function registrarInWords({ state, accounts, bindings, detail }: StatusSnapshot['registrar']): string {
  if (state === 'off') return 'off'
  const said = `${state}, ${count(accounts, 'account')}, ${count(bindings, 'binding')}`
  return detail === '' ? said : `${said}: ${detail}`
}

function wouldLimit({ limits }: StatusSnapshot): string {
  const sources = limits.sipWouldLimit
  if (sources.length === 0) return ''
  const lines = sources
    .slice(0, MOST_LISTED)
    .map(({ address, packets }) => `  ${plain(address)}  ${count(packets, 'packet')} over the limit`)
  const more = sources.length > MOST_LISTED ? `\n  and ${number(sources.length - MOST_LISTED)} more` : ''
  const title = limits.sip.enforced
    ? 'Limited by the SIP limit (`ringfence allow` to spare one, `ringfence enforce sip --observe` to stop):'
    : 'The SIP limit would limit (`ringfence enforce sip` to do so, `ringfence allow` to spare one):'
  return `\n${title}\n${lines.join('\n')}${more}\n`
}

function wouldHaveDone({ rules: { wouldHaveDone: done } }: StatusSnapshot): string {
  if (done.length === 0) return ''
  const lines = done.slice(-MOST_LISTED).map((change) => `  ${plain(change)}`)
  return `\nWould have been done, newest last:\n${lines.join('\n')}\n`
}

function gigabytes(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1)
}

function notReadInWords({ notRead }: StatusSnapshot['sensor']): readonly string[] {
  if (!notRead) return []
  const { datagrams, segments, gaps, connections, transactions } = notRead
  const parts = [
    [datagrams, 'datagram', 'with a wrong checksum'],
    [segments, 'TCP segment', 'that nobody can have taken'],
    [gaps, 'gap', 'in TCP'],
    [connections, 'TCP connection', 'that could not be followed'],
    [transactions, 'transaction', 'let go for lack of room'],
  ] as const
  const told = parts.flatMap(([amount, what, why]) => (amount === 0 ? [] : [`${count(amount, what)} ${why}`]))
  return told.length === 0 ? [] : [`since the sensor started not read: ${told.join(', ')}`]
}
