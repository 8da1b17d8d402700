import { Buffer } from 'node:buffer'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Family, familyOf } from '../../registrar/net/address.ts'
import { imaginePacket } from '../../rules/trace/imagine-packet.ts'
import { ImaginedTraffic } from '../../rules/trace/imagined-traffic.ts'
import type { ImaginaryPacket } from '../../rules/trace/packet.ts'
import { bytesOfPacket } from '../../rules/trace/packet-bytes.ts'
import { canRun } from '../requirements.ts'
import { sip } from '../rules/trace-packets.ts'
import { BACKENDS, type Backend, loadRules, programs } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { type Place, Topology } from '../stage/topology.ts'
import { HOST, HOST4, HOST6, makeWorld, type World } from './trace-worlds.ts'

/*
 * Holds the tracer against the kernel: states and packets made by chance, the packets sent for real, and then every
 * counter of every rule compared with what the tracer counted, and every packet's end with its verdict. A rule behind ours
 * for each packet, by its identification (IPv6: flow label), tells which ones passed.
 */

const WORLDS = 12
/** RINGFENCE_TRACE_SEED=n begins with other worlds; a failure names its own. */
const FIRST_SEED = Number(process.env.RINGFENCE_TRACE_SEED ?? 1)
const SENDER = fileURLToPath(new URL('send-frames.py', import.meta.url))
/** No rule of ours looks at it: when it has arrived, all before it have. */
const MARK_PORT = 9

const isPossible = canRun({ programs: ['ip', 'ipset', 'iptables-nft', 'iptables-legacy', 'python3'] })

describe.runIf(isPossible).each(BACKENDS)('the tracer and the kernel agree, by %s', (backend) => {
  const seeds = Array.from({ length: WORLDS }, (_, i) => FIRST_SEED + i)
  test.each(seeds)('in the world of seed %d', async (seed) => {
    const world = makeWorld(seed)
    const topology = new Topology()
    try {
      const { kernel, passed } = await play(topology, backend, world)
      const imagined = new ImaginedTraffic(world.state, HOST)
      const now = Date.now()
      for (const packet of requestsOf(world)) imagined.leave(packet, now)
      const traces = world.packets.map((packet) => imagined.arrive(packet, now))
      for (const [i, trace] of traces.entries()) {
        const packet = `seed ${seed}, packet ${i}: ${show(world.packets[i]!)}\n${JSON.stringify(trace, null, 1)}`
        expect(passed.has(i + 1) ? 'pass' : 'drop', packet).toBe(trace.verdict === 'drop' ? 'drop' : 'pass')
      }
      for (const family of [4, 6] as const) {
        expect(kernel[family], `seed ${seed}`).toEqual(countsOf(imagined, family))
      }
    } finally {
      await topology.remove()
    }
  })
})

test('the worlds hold every lane and both verdicts', () => {
  const lanes = new Set<string>()
  for (let seed = 1; seed <= WORLDS; seed++) {
    const world = makeWorld(seed)
    const imagined = new ImaginedTraffic(world.state, HOST)
    for (const packet of requestsOf(world)) imagined.leave(packet, Date.now())
    for (const packet of world.packets) {
      const { verdict, lane, says } = imagined.arrive(packet, Date.now())
      lanes.add(`${lane} ${verdict}`)
      if (says.includes(' is full ')) lanes.add('full')
    }
  }
  const both = ['allowed', 'gateway', 'proven', 'returning', 'unknown', 'sip', 'rest']
  expect([...lanes].sort()).toEqual(
    expect.arrayContaining([
      ...both.flatMap((lane) => [`${lane} pass`, `${lane} drop`]),
      ...[
        'answered pass',
        'blocked drop',
        'suspended drop',
        'ignoring pass',
        'peer pass',
        'connected pass',
        'none not-ours',
        'full',
      ],
    ]),
  )
})

type Counts = readonly (readonly [chain: string, packets: readonly number[]])[]

/** Loads a world's rules, sends its packets, and gives what the kernel counted and which packets passed. */
async function play(
  topology: Topology,
  backend: Backend,
  world: World,
): Promise<{ readonly kernel: Readonly<Record<Family, Counts>>; readonly passed: ReadonlySet<number> }> {
  const host = await topology.place('traced')
  const outside = await topology.place('tracing')
  for (const device of ['eth0', 'eth1']) await topology.cable([host, device], [outside, device])
  await host.ip('addr', 'add', `${HOST4}/24`, 'dev', 'eth0')
  await host.ip('addr', 'add', `${HOST6}/64`, 'dev', 'eth0', 'nodad')
  await host.ip('route', 'add', 'default', 'dev', 'eth0')
  await host.ip('-6', 'route', 'add', 'default', 'dev', 'eth0')
  await loadRules(host, backend, world.state)
  const marks = [HOST4, HOST6].map((destination) => markTo(world, destination))
  const packets = [...world.packets, ...marks]
  for (const [i, program] of programs(backend).entries()) {
    await host.namespace.feed(witnesses(packets.length, i === 0 ? 4 : 6), `${program}-restore`, '--noflush')
  }
  await sendRequests(host, world)
  const macs = new Map<string, string>()
  for (const device of ['eth0', 'eth1']) {
    macs.set(device, (await host.run('cat', `/sys/class/net/${device}/address`)).trim().replaceAll(':', ''))
  }
  const frames = packets.map((packet, i) => {
    const etherType = familyOf(packet.source) === 4 ? '0800' : '86dd'
    const ip = identified(packet, i + 1).toString('hex')
    return `${packet.interface} ${macs.get(packet.interface)}020000000001${etherType}${ip}\n`
  })
  await outside.namespace.feed(frames.join(''), 'python3', SENDER)
  const passed = new Set<number>()
  await eventually(
    async () => {
      for (const program of programs(backend)) {
        const saved = await host.run(`${program}-save`, '-c', '-t', 'raw')
        for (const [, count, id] of saved.matchAll(/^\[(\d+):\d+\] -A WITNESS .*=0x([0-9a-f]+)"/gm)) {
          expect(Number(count)).toBeLessThan(2)
          if (count === '1') passed.add(Number.parseInt(id!, 16))
        }
      }
      return marks.every((_, i) => passed.has(world.packets.length + 1 + i))
    },
    10_000,
    'the last packets arrived',
  )
  const counts = async (family: Family) => {
    const program = programs(backend)[family === 4 ? 0 : 1]
    return readCounts(await host.run(`${program}-save`, '-c', '-t', 'raw'))
  }
  return { kernel: { 4: await counts(4), 6: await counts(6) }, passed }
}

/** A packet by which is seen that all before it have come. */
function markTo({ state }: World, destination: ImaginaryPacket['destination']): ImaginaryPacket {
  const source = { address: destination, port: MARK_PORT }
  return imaginePacket(state.traffic, source, {
    source: (destination === HOST4 ? '192.0.2.200' : '2001:db8:ffff::1') as typeof destination,
    destination,
    destinationPort: MARK_PORT,
    interface: 'eth0',
  })
}

/** What the softswitch sends to those whom it asks. */
function requestsOf({ state, asked }: World): readonly ImaginaryPacket[] {
  return asked.map((destination) => ({
    ...imaginePacket(
      state.traffic,
      { address: destination, port: 5060 },
      { destinationPort: 5060, interface: 'eth0' },
    ),
    source: familyOf(destination) === 4 ? HOST4 : HOST6,
    destination,
    payload: Buffer.from(sip('INVITE')),
  }))
}

const REQUESTER = `
import socket, sys
for line in sys.stdin:
    source, to, text = line.split()
    s = socket.socket(socket.AF_INET6 if ':' in to else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 5060))
    s.sendto(bytes.fromhex(text), (to, 5060))
    s.close()
`

/** Really sends them, since it is OUTPUT that learns from them. */
async function sendRequests(host: Place, world: World): Promise<void> {
  const lines = requestsOf(world).map(
    ({ source, destination, payload }) => `${source} ${destination} ${payload.toString('hex')}\n`,
  )
  await host.namespace.feed(lines.join(''), 'python3', '-c', REQUESTER)
}

/** Behind our jump: one rule a packet, which counts it when it has passed. */
function witnesses(packets: number, family: Family): string {
  const rules = Array.from({ length: packets }, (_, i) => {
    const id = (i + 1).toString(16)
    const test = family === 4 ? `0x2&0xffff=0x${id}` : `0x0&0xfffff=0x${id}`
    return `-A WITNESS -i eth+ -m u32 --u32 "${test}"`
  })
  return `${['*raw', ':WITNESS - [0:0]', '-A PREROUTING -j WITNESS', ...rules, 'COMMIT'].join('\n')}\n`
}

/** Its bytes, with a number where no rule of ours looks. */
function identified(packet: ImaginaryPacket, id: number): Buffer {
  const bytes = bytesOfPacket(packet)
  if (familyOf(packet.source) === 6) {
    bytes.writeUInt32BE(0x6000_0000 | id, 0)
    return bytes
  }
  bytes.writeUInt16BE(id, 4)
  bytes.writeUInt16BE(0, 10)
  let sum = 0
  for (let i = 0; i < (bytes[0]! & 15) * 4; i += 2) sum += bytes.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  bytes.writeUInt16BE(~sum & 0xffff, 10)
  return bytes
}

/** Our own chains with the packets of each rule, in a fixed order. */
function readCounts(saved: string): Counts {
  const chains = new Map<string, number[]>()
  for (const [, packets, chain, rule] of saved.matchAll(/^\[(\d+):\d+\] -A (RINGFENCE\S*)(.*)/gm)) {
    // How many of them are a sample depends on how fast they came.
    if (rule!.includes('--nflog-prefix s ')) continue
    chains.set(chain!, [...(chains.get(chain!) ?? []), Number(packets)])
  }
  return [...chains].sort(([a], [b]) => (a < b ? -1 : 1))
}

function countsOf(imagined: ImaginedTraffic, family: Family): Counts {
  return readCounts(
    imagined
      .counts(family)
      .map(({ rule, packets }) => `[${packets}:0] ${rule}`)
      .join('\n'),
  )
}

function show({ payload, ...packet }: ImaginaryPacket): string {
  return JSON.stringify({
    ...packet,
    payload: payload.toString('latin1').slice(0, 60),
    bytes: payload.length,
  })
}
