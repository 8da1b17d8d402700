import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { Option } from 'commander'
import type { TraceView } from '../../../dashboard/api/what-if.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { type Colour, paint, plain } from '../terminal.ts'

/** More does not fit into a UDP packet. */
const LARGEST_PAYLOAD = 65_507

interface TraceOptions {
  readonly src: string
  readonly dst?: string
  readonly proto?: 'udp' | 'tcp'
  readonly method?: string
  readonly payload?: string
  readonly interface?: string
}

export function traceCommand(deps: CliDeps): Command {
  return newCommand('trace', {
    says: 'what the rules would do with an imaginary packet, which rule decides, and why',
    examples: [
      'ringfence trace --src 203.0.113.7:5060',
      'ringfence trace --src 203.0.113.7:5060 --method INVITE --json',
      'ringfence trace --src [2001:db8::7]:5060 --payload packet.bin --interface eth0',
    ],
  })
    .requiredOption(
      '--src <address[:port]>',
      'where it comes from, IPv6 with a port in brackets; default port 5060',
    )
    .option('--dst <address[:port]>', 'where it goes; without it a protected address and port')
    .addOption(new Option('--proto <protocol>', 'the transport').choices(['udp', 'tcp']).default('udp'))
    .addOption(
      new Option(
        '--method <method>',
        'what it asks for (UDP): a small message is made of it; default REGISTER',
      ).conflicts('payload'),
    )
    .option('--payload <file>', 'the bytes behind the UDP header; they are never printed')
    .option('--interface <name>', 'where it arrives; without it the first protected one')
    .action(async (options: TraceOptions, command: Command) => {
      const session = openSession(deps, command)
      const { src, dst, proto, method, payload } = options
      const body = {
        source: src,
        destination: dst,
        protocol: proto,
        method,
        payload: payload === undefined ? undefined : readPayload(payload),
        interface: options.interface,
      }
      const answer = await session.ask({ method: 'POST', path: 'trace', body })
      session.show(answer as TraceView, (trace) => traceInWords(trace, deps))
    })
}

const COLOURS: Readonly<Record<TraceView['verdict'], Colour>> = {
  pass: 'green',
  drop: 'red',
  'not-ours': 'yellow',
}

function traceInWords(trace: TraceView, colours: { readonly colours: boolean }): string {
  const { packet, verdict, says, notice, lane, steps, assumptions } = trace
  const matched = steps.map((step) => `  ${plain(step.rule)}\n      ${plain(step.says)}\n`).join('')
  return [
    `${paint(plain(verdict), COLOURS[verdict] ?? 'yellow', colours)}: ${plain(says)}\n`,
    notice === null ? '' : `but     ${plain(notice)}\n`,
    `packet  ${plain(packet)}\n`,
    `lane    ${plain(lane)}\n`,
    steps.length === 0 ? '\nNo rule of Ringfence matches.\n' : `\nRules that match, in order:\n${matched}`,
    assumptions.length === 0 ? '' : `\nAssumed:\n${assumptions.map((line) => `  ${plain(line)}\n`).join('')}`,
  ].join('')
}

function readPayload(file: string): string {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const facts = fstatSync(descriptor)
    if (!facts.isFile() || facts.size > LARGEST_PAYLOAD) {
      const message = `--payload ${file} is no regular file of at most ${LARGEST_PAYLOAD} bytes`
      throw new CliFailure(EXIT.usage, 'bad-input', message)
    }
    return readFileSync(descriptor).toString('base64')
  } catch (error) {
    if (error instanceof CliFailure) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new CliFailure(EXIT.failed, 'unreadable', `${file} cannot be read (${code ?? 'unknown error'})`)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
