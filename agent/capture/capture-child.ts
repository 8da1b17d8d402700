import { readFileSync, readSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import process from 'node:process'
import { CAME_IN, WENT_OUT } from './came-in.ts'
import { type CaptureReport, READ_ON } from './capture-report.ts'
import { isNflog } from './nflog-device.ts'
import type { PcapModule, PcapSession } from './pcap-module.ts'
import { Priming } from './priming.ts'
import { primingFrame } from './priming-frame.ts'

// A program of its own, that writes what the native library captures to stdout in the pcap format, and reports to
// stderr, a line of JSON each; its arguments are those of `EngineRequest`. The libraries' loops
// starve the event loop under load, and an interface that goes away aborts the process: here that harms nobody.
// It ends when stdin does, that is, when whoever started it is gone or wants no more of it.

const [engine, device, snapText, bufferText, filter, primedBy, cameIn, wentOut] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
  string,
  string,
]
const snapLength = Number(snapText)
const isLog = isNflog(device)
const bufferBytes = Number(bufferText)

const STDIN = 0
const STDOUT = 1
const STDERR = 2
const RECORD_HEADER_BYTES = 16
/** A batch is written when it holds this much, at the end of a turn of the event loop, and when it gets old. */
const BATCH_BYTES = 65_536
const BATCH_PACKETS = 64
const STATISTICS_EVERY = 1000
const LOOK_EVERY = 200
const LOOK_AT_STDIN_EVERY = 20
/** How long a block of packets may wait in the kernel; the price is a wake-up each while there is traffic. */
const BLOCK_TIMEOUT = 10
/** The same of a log, whose packets are held here. */
const LOG_BLOCK_TIMEOUT = 5
/** Whoever ends it and wants the rest waits no longer for that. */
const READ_ON_FOR = 150

const require = createRequire(import.meta.url)
const batch = Buffer.allocUnsafeSlow(BATCH_BYTES + RECORD_HEADER_BYTES + snapLength)
const sleepingPlace = new Int32Array(new SharedArrayBuffer(4))
let batched = 0
let packetsInBatch = 0
let packets = 0
let flushPlanned = false
let statistics: () => void = () => {}
let statisticsAt = 0
let lookAt = 0
let wantsRest = false
/** When it ends, whatever still waits; undefined before it was told to end. */
let endAt: number | undefined
/** Reads what waits, and tells how much that was. */
let readWaiting: () => number = () => 0

process.stdin.on('data', (text: Buffer) => {
  wantsRest ||= text.includes(READ_ON)
})
process.stdin.on('end', told)
process.stdin.on('error', end)
process.stdin.resume()

/** The end of stdin. What was captured up to now comes out of the kernel with its block, a moment later. */
function told(): void {
  if (!wantsRest) end()
  if (endAt !== undefined) return
  endAt = Date.now() + READ_ON_FOR
  setTimeout(() => {
    // Packets that come meanwhile end it by the clock.
    while (readWaiting() > 0) {}
    flush()
    end()
  }, 2 * BLOCK_TIMEOUT)
}

/** The last counts tell what was captured and never read. */
function end(): never {
  statistics()
  process.exit(0)
}

const oneByte = Buffer.alloc(1)

/** Events of stdin do not come while packets keep coming. */
function isAskedToEnd(): boolean {
  try {
    while (readSync(STDIN, oneByte) > 0) wantsRest ||= oneByte.includes(READ_ON)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EAGAIN'
  }
}

function report(line: CaptureReport): void {
  try {
    writeSync(STDERR, `${JSON.stringify(line)}\n`)
  } catch {
    // Nobody listens any more; the end of stdin says so too.
  }
}

function leave(line: CaptureReport): never {
  flush()
  report(line)
  process.exit(1)
}

/** Waits while the pipe is full: then the kernel drops packets, and counts them, and no memory grows. */
function flush(): void {
  packetsInBatch = 0
  let written = 0
  while (written < batched) {
    try {
      written += writeSync(STDOUT, batch, written, batched - written)
    } catch (error) {
      // Node gives its children pipes that do not block. Any other error: nobody reads any more.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') process.exit(0)
      Atomics.wait(sleepingPlace, 0, 0, 1)
    }
  }
  batched = 0
}

function writeFileHeader(linkType: number): void {
  batch.writeUInt32LE(0xa1b2c3d4, 0)
  batch.writeUInt16LE(2, 4)
  batch.writeUInt16LE(4, 6)
  batch.fill(0, 8, 16)
  batch.writeUInt32LE(snapLength, 16)
  batch.writeUInt32LE(linkType, 20)
  batched = 24
  flush()
}

/** The record is in the batch already; this makes it count. */
function addRecord(capturedLength: number): void {
  batched += RECORD_HEADER_BYTES + capturedLength
  packetsInBatch++
  packets++
  if (batched >= BATCH_BYTES || packetsInBatch >= BATCH_PACKETS) {
    flush()
    // Timers do not run while packets keep coming, so the look at the clock has to be here.
    const now = Date.now()
    if (now >= statisticsAt) statistics()
    if (now >= lookAt) {
      lookAt = now + LOOK_AT_STDIN_EVERY
      if (endAt !== undefined) {
        if (now >= endAt) end()
      } else if (isAskedToEnd()) told()
    }
  } else if (!flushPlanned) {
    flushPlanned = true
    const write = () => {
      flushPlanned = false
      flush()
    }
    // What comes from a ring comes in blocks; a log wakes for each packet, and so would who reads this.
    if (isLog) setTimeout(write, LOG_BLOCK_TIMEOUT)
    else setImmediate(write)
  }
}

/** Link types of the libraries' own words; what they do not know they name by its DLT number. */
function linkTypeOf(word: string): number {
  const known: Readonly<Record<string, number>> = { NULL: 0, ETHERNET: 1, RAW: 101, LINUX_SLL: 113 }
  const name = word.replace('LINKTYPE_', '')
  const number = /^Unknown linktype (\d+)$/.exec(name)?.[1]
  const linkType = known[name] ?? (number === undefined ? undefined : Number(number))
  if (linkType === undefined) return leave({ type: 'failed', detail: `the link type ${word} is not known` })
  return linkType
}

function load<Module>(name: string): Module {
  try {
    return require(name) as Module
  } catch (error) {
    return leave({ type: 'no-engine', detail: `the module ${name} cannot be loaded: ${firstLine(error)}` })
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!
}

/** What stands against capturing on the device, if anything; where there is no /sys the library will say it. */
function obstacle(): string | undefined {
  if (isLog) return undefined
  try {
    readFileSync('/sys/class/net/lo/flags')
  } catch {
    return undefined
  }
  try {
    const up = (Number(readFileSync(`/sys/class/net/${device}/flags`, 'latin1')) & 1) !== 0
    return up ? undefined : `${device} is down`
  } catch {
    return `there is no interface ${device}`
  }
}

function runPcap(pcap: PcapModule): void {
  pcap.warningHandler = () => {}
  const session = pcap.createSession(device, {
    filter,
    buffer_size: bufferBytes,
    snap_length: snapLength,
    buffer_timeout: BLOCK_TIMEOUT,
    promiscuous: false,
  })
  // What came before the filter was in place was counted with the rest, and is no loss.
  let { ps_recv: receivedBefore, ps_drop: droppedBefore } = session.stats()
  const linkType = linkTypeOf(session.link_type)
  const begin = () => writeFileHeader(linkType)
  const frame = primingFrame(device, linkType, primedBy)
  const priming = new Priming(pcap, device, frame, () => {
    const { ps_recv: received, ps_drop: dropped } = session.stats()
    receivedBefore = received
    droppedBefore = dropped
    begin()
  })
  if (!priming.pending) begin()
  session.on('packet', () => {
    const captured = session.header.readUInt32LE(8)
    // Whatever arrives is proof that the filter works; what waits behind it is not counted, which is no matter.
    priming.end()
    if (priming.isOurs(session.buf, captured)) {
      packets++
      return
    }
    session.header.copy(batch, batched)
    session.buf.copy(batch, batched + RECORD_HEADER_BYTES, 0, captured)
    addRecord(captured)
  })
  // What comes in nobody can make here, so the first of that is libpcap's.
  const apart = [
    { filter: cameIn, mark: CAME_IN, primedBy: 'none' },
    { filter: wentOut, mark: WENT_OUT, primedBy: 'fragment' },
  ].flatMap((what) => (what.filter === '' ? [] : [captureApart(pcap, what, () => !priming.pending)]))
  const readApart = () => {
    for (const each of apart) each.session.dispatch(each.buf, each.header)
  }
  statistics = () => {
    statisticsAt = Date.now() + STATISTICS_EVERY
    const { ps_recv: received, ps_drop: dropped } = session.stats()
    const ofApart = apart.map((each) => each.stats())
    report({
      type: 'statistics',
      received: ofApart.reduce((sum, { ps_recv }) => sum + ps_recv, received - receivedBefore),
      dropped: ofApart.reduce((sum, { ps_drop }) => sum + ps_drop, dropped - droppedBefore),
    })
  }
  // An interface that goes down for a moment ends libuv's watching of the socket without a word; a wake-up with
  // nothing to read betrays it, or packets that wait although nobody was woken. From then on the clock reads.
  let wakeUps = 0
  let wakeUpsBefore = 0
  let byClock = false
  const readByClock = () => {
    // A log has no interface that could go down, and wakes up for nothing when it lost something.
    if (isLog) return
    if (!byClock) setInterval(read, BLOCK_TIMEOUT)
    byClock = true
  }
  const read = () => {
    const before = packets
    // libpcap 1.10 calls it an error when a log's socket is empty; and one that is open stays open.
    if (session.session.dispatch(session.buf, session.header) < 0 && !isLog) {
      leave({ type: 'failed', detail: `the capture on ${device} broke off` })
    }
    return packets - before
  }
  readWaiting = () => {
    readApart()
    return read()
  }
  session.session.read_callback = () => {
    wakeUps++
    if (read() === 0 && !priming.pending) readByClock()
  }
  setInterval(() => {
    if (read() > 0 && wakeUps === wakeUpsBefore) readByClock()
    wakeUpsBefore = wakeUps
    // Often enough for answers, should nobody be woken for them any more.
    readApart()
    const problem = obstacle()
    if (problem !== undefined) leave({ type: 'failed', detail: problem })
    if (Date.now() >= statisticsAt) statistics()
  }, LOOK_EVERY)
}

/**
 * Answers to the softswitch's own requests are few, and few of its own packets are so long; of a flood of forged answers
 * most may be lost.
 */
const APART_BYTES = 1024 * 1024
const ORIGINAL_LENGTH = 12
/** No larger than a frame is on most links; of a longer answer the first header fields will do. */
const APART_SNAP_LENGTH = 9_216

/** What another filter lets through, marked as such. */
function captureApart(
  pcap: PcapModule,
  { filter, mark, primedBy }: { readonly filter: string; readonly mark: number; readonly primedBy: string },
  mayWrite: () => boolean,
): PcapSession {
  const session = pcap.createSession(device, {
    filter,
    buffer_size: APART_BYTES,
    snap_length: APART_SNAP_LENGTH,
    buffer_timeout: BLOCK_TIMEOUT,
    promiscuous: false,
  })
  const frame = primingFrame(device, linkTypeOf(session.link_type), primedBy)
  const priming = new Priming(pcap, device, frame, () => {})
  session.on('packet', () => {
    const captured = session.header.readUInt32LE(8)
    priming.end()
    if (!mayWrite() || priming.isOurs(session.buf, captured)) return
    session.header.copy(batch, batched)
    batch.writeUInt32LE(session.header.readUInt32LE(ORIGINAL_LENGTH) + mark, batched + ORIGINAL_LENGTH)
    session.buf.copy(batch, batched + RECORD_HEADER_BYTES, 0, captured)
    addRecord(captured)
  })
  return session
}

/** The part of npm `cap` that is used here. */
interface CapModule {
  new (): {
    open(device: string, filter: string, bufferSize: number, buffer: Buffer): string
    on(event: 'packet', listener: (length: number, truncated: boolean) => void): void
  }
}

/** The library keeps a bare pointer to the buffer: at module level it lives as long as the process. */
const capBuffer = Buffer.allocUnsafeSlow(65_535)
let capObject: InstanceType<CapModule> | undefined

function runCap(Cap: CapModule): void {
  capObject = new Cap()
  const linkType = linkTypeOf(capObject.open(device, filter, bufferBytes, capBuffer))
  writeFileHeader(linkType)
  capObject.on('packet', (length) => {
    // The library tells no time: the moment of reading has to do, a few milliseconds late under load.
    const now = Date.now()
    const captured = Math.min(length, snapLength)
    batch.writeUInt32LE(Math.floor(now / 1000), batched)
    batch.writeUInt32LE((now % 1000) * 1000, batched + 4)
    batch.writeUInt32LE(captured, batched + 8)
    batch.writeUInt32LE(length, batched + 12)
    capBuffer.copy(batch, batched + RECORD_HEADER_BYTES, 0, captured)
    addRecord(captured)
  })
  setInterval(() => {
    const problem = obstacle()
    if (problem !== undefined) leave({ type: 'failed', detail: problem })
  }, LOOK_EVERY)
}

function run(): void {
  try {
    if (engine === 'pcap') runPcap(load<PcapModule>('pcap'))
    else runCap(load<{ Cap: CapModule }>('cap').Cap)
  } catch (error) {
    leave({ type: 'failed', detail: firstLine(error) })
  }
}

function waitForDevice(said?: string): void {
  const problem = obstacle()
  if (problem === undefined) {
    run()
    return
  }
  if (problem !== said) report({ type: 'waiting', detail: problem })
  setTimeout(() => waitForDevice(problem), LOOK_EVERY)
}

waitForDevice()
