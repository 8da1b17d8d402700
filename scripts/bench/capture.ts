import { setTimeout as pause } from 'node:timers/promises'
import type { CaptureEngine, KernelStatistics } from '../../agent/capture/live.ts'
import { LiveCapture } from '../../agent/capture/live.ts'
import { CaptureReader } from '../../agent/capture/read-capture.ts'
import { decodeFrame } from '../../agent/decode/decode-frame.ts'
import { IpFragments } from '../../agent/decode/ip-fragments.ts'
import { Cable } from './cable.ts'
import { timeOf } from './daemon.ts'
import { percentile, type Report, showCount } from './figures.ts'
import { makeFlood } from './flood.ts'

const ENGINES: readonly CaptureEngine[] = ['pcap', 'cap', 'tcpdump']
/** As packets a second, the last as fast as the generator can; and how many of them. */
const RATES: readonly (readonly [perSecond: number, packets: number])[] = [
  [20_000, 60_000],
  [60_000, 180_000],
  [Number.POSITIVE_INFINITY, 400_000],
]

const REGISTER = [
  'REGISTER sip:example.com SIP/2.0',
  'Via: SIP/2.0/UDP 10.9.0.1:5061;branch=z9hG4bK776asdhds;rport',
  'Max-Forwards: 70',
  'To: <sip:1001@example.com>',
  'From: <sip:1001@example.com>;tag=456248',
  'Call-ID: 843817637684230@998sdasdh09',
  'CSeq: 1826 REGISTER',
  'Contact: <sip:1001@10.9.0.1:5061>',
  'Expires: 3600',
  'Content-Length: 0',
  '',
  '',
].join('\r\n')

/** What capturing and decoding cost: decoding alone, then each engine under a bounded flood between namespaces. */
export async function benchCapture(report: Report): Promise<void> {
  benchDecode(report)
  const cable = new Cable()
  try {
    await cable.lay()
    for (const engine of ENGINES) {
      await benchDelay(cable, engine, report)
      for (const [perSecond, packets] of RATES) await benchRate(cable, engine, { perSecond, packets }, report)
    }
  } finally {
    await cable.remove()
  }
}

function benchDecode(report: Report): void {
  const frames: [name: string, ip: Buffer][] = [
    ['IPv4', ipv4Packet()],
    ['IPv6', ipv6Packet()],
  ]
  for (const [name, packet] of frames) {
    for (const sources of [1, 1_000_000]) {
      const [chunks, count] = captureOf(packet, sources)
      const fragments = new IpFragments()
      let udp = 0
      const reader = new CaptureReader({
        onFrame: (frame) => {
          if (decodeFrame(frame, fragments).kind === 'udp') udp++
        },
      })
      const passes = 12
      let started = process.cpuUsage()
      // The first passes warm the compiler up.
      for (let pass = 0; pass < passes; pass++) {
        if (pass === 4) started = process.cpuUsage()
        for (const chunk of pass === 0 ? chunks : chunks.slice(1)) reader.push(chunk)
      }
      const { user, system } = process.cpuUsage(started)
      const nanoseconds = ((user + system) * 1000) / (count * (passes - 4))
      if (udp !== count * passes) throw new Error(`${udp} of ${count * passes} frames were decoded`)
      report(
        `reading and decoding, ${name}, ${sources === 1 ? 'one source' : 'every packet another source'}`,
        `${nanoseconds.toFixed(0)} ns a frame`,
      )
    }
  }
}

/** A pcap stream of some 100,000 frames in chunks as a pipe gives them; the first chunk is the header alone. */
function captureOf(packet: Buffer, sources: number): [chunks: Buffer[], frames: number] {
  const count = 100_000
  const record = Buffer.concat([Buffer.alloc(16), Buffer.alloc(12), packet])
  record.writeUInt32LE(1_700_000_000, 0)
  record.writeUInt32LE(record.length - 16, 8)
  record.writeUInt32LE(record.length - 16, 12)
  const body = Buffer.alloc(record.length * count)
  const addressEnd = 16 + 14 + (packet.readUInt16BE(0) === 0x86dd ? 24 : 16)
  for (let i = 0; i < count; i++) {
    record.writeUInt32BE((Math.imul(i, 2_654_435_761) >>> 0) % sources, addressEnd - 4)
    record.copy(body, i * record.length)
  }
  const header = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex')
  const chunks = [header]
  for (let at = 0; at < body.length; at += 65_536) chunks.push(body.subarray(at, at + 65_536))
  return [chunks, count]
}

function udpHeader(): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16BE(5061, 0)
  header.writeUInt16BE(5060, 2)
  header.writeUInt16BE(8 + REGISTER.length, 4)
  return header
}

/** Both packets begin with their EtherType. */
function ipv4Packet(): Buffer {
  const header = Buffer.from('45000000000000004011000000000000 0a090002'.replace(' ', ''), 'hex')
  header.writeUInt16BE(28 + REGISTER.length, 2)
  return Buffer.concat([Buffer.from('0800', 'hex'), header, udpHeader(), Buffer.from(REGISTER)])
}

function ipv6Packet(): Buffer {
  const header = Buffer.from(`6000000000001140${'fd090000000000000000000000000001'.repeat(2)}`, 'hex')
  header.writeUInt16BE(8 + REGISTER.length, 4)
  return Buffer.concat([Buffer.from('86dd', 'hex'), header, udpHeader(), Buffer.from(REGISTER)])
}

/** Fifty packets with pauses between: how long each takes from `send` to the reader. */
async function benchDelay(cable: Cable, engine: CaptureEngine, report: Report): Promise<void> {
  const fragments = new IpFragments()
  const delays: number[] = []
  const capture = new LiveCapture({
    interface: 'eth0',
    ports: { udpPorts: [5060], tcpPorts: [] },
    engine,
    launcher: ['ip', 'netns', 'exec', cable.names.server],
    onFrame: (frame) => {
      const packet = decodeFrame(frame, fragments)
      if (packet.kind === 'udp') delays.push(sinceEpoch() - Number(packet.payload.toString('latin1')))
    },
  })
  capture.start()
  await until(() => capture.state.state === 'running')
  const script = `const s = require('dgram').createSocket('udp4'); let n = 0
    const t = setInterval(() => { if (++n === 50) clearInterval(t)
      s.send(String(performance.timeOrigin + performance.now()), 5060, '${Cable.SERVER}', () => n === 50 && s.close()) }, 21)`
  await cable.run('attacker', process.execPath, ['-e', script])
  await until(() => delays.length === 50)
  await capture.stop()
  report(
    `${engine}: from the sending of a packet to its reading`,
    `p50 ${percentile(delays, 0.5).toFixed(1)} ms, max ${percentile(delays, 1).toFixed(1)} ms`,
  )
}

function sinceEpoch(): number {
  return performance.timeOrigin + performance.now()
}

async function benchRate(
  cable: Cable,
  engine: CaptureEngine,
  { perSecond, packets }: { readonly perSecond: number; readonly packets: number },
  report: Report,
): Promise<void> {
  const fragments = new IpFragments()
  let seen = 0
  let statistics: KernelStatistics | null = null
  const capture = new LiveCapture({
    interface: 'eth0',
    ports: { udpPorts: [5060], tcpPorts: [5060] },
    engine,
    launcher: ['ip', 'netns', 'exec', cable.names.server],
    onFrame: (frame) => {
      if (decodeFrame(frame, fragments).kind === 'udp') seen++
    },
    onStatistics: (counts) => {
      statistics = counts
    },
  })
  // Making the flood takes time of this process, which must not count as the reader's.
  const flood = makeFlood(cable, { source: 'random', messages: 'fresh', packets, perSecond })
  capture.start()
  await until(() => capture.state.state === 'running')
  await pause(300)
  const pid = capture.pid!
  const readerBefore = process.cpuUsage()
  const childBefore = timeOf(pid)
  const rate = await flood.send()
  await untilQuiet(() => seen)
  const used = process.cpuUsage(readerBefore)
  const child = ((timeOf(pid) - childBefore) * 1000) / Math.max(1, seen)
  const reader = (used.user + used.system) / Math.max(1, seen)
  await pause(1100)
  await capture.stop()
  const counted = statistics as KernelStatistics | null
  const dropped = counted === null ? 'no counters' : `the kernel counts ${showCount(counted.dropped)} lost`
  const name = `${engine}, ${showCount(rate)}/s, every packet another source`
  report(
    `${name}: frames seen`,
    `${((100 * seen) / packets).toFixed(1)} % of ${showCount(packets)}, ${dropped}`,
  )
  report(`${name}: processor time a frame`, `child ${child.toFixed(2)} µs, reader ${reader.toFixed(2)} µs`)
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the capture did not start')
    await pause(10)
  }
}

async function untilQuiet(count: () => number): Promise<void> {
  for (let last = -1; last !== count(); ) {
    last = count()
    await pause(300)
  }
}
