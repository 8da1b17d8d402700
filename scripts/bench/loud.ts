import { setTimeout as pause } from 'node:timers/promises'
import { Cable } from './cable.ts'
import { BenchDaemon } from './daemon.ts'
import { type Report, showCount } from './figures.ts'
import { type FloodOptions, makeFlood } from './flood.ts'

/** The generator's own speed: some 100,000 to 300,000 a second. */
const PER_SECOND = Number.POSITIVE_INFINITY
const MEGABYTE = 1024 * 1024

interface Kind extends Pick<FloodOptions, 'source' | 'messages' | 'packets'> {
  readonly name: string
}

const FLOODS: readonly Kind[] = [
  { name: 'one source', source: '10.97.0.3', messages: 'same', packets: 3_000_000 },
  // Each packet is written out beforehand.
  { name: 'every packet another source', source: 'random', messages: 'fresh', packets: 2_000_000 },
]

const WAYS = [
  { name: 'requests read from the kernel’s log', settings: '', waitsFor: 'loud' },
  { name: 'everything captured (sensor.nflog: off)', settings: 'sensor: { nflog: off }', waitsFor: 'off' },
] as const

/** What a flood as fast as it can be made costs the sensor, with the kernel's log of requests and without. */
export async function benchLoud(report: Report): Promise<void> {
  for (const kind of FLOODS) {
    for (const way of WAYS) {
      const cable = new Cable()
      try {
        await cable.lay()
        const daemon = new BenchDaemon(cable, way.settings)
        try {
          await daemon.start()
          await benchFlood(cable, daemon, { kind, way, report })
        } finally {
          await daemon.stop()
        }
      } finally {
        await cable.remove()
      }
    }
  }
}

async function benchFlood(
  cable: Cable,
  daemon: BenchDaemon,
  { kind, way, report }: { kind: Kind; way: (typeof WAYS)[number]; report: Report },
): Promise<void> {
  const flood = makeFlood(cable, { ...kind, perSecond: PER_SECOND })
  let isFlooding = true
  const before = daemon.times()
  const begun = performance.now()
  const sent = flood.send().finally(() => {
    isFlooding = false
  })
  let most = { proportional: 0, resident: 0 }
  const look = () => {
    const memory = daemon.memory()
    most = {
      proportional: Math.max(most.proportional, memory.proportional),
      resident: Math.max(most.resident, memory.resident),
    }
  }
  const watching = setInterval(look, 100)
  while (isFlooding && (await daemon.status()).sensor.sampling?.state !== way.waitsFor) await pause(50)
  const settledAt = performance.now()
  const settled = daemon.times()
  const peak = most
  most = { proportional: 0, resident: 0 }
  while (isFlooding) await pause(50)
  const ended = daemon.times()
  const seconds = (performance.now() - settledAt) / 1_000
  clearInterval(watching)
  const rate = await sent
  const { sensor, rules } = await daemon.status()
  const share = (from: typeof before, to: typeof before, milliseconds: number) =>
    `${((100 * (to.capture - from.capture + to.sensor - from.sensor)) / milliseconds).toFixed(1)} % of a core`
  const name = `${showCount(rate)}/s, ${kind.name}, ${way.name}`
  report(`${name}: sensor and captures, ${seconds.toFixed(1)} s`, share(settled, ended, seconds * 1_000))
  if (way.waitsFor === 'loud') {
    report(
      `${name}: until requests are read so`,
      `${((settledAt - begun) / 1_000).toFixed(1)} s, ${share(before, settled, settledAt - begun)}`,
    )
  }
  const megabytes = (bytes: number) => `${(bytes / MEGABYTE).toFixed(0)} MB`
  report(
    `${name}: memory, shared pages counted once (each process by itself)`,
    `${megabytes(most.proportional)} (${megabytes(most.resident)}); ${megabytes(peak.proportional)} at the beginning`,
  )
  report(
    `${name}: frames read, lost, judged by the rules`,
    `${showCount(sensor.framesSeen)}, ${showCount(sensor.framesLost)}, ${showCount(rules.judged.udp)}`,
  )
}
