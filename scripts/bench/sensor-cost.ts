import { setTimeout as pause } from 'node:timers/promises'
import { Cable } from './cable.ts'
import { BenchDaemon, type ProcessTimes } from './daemon.ts'
import { type Report, showCount, showTimes } from './figures.ts'
import { type FloodOptions, makeFlood } from './flood.ts'
import { benchLoud } from './loud.ts'

const PACKETS = 200_000
const PER_SECOND = 20_000

type FloodKind = Pick<FloodOptions, 'source' | 'messages'> & { readonly name: string }

const FLOODS: readonly FloodKind[] = [
  { name: 'one source, the same REGISTER', source: '10.97.0.1', messages: 'same' },
  { name: 'one source, every REGISTER a new one', source: '10.97.0.2', messages: 'fresh' },
  { name: 'every packet another source', source: 'random', messages: 'fresh' },
]

/** What a flood costs the real daemon and its sensor, what they miss of it, and whether commands are answered. */
export async function benchSensorCost(report: Report): Promise<void> {
  for (const flood of FLOODS) {
    const cable = new Cable()
    try {
      await cable.lay()
      const daemon = new BenchDaemon(cable)
      try {
        await daemon.start()
        await benchFlood(cable, daemon, flood, report)
      } finally {
        await daemon.stop()
      }
    } finally {
      await cable.remove()
    }
  }
  await benchLoud(report)
}

async function benchFlood(cable: Cable, daemon: BenchDaemon, kind: FloodKind, report: Report): Promise<void> {
  const flood = makeFlood(cable, { ...kind, packets: PACKETS, perSecond: PER_SECOND })
  const { framesSeen: seenBefore } = (await daemon.status()).sensor
  const before = daemon.times()
  const startedAt = performance.now()
  let flooding = true
  const sent = flood.send().finally(() => {
    flooding = false
  })
  const ask = async (status: () => Promise<unknown>) => {
    const answers: number[] = []
    while (flooding) {
      const askedAt = performance.now()
      await status()
      answers.push(performance.now() - askedAt)
      await pause(250)
    }
    return answers
  }
  const [rate, commands, requests] = await Promise.all([
    sent,
    ask(() => daemon.status()),
    ask(() => daemon.request('/api/v1/status')),
  ])
  const sensor = await whenAllIsSeen(daemon)
  const seconds = (performance.now() - startedAt) / 1000
  const after = daemon.times()
  const packet = (what: keyof ProcessTimes) => ((after[what] - before[what]) * 1000) / PACKETS
  const name = `${showCount(rate)}/s, ${kind.name}`
  report(
    `${name}: processor time a packet`,
    `${(packet('capture') + packet('sensor')).toFixed(1)} µs (capture ${packet('capture').toFixed(1)}, sensor ${packet('sensor').toFixed(1)})`,
  )
  const seen = sensor.framesSeen - seenBefore
  report(`${name}: frames seen`, `${showCount(seen)} of ${showCount(PACKETS)}, ${sensor.framesLost} lost`)
  report(
    `${name}: the daemon itself, answering included`,
    `${((after.daemon - before.daemon) / seconds / 10).toFixed(1)} % of a core`,
  )
  report(`${name}: status by the control socket, ${requests.length} times`, showTimes(requests))
  report(
    `${name}: \`ringfence status\`, start of Node included, ${commands.length} times`,
    showTimes(commands),
  )
}

/** Waits until the sensor's own count stands still. */
async function whenAllIsSeen(daemon: BenchDaemon) {
  for (let last = -1; ; ) {
    const { sensor } = await daemon.status()
    if (sensor.framesSeen === last) return sensor
    last = sensor.framesSeen
    await pause(1_500)
  }
}
