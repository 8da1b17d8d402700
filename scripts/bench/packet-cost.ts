import { cpus } from 'node:os'
import { join } from 'node:path'
import {
  type Address,
  type Family,
  type Prefix,
  prefixOf,
  prefixOfAddress,
  sourcePrefixOf,
} from '../../registrar/net/address.ts'
import type { Block, DesiredState, Limit, Member } from '../../rules/desired-state.ts'
import { Cable } from './cable.ts'
import { DEFAULTS, desired } from './desired.ts'
import { percentile, type Report, showCount } from './figures.ts'
import { type Backend, countsOf, type Held, holdRules } from './held-rules.ts'
import { udpFrame, writeFrames } from './udp-frames.ts'

const PACKETS = 40_000
/** Each round measures every kind in turn, so that a busy moment of the machine does not fall on one alone. */
const ROUNDS = 3
const RUNS_A_ROUND = 4
const SOURCES = 500
const PORT = 5066
const SERVER6 = 'fd98::1' as Address
const HOUR = 3_600_000
const LOG_GROUP = 5060

interface Kind {
  readonly name: string
  readonly held: (family: Family) => Held
  /** Whose packets: the proven ones, or others that nothing is known of. */
  readonly from: 'proven' | 'unknown'
}

const unlimited: Limit = { perSecond: 1_000_000, burst: 1_000_000 }
const slow: Limit = { perSecond: 1, burst: 1 }

const KINDS: readonly Kind[] = [
  { name: 'no rules of ours', held: () => 'nothing', from: 'proven' },
  { name: 'an empty chain', held: () => 'empty chain', from: 'proven' },
  { name: 'proven, few lists', held: (family) => state(family, { lists: 0 }), from: 'proven' },
  {
    name: 'proven, few lists, logged for a sensor that does not listen',
    held: (family) => state(family, { lists: 0, logGroup: LOG_GROUP }),
    from: 'proven',
  },
  {
    name: 'proven, 100,000 members and 10,000 blocks',
    held: (family) => state(family, { lists: 1 }),
    from: 'proven',
  },
  {
    name: 'dropped by the limit of a source',
    held: (family) => state(family, { lists: 0, source: slow }),
    from: 'unknown',
  },
  {
    name: 'dropped by the limit of a source, logged for a sensor that does not listen',
    held: (family) => state(family, { lists: 0, source: slow, logGroup: LOG_GROUP }),
    from: 'unknown',
  },
  {
    name: 'under attack, every packet a first one',
    held: (family) => state(family, { lists: 0, strict: true }),
    from: 'unknown',
  },
]

/**
 * What the rules cost a packet: the whole of it over a veth pair, sending included, on one core, against the same with
 * a chain without rules. What passes goes to a socket that nobody reads, which is the least that a delivered packet
 * costs; the second time it is dropped by a rule behind ours, so that
 * nothing else weighs.
 */
export async function benchPacketCost(report: Report): Promise<void> {
  const cable = await new Cable().lay()
  const softswitch = cable.start('server', process.execPath, ['-e', DEAF_SOFTSWITCH])
  try {
    await cable.run('server', 'ip', ['addr', 'add', `${SERVER6}/64`, 'dev', 'eth0', 'nodad'])
    for (const end of ['delivered', 'dropped behind the rules'] as const) {
      for (const backend of ['iptables-nft', 'iptables-legacy'] as const) {
        for (const family of [4, 6] as const) await benchFamily(cable, report, { backend, family, end })
      }
    }
  } finally {
    softswitch.kill('SIGKILL')
    await softswitch
    await cable.remove()
  }
}

/** Opens a socket on both families, and never reads. */
const DEAF_SOFTSWITCH = `
  const socket = require('node:dgram').createSocket('udp6')
  socket.bind(5060, '::', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))`

interface Way {
  readonly backend: Backend
  readonly family: Family
  readonly end: 'delivered' | 'dropped behind the rules'
}

async function benchFamily(cable: Cable, report: Report, way: Way): Promise<void> {
  const { backend, family, end } = way
  const files = {
    proven: writeSources(cable, family, 'proven'),
    unknown: writeSources(cable, family, 'unknown'),
  }
  const behind = [`-A PREROUTING -i eth0 -p udp${end === 'delivered' ? '' : ' -j DROP'}`]
  const times = KINDS.map(() => [] as number[])
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, kind] of KINDS.entries()) {
      await holdRules(cable.names.server, { backend, family, held: kind.held(family), behind })
      for (let run = 0; run < RUNS_A_ROUND; run++) times[i]!.push(await send(cable, files[kind.from]))
      await checkWay(cable, way, kind)
    }
  }
  await holdRules(cable.names.server, { backend, family, held: 'nothing', behind: [] })
  // Other work of the machine only adds: the least of many runs is what the rules themselves cost.
  const empty = percentile(times[1]!, 0)
  for (const [i, { name }] of KINDS.entries()) {
    const [least, half] = [percentile(times[i]!, 0), percentile(times[i]!, 0.5)]
    report(
      `${end}, ${backend}, IPv${family}: ${name}`,
      `${least.toFixed(2)} µs a packet (half of the runs ${half.toFixed(2)}), ${(least / empty).toFixed(2)} times an empty chain`,
    )
  }
}

/** Microseconds a packet, on one core: the sender's, which also does what the receiver's kernel does. */
async function send(cable: Cable, file: string): Promise<number> {
  const core = String(cpus().length - 1)
  const replay = [
    'tcpreplay',
    '-i',
    'eth0',
    '--preload-pcap',
    '--topspeed',
    `--loop=${PACKETS / SOURCES}`,
    file,
  ]
  // Before whatever else the machine does for this moment, which else is most of what is measured.
  const said = await cable.run('attacker', 'chrt', ['-f', '50', 'taskset', '-c', core, ...replay])
  const [, sent, seconds] = /Actual: (\d+) packets \(\d+ bytes\) sent in ([\d.]+) seconds/.exec(said) ?? []
  if (Number(sent) !== PACKETS)
    throw new Error(`tcpreplay did not send ${showCount(PACKETS)} packets:\n${said}`)
  return (Number(seconds) * 1e6) / PACKETS
}

/** A figure is worth nothing where packets took another way than its name says. */
async function checkWay(cable: Cable, { backend, family }: Way, { name, from, held }: Kind): Promise<void> {
  const behind = (await countsOf(cable.names.server, { backend, family, chain: 'PREROUTING' })).at(
    -1,
  )!.packets
  const sent = PACKETS * RUNS_A_ROUND
  const expected = from === 'proven' || typeof held(family) === 'string' ? sent : 0
  if (Math.abs(behind - expected) > sent / 50) {
    throw new Error(`${name}: ${showCount(behind)} packets passed, not ${showCount(expected)}`)
  }
}

function writeSources(cable: Cable, family: Family, whose: Kind['from']): string {
  const file = join(cable.folder, `${whose}${family}.pcap`)
  const frames = Array.from({ length: SOURCES }, (_, i) => {
    const source = sourceOf(family, whose === 'proven' ? i : 100_000 + i)
    const text = register(source)
    const destination = family === 4 ? (Cable.SERVER as Address) : SERVER6
    return udpFrame({
      source,
      port: PORT,
      destination,
      destinationPort: 5060,
      destinationMac: cable.serverMac,
      text,
    })
  })
  writeFrames(file, frames)
  return file
}

/** Like an installation of some size, or of none. */
function state(
  family: Family,
  options: { lists: 0 | 1; source?: Limit; strict?: boolean; logGroup?: number },
): DesiredState {
  const { lists, source = unlimited, strict = false, logGroup } = options
  const until = Date.now() + HOUR
  const proven: Member[] = Array.from({ length: lists ? 50_000 : SOURCES }, (_, i) => ({
    lane: 'proven',
    address: sourceOf(family, i),
    port: PORT,
    until,
  }))
  const returning: Member[] = lists
    ? Array.from({ length: 50_000 }, (_, i) => ({
        lane: 'returning',
        source: sourcePrefixOf(sourceOf(family, i)),
        accounts: 1 + (i % 5),
        until,
      }))
    : []
  const listed = (from: number, amount: number) =>
    Array.from({ length: amount }, (_, i) => prefixOfAddress(sourceOf(family, 200_000 + from + i)))
  const networks = (lengths: readonly number[]): readonly Prefix[] =>
    lengths.map((length, i) =>
      prefixOf((family === 4 ? `172.${16 + i}.0.0` : `fd55:${i}::`) as Address, length),
    )
  const lengths = family === 4 ? [12, 16, 20, 22, 24, 28] : [32, 40, 44, 48, 56, 64]
  const block = (target: Prefix, sparesProven: boolean): Block => ({
    target,
    scope: 'sip',
    sparesProven,
    until,
  })
  return desired({
    traffic: { ...DEFAULTS.traffic, ...(logGroup === undefined ? {} : { logGroup }) },
    limits: {
      ...DEFAULTS.limits,
      unknown: { source, prefix: unlimited, total: unlimited },
      strict: { ...DEFAULTS.limits.strict, source, prefix: unlimited, total: unlimited },
      proven: unlimited,
      ceiling: unlimited,
    },
    // A memory of first packets this small soon notes none, so that every packet is a first one.
    sizes: { elements: 131_072, buckets: 65_536, seen: strict ? 10 : 65_536 },
    strictUntil: strict ? until : null,
    allow: lists ? networks(lengths) : [],
    gateways: lists
      ? networks(lengths).map((prefix, i) => ({ name: `gw-${i}`, prefixes: [prefix], cps: slow }))
      : [],
    blocks: lists
      ? [...listed(0, 5_000), ...networks(lengths)]
          .map((target) => block(target, false))
          .concat([...listed(10_000, 5_000), ...networks(lengths)].map((target) => block(target, true)))
      : [],
    members: [proven, returning],
  })
}

/** A different address for each number, the proven in some hundred networks. */
function sourceOf(family: Family, number: number): Address {
  const [a, b, c] = [(number >> 16) & 255, (number >> 8) & 255, number & 255]
  return (
    family === 4
      ? `10.${100 + a}.${b}.${c}`
      : `fd97:0:${(a << 8) | b}:${c.toString(16)}::7`.replace(/:0+([0-9a-f])/g, ':$1')
  ) as Address
}

function register(host: string): string {
  const via = host.includes(':') ? `[${host}]` : host
  return [
    'REGISTER sip:example.com SIP/2.0',
    `Via: SIP/2.0/UDP ${via}:${PORT};branch=z9hG4bKa776asdh;rport`,
    'Max-Forwards: 70',
    'To: <sip:1001@example.com>',
    'From: <sip:1001@example.com>;tag=456248',
    'Call-ID: 17637684230@998sdasdh09',
    'CSeq: 1826 REGISTER',
    `Contact: <sip:1001@${via}:${PORT}>`,
    'Expires: 3600',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n')
}
