import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { execa } from 'execa'
import type { CaptureEngine, KernelStatistics } from '../../agent/capture/live.ts'
import { LiveCapture } from '../../agent/capture/live.ts'
import { CaptureReader } from '../../agent/capture/read-capture.ts'
import { decodeFrame } from '../../agent/decode/decode-frame.ts'
import { IpFragments } from '../../agent/decode/ip-fragments.ts'

const ENGINES: readonly CaptureEngine[] = ['pcap', 'cap', 'tcpdump']
/** Packets a second that the generator is asked for; `flood` is as fast as it can. */
const RATES = ['20000pps', '60000pps', 'flood'] as const
const MOST_PACKETS = 400_000
const SECONDS = 3
/** USER_HZ of every Linux that Node runs on. */
const TICK = 10

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
export async function benchCapture(): Promise<void> {
  benchDecode()
  if (process.getuid?.() !== 0) {
    console.log('capture: the engines need root, not measured')
    return
  }
  console.log(
    '\ncapture, by engine: frames seen of those sent, CPU time a frame of the child and of the reader',
  )
  for (const engine of ENGINES) await benchEngine(engine)
}

function benchDecode(): void {
  const frames: [name: string, ip: Buffer][] = [
    ['IPv4', ipv4Packet()],
    ['IPv6', ipv6Packet()],
  ]
  console.log('capture, reading and decoding alone, 64 kB chunks of frames with a REGISTER of 400 bytes:')
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
      console.log(
        `  ${name}, ${sources === 1 ? 'one source' : 'every source another'}: ${nanoseconds.toFixed(0)} ns a frame (${udp})`,
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

async function benchEngine(engine: CaptureEngine): Promise<void> {
  const far = `rf-bf-${process.pid}`
  const near = `rf-bn-${process.pid}`
  const folder = mkdtempSync(`${tmpdir()}/rf-bench-`)
  try {
    const mac = await makeCable(far, near)
    await benchDelay(engine, { far, near, folder, mac })
    for (const rate of RATES) await benchRate(engine, rate, { far, near, folder, mac })
  } finally {
    await execa('ip', ['netns', 'delete', far], { reject: false })
    await execa('ip', ['netns', 'delete', near], { reject: false })
    rmSync(folder, { recursive: true, force: true })
  }
}

async function makeCable(far: string, near: string): Promise<string> {
  const ip = (...args: string[]) => execa('ip', args, { timeout: 10_000, env: { LC_ALL: 'C' } })
  await ip('netns', 'add', far)
  await ip('netns', 'add', near)
  await ip('-n', far, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1', 'netns', near)
  await ip('-n', far, 'addr', 'add', '10.9.0.1/24', 'dev', 'v0')
  await ip('-n', near, 'addr', 'add', '10.9.0.2/24', 'dev', 'v1')
  await ip('-n', far, 'link', 'set', 'v0', 'up')
  await ip('-n', near, 'link', 'set', 'v1', 'up')
  const { stdout } = await ip('-n', near, '-j', 'link', 'show', 'v1')
  return (JSON.parse(stdout) as { address: string }[])[0]!.address
}

interface Cable {
  readonly far: string
  readonly near: string
  readonly folder: string
  readonly mac: string
}

/** Fifty packets with pauses between: how long each takes from `send` to the reader. */
async function benchDelay(engine: CaptureEngine, cable: Cable): Promise<void> {
  const fragments = new IpFragments()
  const delays: number[] = []
  const capture = new LiveCapture({
    interface: 'v1',
    ports: { udpPorts: [5060], tcpPorts: [] },
    engine,
    launcher: ['ip', 'netns', 'exec', cable.near],
    onFrame: (frame) => {
      const packet = decodeFrame(frame, fragments)
      if (packet.kind === 'udp') delays.push(sinceEpoch() - Number(packet.payload.toString('latin1')))
    },
  })
  capture.start()
  await until(() => capture.state.state === 'running')
  const script = `const s = require('dgram').createSocket('udp4'); let n = 0
    const t = setInterval(() => { if (++n === 50) clearInterval(t)
      s.send(String(performance.timeOrigin + performance.now()), 5060, '10.9.0.2', () => n === 50 && s.close()) }, 21)`
  await execa('ip', ['netns', 'exec', cable.far, process.execPath, '-e', script], { timeout: 20_000 })
  await until(() => delays.length === 50)
  await capture.stop()
  delays.sort((a, b) => a - b)
  console.log(
    `  ${engine.padEnd(8)} delay ${delays[25]!.toFixed(1)} ms in the middle, ${delays[49]!.toFixed(1)} ms at most`,
  )
}

function sinceEpoch(): number {
  return performance.timeOrigin + performance.now()
}

async function benchRate(engine: CaptureEngine, rate: (typeof RATES)[number], cable: Cable): Promise<void> {
  const fragments = new IpFragments()
  let seen = 0
  let statistics: KernelStatistics | null = null
  const capture = new LiveCapture({
    interface: 'v1',
    ports: { udpPorts: [5060], tcpPorts: [5060] },
    engine,
    launcher: ['ip', 'netns', 'exec', cable.near],
    onFrame: (frame) => {
      if (decodeFrame(frame, fragments).kind === 'udp') seen++
    },
    onStatistics: (counts) => {
      statistics = counts
    },
  })
  capture.start()
  await until(() => capture.state.state === 'running')
  await pause(300)
  const pid = capture.pid!
  const readerBefore = process.cpuUsage()
  const childBefore = cpuOf(pid)
  const startedAt = performance.now()
  const sent = await flood(rate, cable)
  const took = (performance.now() - startedAt) / 1000
  await untilQuiet(() => seen)
  // The reader's time holds that of waiting for the generator, which is next to nothing.
  const used = process.cpuUsage(readerBefore)
  const child = ((cpuOf(pid) - childBefore) * 1000) / Math.max(1, seen)
  const reader = (used.user + used.system) / Math.max(1, seen)
  await pause(1100)
  await capture.stop()
  const counted = statistics as KernelStatistics | null
  const dropped = counted === null ? 'no counters' : `the kernel dropped ${counted.dropped}`
  console.log(
    `  ${engine.padEnd(8)} ${rate.padEnd(8)} ${Math.round(sent / took)}/s: ${seen} of ${sent} (${((100 * seen) / sent).toFixed(1)} %), ${dropped}; ` +
      `child ${child.toFixed(2)} µs, reader ${reader.toFixed(2)} µs a frame`,
  )
}

/** Sends REGISTERs from ever other addresses; tells how many. */
async function flood(rate: (typeof RATES)[number], { far, folder, mac }: Cable): Promise<number> {
  const packet = `{ eth(da=${mac}), ipv4(saddr=drnd(), daddr=10.9.0.2), udp(sport=drnd(1025, 65000), dport=5060), ${JSON.stringify(REGISTER).replaceAll('\\r\\n', '\\x0d\\x0a')} }`
  writeFileSync(`${folder}/flood.cfg`, packet)
  const paced = rate === 'flood' ? [] : ['--rate', rate]
  const count = rate === 'flood' ? MOST_PACKETS : Number.parseInt(rate, 10) * SECONDS
  const options = ['-i', `${folder}/flood.cfg`, '-o', 'v0', '--cpus', '1', '-n', String(count), ...paced]
  await execa('ip', ['netns', 'exec', far, 'trafgen', ...options], { timeout: 60_000, env: { LC_ALL: 'C' } })
  return count
}

/** The milliseconds of CPU that a process has used, its own and the kernel's for it. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK
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
