import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readCapture } from '../../agent/capture/read-capture.ts'
import { decodeFrame } from '../../agent/decode/decode-frame.ts'
import { IpFragments } from '../../agent/decode/ip-fragments.ts'
import { Cable } from './cable.ts'
import { BenchDaemon } from './daemon.ts'
import { type Report, showTimes } from './figures.ts'
import { makeFlood } from './flood.ts'

/** The default of `policy.flood.registers`. */
const THRESHOLD = 100
const RATES = [1_000, 10_000] as const
const SECONDS_A_FLOOD = 0.8
/** Ringfence's own registrar answers as the softswitch, so the sensor sees answers too. */
const SETTINGS = 'registrar: { enabled: true, realm: example.com }'

/**
 * How long a flood goes on after the block threshold is crossed, with the real daemon. One clock, the kernel's time
 * stamps of a capture on the server's own interface. All packets of a source come in order, and its entry in the
 * block's set counts what the block dropped, so of `n` packets with `d` dropped the first one dropped was number
 * `n - d + 1`. Packets that the base limit dropped before count in another rule.
 */
export async function benchTimeToDrop(report: Report, { sources }: { sources: number }): Promise<void> {
  const cable = new Cable()
  try {
    await cable.lay()
    const daemon = new BenchDaemon(cable, SETTINGS)
    try {
      await daemon.start()
      for (const [index, perSecond] of RATES.entries()) {
        await benchRate(cable, report, { perSecond, sources, network: `10.97.${100 * index}` })
      }
    } finally {
      await daemon.stop()
    }
  } finally {
    await cable.remove()
  }
}

interface Series {
  readonly perSecond: number
  readonly sources: number
  /** The first three numbers of the first addresses. */
  readonly network: string
}

async function benchRate(
  cable: Cable,
  report: Report,
  { perSecond, sources, network }: Series,
): Promise<void> {
  const [first, second, third] = network.split('.').map(Number)
  const addresses = Array.from(
    { length: sources },
    (_, i) => `${first}.${second}.${third! + Math.floor(i / 250)}.${1 + (i % 250)}`,
  )
  const packets = Math.max(5 * THRESHOLD, perSecond * SECONDS_A_FLOOD)
  const file = join(cable.folder, `wire-${perSecond}.pcap`)
  const filter = 'udp dst port 5060 and src net 10.97.0.0/16'
  // Headers are enough; nothing may be lost, hence no immediate mode and a large buffer.
  const options = ['-i', 'eth0', '-p', '-n', '-s', '60', '-B', '65536', '-Z', 'root', '-w', file]
  const tcpdump = cable.start('server', 'tcpdump', [...options, filter])
  await pause(1_000)
  const limitedBefore = await limitDrops(cable)
  for (const source of addresses)
    await makeFlood(cable, { source, packets, perSecond, messages: 'same' }).send()
  const limited = (await limitDrops(cable)) - limitedBefore
  const dropped = await blockDrops(cable)
  await pause(1_500)
  tcpdump.kill('SIGINT')
  const { stderr } = await tcpdump
  if (!/\b0 packets dropped by kernel/.test(stderr)) throw new Error(`the capture lost packets: ${stderr}`)

  const wire = await wireTimes(file)
  const afterThreshold: number[] = []
  const afterFirst: number[] = []
  const rates: number[] = []
  let beforeBlock = 0
  for (const address of addresses) {
    const times = wire.get(address) ?? []
    const byBlock = dropped.get(address) ?? 0
    if (times.length !== packets)
      throw new Error(`${times.length} of ${packets} packets of ${address} arrived`)
    if (byBlock === 0) throw new Error(`${address} was not blocked within ${packets} packets`)
    const passed = packets - byBlock
    beforeBlock += passed
    afterThreshold.push(times[passed]! - times[THRESHOLD - 1]!)
    afterFirst.push(times[passed]! - times[0]!)
    rates.push(((packets - 1) * 1000) / (times.at(-1)! - times[0]!))
  }
  const rate = rates.reduce((sum, each) => sum + each, 0) / rates.length
  const flood = `flood of ${perSecond}/s (${rate.toFixed(0)}/s on the wire), ${sources} sources`
  report(
    `${flood}: from REGISTER number ${THRESHOLD} to the first packet dropped by the block`,
    showTimes(afterThreshold),
  )
  report(`${flood}: from the first packet of the flood to it`, showTimes(afterFirst))
  report(
    `${flood}: packets before the block, and of them dropped by the base limit`,
    `${(beforeBlock / sources).toFixed(0)} a source, ${((100 * limited) / beforeBlock).toFixed(1)} %`,
  )
}

/** What the limits of unknown sources have dropped. */
async function limitDrops(cable: Cable): Promise<number> {
  const listed = await cable.run('server', 'iptables', ['-t', 'raw', '-nvxL', 'RINGFENCE-UNKNOWN'])
  const lines = listed.split('\n').filter((text) => text.includes('DROP') && text.includes('limit: above'))
  if (lines.length === 0) throw new Error(`no limit in RINGFENCE-UNKNOWN:\n${listed}`)
  return lines.reduce((sum, line) => sum + Number.parseInt(line, 10), 0)
}

/** What the block of each address has dropped. */
async function blockDrops(cable: Cable): Promise<Map<string, number>> {
  const listed = await cable.run('server', 'ipset', ['list', 'rf-reg4'])
  const entries = listed.matchAll(/^(\S+) timeout \d+ packets (\d+)/gm)
  return new Map([...entries].map((entry) => [entry[1]!, Number(entry[2])]))
}

/** When each packet of each source was on the wire, in milliseconds. */
async function wireTimes(file: string): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>()
  const fragments = new IpFragments()
  await readCapture(createReadStream(file), (frame) => {
    const packet = decodeFrame(frame, fragments)
    if (packet.kind !== 'udp') return
    const list = times.get(packet.source) ?? []
    list.push(packet.time)
    times.set(packet.source, list)
  })
  return times
}
