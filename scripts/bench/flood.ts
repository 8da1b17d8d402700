import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Cable } from './cable.ts'
import { type RegistersOptions, writeRegisters } from './registers-capture.ts'

export interface FloodOptions extends Pick<RegistersOptions, 'packets' | 'source' | 'messages'> {
  /** Packets a second; Infinity is as fast as the generator can. */
  readonly perSecond: number
}

/** A flood that is made and can be sent; `send` resolves to the rate that it had. */
export interface Flood {
  send(): Promise<number>
}

/**
 * Makes a bounded flood of REGISTERs from the attacker's end. By tcpreplay, since trafgen's `--rate` sends a second's
 * packets at once, as fast as it can, and then waits for the next second.
 */
export function makeFlood(cable: Cable, { packets, perSecond, source, messages }: FloodOptions): Flood {
  const alike = source !== 'random' && messages === 'same'
  const file = join(cable.folder, `flood-${source}-${messages}-${alike ? 1 : packets}.pcap`)
  if (!existsSync(file)) {
    writeRegisters(file, {
      source,
      messages,
      packets: alike ? 1 : packets,
      destination: Cable.SERVER,
      destinationMac: cable.serverMac,
      perSecond: 20_000,
    })
  }
  const pace = Number.isFinite(perSecond) ? ['--timer=nano', `--pps=${perSecond}`] : ['--topspeed']
  const args = ['-i', 'eth0', '--preload-pcap', ...pace, `--loop=${alike ? packets : 1}`, file]
  // Twice the time it should take and more, for a host that is busy.
  const timeout = 60_000 + (2_000 * packets) / perSecond
  const send = async () => {
    const said = await cable.run('attacker', 'tcpreplay', args, timeout)
    const [, sent, seconds] = /Actual: (\d+) packets \(\d+ bytes\) sent in ([\d.]+) seconds/.exec(said) ?? []
    if (Number(sent) !== packets) throw new Error(`tcpreplay did not send ${packets} packets:\n${said}`)
    return packets / Number(seconds)
  }
  return { send }
}
