import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Address, type Prefix, prefixOfAddress } from '../../registrar/net/address.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import { Cable } from './cable.ts'
import { DEFAULTS, desired } from './desired.ts'
import { type Report, showCount } from './figures.ts'
import { countsOf, type Held, holdRules } from './held-rules.ts'
import { udpFrame, writeFrames } from './udp-frames.ts'

const FORGED = 4_000_000
const PORT = 5066
const WAY = { backend: 'iptables-nft', family: 4 } as const
/** So often a second each of those who are known sends, well inside its limit. */
const PROBES_A_SECOND = 3
const PROBE_SECONDS = 15

/** Who must not notice anything, and what it sends. */
const KNOWN = [
  { who: 'proven', source: '10.98.0.20', says: 'REGISTER sip:example.com SIP/2.0' },
  { who: 'proven, in a call', source: '10.98.0.21', says: 'BYE sip:1@example.com SIP/2.0' },
  { who: 'answered', source: '10.98.0.22', says: 'REGISTER sip:example.com SIP/2.0' },
  { who: 'gateway', source: '10.98.0.23', says: 'INVITE sip:1@example.com SIP/2.0' },
  { who: 'allowed', source: '10.98.0.24', says: 'REGISTER sip:example.com SIP/2.0' },
  { who: 'asked peer', source: '10.98.0.25', says: 'SIP/2.0 200 OK' },
  { who: 'returning', source: '10.98.0.26', says: 'REGISTER sip:example.com SIP/2.0' },
] as const

/**
 * Four million forged sources at full speed against the default limits: whether those who are known are served
 * meanwhile, what the kernel remembers of the flood, and what a packet of it costs.
 */
export async function benchTableExhaustion(report: Report): Promise<void> {
  const cable = await new Cable().lay()
  try {
    const kinds = [
      'REGISTER sip:a SIP/2.0',
      'OPTIONS sip:a SIP/2.0',
      'BYE sip:a SIP/2.0',
      'SIP/2.0 200 OK',
      '',
    ]
    const once = forgedPackets(cable, kinds, 1)
    const twice = forgedPackets(cable, ['REGISTER sip:a SIP/2.0'], 2)
    const registers = forgedPackets(cable, ['REGISTER sip:a SIP/2.0'], 1)
    await hold(cable, 'empty chain')
    report('an empty chain', `${showRate(await flood(cable, registers, 500_000))}, sending included`)
    const floods = [
      ['in peace, REGISTERs, each source once', registers, state({ buckets: 1_048_576, strict: false })],
      ['in peace, five kinds of packets, each source once', once, state({ buckets: 524_288, strict: false })],
      ['under attack, REGISTERs, each source once', registers, state({ buckets: 1_048_576, strict: true })],
      ['under attack, REGISTERs, each source twice', twice, state({ buckets: 1_048_576, strict: true })],
    ] as const
    for (const [name, config, held] of floods) await benchFlood(cable, report, { name, config, held })
  } finally {
    await cable.remove()
  }
}

async function benchFlood(
  cable: Cable,
  report: Report,
  { name, config, held }: { readonly name: string; readonly config: string; readonly held: DesiredState },
): Promise<void> {
  await hold(cable, 'nothing')
  const before = await kernelMemory()
  await hold(cable, held)
  await ipset(cable, `add rf-asked4 ${KNOWN[5].source}`)
  const loaded = await kernelMemory()
  const [seconds, during] = await Promise.all([flood(cable, config, FORGED), served(cable)])
  const noted = await entries(cable)
  const filled = await kernelMemory()
  report(`${name}: a packet`, `${showRate(seconds)}, sending included`)
  report(`${name}: served during the flood`, during)
  report(`${name}: served when it is over and the tables are full`, await served(cable))
  report(
    `${name}: memory`,
    `${showMegabytes(loaded - before)} for the empty tables, ${showMegabytes(filled - loaded)} more when full`,
  )
  report(`${name}: dropped because a table was full`, await lost(cable))
  report(`${name}: remembered at the end of the flood`, noted)
  await ipset(cable, `add rf-deny4 ${KNOWN[0].source}`)
  const blocked = await served(cable, 1)
  if (!blocked.startsWith('proven 0 of')) throw new Error(`a block did not work: ${blocked}`)
}

/** Who is known sends for some seconds: how much of it came behind the rules. */
async function served(cable: Cable, seconds = PROBE_SECONDS): Promise<string> {
  const before = await behind(cable)
  const file = join(cable.folder, 'known.pcap')
  writeFrames(
    file,
    KNOWN.map(({ source, says }) => {
      const text = `${says}\r\nVia: SIP/2.0/UDP ${source}:${PORT};branch=z9hG4bK1\r\nCall-ID: 1@${source}\r\n\r\n`
      const ends = { source: source as Address, destination: Cable.SERVER as Address }
      return udpFrame({ ...ends, port: PORT, destinationPort: 5060, destinationMac: cable.serverMac, text })
    }),
  )
  const rounds = seconds * PROBES_A_SECOND
  const pace = [`--pps=${KNOWN.length * PROBES_A_SECOND}`, `--loop=${rounds}`]
  await cable.run('attacker', 'tcpreplay', ['-i', 'eth0', '--preload-pcap', ...pace, file])
  const after = await behind(cable)
  return KNOWN.map(({ who }, i) => `${who} ${after[i]! - before[i]!} of ${rounds}`).join(', ')
}

/** Packets of each of those who are known that rules behind ours have counted. */
async function behind(cable: Cable): Promise<readonly number[]> {
  const counts = await countsOf(cable.names.server, { ...WAY, chain: 'PREROUTING' })
  return KNOWN.map(({ source }) => counts.find(({ rule }) => rule.includes(source))!.packets)
}

/** What came to a table, was not dropped by its rule, and did not come out again. */
async function lost(cable: Cable): Promise<string> {
  const chains = ['UNKNOWN', 'STRICT', 'SIP', 'CALLS', 'KEEPALIVE']
  const found: string[] = []
  for (const chain of chains) {
    let into: number | undefined
    let sum = 0
    for (const { rule, packets } of await countsOf(cable.names.server, {
      ...WAY,
      chain: `RINGFENCE-${chain}`,
    })) {
      if (rule === '') {
        if (into !== undefined) sum += into - packets
        into = packets
      } else if (into !== undefined && / -[jg] /.test(rule)) into -= packets
    }
    if (sum > 0) found.push(`${chain} ${showCount(sum)}`)
  }
  return found.join(', ') || 'none'
}

async function entries(cable: Cable): Promise<string> {
  const listed = await cable.run('server', 'ipset', ['list', '-t', 'rf-seen4'])
  const seen = Number(/Number of entries: (\d+)/.exec(listed)?.[1])
  return `${showCount(seen)} first packets noted`
}

/** Gives the seconds a packet. */
async function flood(cable: Cable, config: string, packets: number): Promise<number> {
  const core = String(cpus().length - 1)
  const startedAt = performance.now()
  const trafgen = ['trafgen', '--dev', 'eth0', '--conf', config, '-n', String(packets), '-P', '1', '-q']
  await cable.run('attacker', 'taskset', ['-c', core, ...trafgen], 600_000)
  return (performance.now() - startedAt) / 1000 / packets
}

/**
 * A configuration of trafgen: every packet from another source, and, until four million are through, from another
 * prefix; `times`: so many packets of each, one behind the other.
 */
function forgedPackets(cable: Cable, kinds: readonly string[], times: number): string {
  const file = join(cable.folder, `forged-${kinds.length}-${times}.cfg`)
  const packets = kinds.flatMap((kind, i) => {
    const text =
      kind === '' ? '\r\n\r\n' : `${kind}\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nCall-ID: 1\r\n\r\n`
    const frame = udpFrame({
      source: '11.0.0.1' as Address,
      port: PORT,
      destination: Cable.SERVER as Address,
      destinationPort: 5060,
      destinationMac: cable.serverMac,
      text,
    })
    frame.writeUInt16BE(0, 40)
    const bytes = [...frame].map((byte) => `0x${byte.toString(16)}`)
    // Counters with lengths that have no common divisor: together they repeat after 188 million packets.
    bytes.splice(26, 4, `dinc(${11 + 14 * i},${23 + 14 * i})`, 'dinc(0,250)', 'dinc(0,240)', 'dinc(0,238)')
    bytes.splice(24, 2, 'csumip(14,33)')
    return new Array<string>(times).fill(`{ ${bytes.join(', ')} }`)
  })
  writeFileSync(file, packets.join('\n'))
  return file
}

async function hold(cable: Cable, held: Held): Promise<void> {
  const counting = KNOWN.map(({ source }) => `-A PREROUTING -s ${source}/32 -i eth0 -p udp`)
  await holdRules(cable.names.server, {
    ...WAY,
    held,
    behind: [...counting, '-A PREROUTING -i eth0 -p udp -j DROP'],
  })
}

async function ipset(cable: Cable, command: string): Promise<void> {
  await cable.run('server', 'ipset', command.split(' '))
}

function state({ buckets, strict }: { readonly buckets: number; readonly strict: boolean }): DesiredState {
  const until = Date.now() + 3_600_000
  const prefix = (i: number): Prefix => prefixOfAddress(KNOWN[i]!.source as Address)
  const at = (i: number) => ({ address: KNOWN[i]!.source as Address, port: PORT, until })
  return desired({
    limits: {
      ...DEFAULTS.limits,
      // Whoever answered a challenge is probed like the others here, and so would be limited.
      answered: { perSecond: 3, burst: 6 },
      sip: { ...DEFAULTS.limits.sip, enforced: true },
    },
    sizes: { elements: 131_072, buckets, seen: 2_000_000 },
    strictUntil: strict ? until : null,
    allow: [prefix(4)],
    gateways: [{ name: 'trunk', prefixes: [prefix(3)], cps: { perSecond: 20, burst: 40 } }],
    members: [
      [
        { lane: 'proven', ...at(0) },
        { lane: 'proven', ...at(1) },
        { lane: 'answered', ...at(2) },
        { lane: 'returning', source: prefix(6), accounts: 1, until },
      ],
    ],
  })
}

/** What the kernel holds for tables, in bytes, once it has let go of what was removed a moment ago. */
async function kernelMemory(): Promise<number> {
  const read = () => {
    const text = readFileSync('/proc/meminfo', 'utf8')
    const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)![1]) * 1024
    return of('Slab') + of('VmallocUsed')
  }
  let last = read()
  for (let tries = 0; tries < 20; tries++) {
    await pause(1_000)
    const now = read()
    if (Math.abs(now - last) < 500_000) return now
    last = now
  }
  return last
}

const showMegabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
const showRate = (seconds: number) => `${(seconds * 1e6).toFixed(2)} µs (${showCount(1 / seconds)}/s)`
