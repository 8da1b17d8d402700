import type { Command } from 'commander'
import type { StatusSnapshot } from '../../../dashboard/api/control-plane.ts'
import { showDuration } from '../../../registrar/net/time.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { type Colour, count, facts, number, paint, plain } from '../terminal.ts'

const MOST_LISTED = 10

export function statusCommand(deps: CliDeps): Command {
  return newCommand('status', {
    says: 'how the host, the sensor and the rules are, and who the SIP limit would limit',
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
  observing: 'yellow',
  off: 'red',
  degraded: 'yellow',
}

function statusInWords(status: StatusSnapshot, { colours }: { readonly colours: boolean }): string {
  const { traffic, rates, sensor, rules, limits, host, counts, registrar } = status
  const state = paint(plain(status.state), STATE_COLOURS[status.state] ?? 'yellow', { colours })
  const up = showDuration((status.time - status.startedAt) / 1_000)
  const lines = [
    `${state}: ${plain(status.sentence)}`,
    `Ringfence ${plain(status.version)}, mode ${status.mode}, running for ${up}`,
    '',
  ]
  const ports = (list: readonly number[]) => (list.length === 0 ? 'none' : list.join(','))
  const sip = `${limits.sip.perSecond}/s burst ${limits.sip.burst}`
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
    ...(sensor.detail === '' ? [] : [['', sensor.detail] as [string, string]]),
    [
      'rules',
      `${rules.state} (${rules.backend}), ${count(rules.pendingChanges, 'change')} pending, ${count(rules.repairs, 'repair')}, ${count(rules.registerPacketsDropped, 'REGISTER')} dropped`,
    ],
    ...(rules.lastError === null ? [] : [['', `last error: ${rules.lastError}`] as [string, string]]),
    ['limits', `REGISTER ${limits.register.perSecond}/s burst ${limits.register.burst} a source`],
    ['', `SIP ${sip} a source, ${limits.sip.enforced ? 'enforced' : 'only observed'}`],
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
  return lines.join('\n').concat('\n', facts(rows), wouldLimit(status), wouldHaveDone(status))
}

function registrarInWords({ state, accounts, bindings, detail }: StatusSnapshot['registrar']): string {
  if (state === 'off') return 'off'
  const said = `${state}, ${count(accounts, 'account')}, ${count(bindings, 'binding')}`
  return detail === '' ? said : `${said}: ${detail}`
}

function wouldLimit({ limits }: StatusSnapshot): string {
  const sources = limits.sipWouldLimit
  if (limits.sip.enforced || sources.length === 0) return ''
  const lines = sources
    .slice(0, MOST_LISTED)
    .map(({ address, packets }) => `  ${plain(address)}  ${count(packets, 'packet')} over the limit`)
  const more = sources.length > MOST_LISTED ? `\n  and ${number(sources.length - MOST_LISTED)} more` : ''
  return `\nThe SIP limit would limit (\`ringfence enforce sip\` to do so, \`ringfence allow\` to spare one):\n${lines.join('\n')}${more}\n`
}

function wouldHaveDone({ rules: { wouldHaveDone: done } }: StatusSnapshot): string {
  if (done.length === 0) return ''
  const lines = done.slice(-MOST_LISTED).map((change) => `  ${plain(change)}`)
  return `\nWould have been done, newest last:\n${lines.join('\n')}\n`
}

function gigabytes(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1)
}
