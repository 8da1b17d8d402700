import { createReadStream, existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { readCapture } from '../../../agent/capture/read-capture.ts'
import { decodeFrame } from '../../../agent/decode/decode-frame.ts'
import { IpFragments } from '../../../agent/decode/ip-fragments.ts'
import { parseAddress } from '../../../registrar/net/address.ts'

const FOLDER = fileURLToPath(new URL('../../../../shared/corpora/pcap/', import.meta.url))
const there = existsSync(FOLDER)
if (!there) console.warn(`SKIPPED: no captures of others in ${FOLDER}`)

const files = there ? readdirSync(FOLDER).filter((name) => /\.pcap(ng)?$/.test(name)) : []

/** One line for each UDP datagram and TCP segment: what both readers have to agree on. */
async function ourReading(file: string) {
  const fragments = new IpFragments()
  const packets: string[] = []
  let frames = 0
  const result = await readCapture(createReadStream(file), (frame) => {
    frames++
    const packet = decodeFrame(frame, fragments)
    if (packet.kind !== 'udp' && packet.kind !== 'tcp') return
    const ends = `${packet.source}:${packet.sourcePort} ${packet.destination}:${packet.destinationPort}`
    packets.push(`${frames} ${packet.time.toFixed(3)} ${packet.kind} ${ends} ${packet.payload.length}`)
  })
  return { outcome: result.outcome.kind, frames, packets }
}

const FIELDS = [
  'frame.number',
  'frame.time_epoch',
  'ip.src',
  'ip.dst',
  'ipv6.src',
  'ipv6.dst',
  'udp.srcport',
  'udp.dstport',
]
const MORE_FIELDS = ['udp.length', 'tcp.srcport', 'tcp.dstport', 'tcp.len', 'ip.proto', 'ipv6.nxt']

/** tshark's, without its TCP stream analysis; of nested headers the last counts, which is the innermost. */
async function tsharkReading(file: string) {
  const fields = [...FIELDS, ...MORE_FIELDS].flatMap((field) => ['-e', field])
  const options = [
    '-o',
    'udp.check_checksum:false',
    '-o',
    'ip.check_checksum:false',
    '-o',
    'tcp.check_checksum:false',
  ]
  const { stdout } = await execa(
    'tshark',
    ['-n', '-r', file, ...options, '-T', 'fields', '-E', 'occurrence=l', ...fields],
    {
      env: { LC_ALL: 'C' },
      timeout: 60_000,
    },
  )
  const lines = stdout.split('\n').filter((line) => line !== '')
  const packets: string[] = []
  for (const line of lines) {
    const cells = line.split('\t')
    const [number, time, ip4s, ip4d, ip6s, ip6d, udps, udpd, udpLength, tcps, tcpd, tcpLength] = cells
    const [source, destination] = ip6s ? [ip6s, ip6d] : [ip4s, ip4d]
    if (!udps && !tcps) continue
    const [kind, from, to] = udps ? ['udp', udps, udpd] : ['tcp', tcps, tcpd]
    const length = udps ? Number(udpLength) - 8 : Number(tcpLength)
    const ends = `${parseAddress(source!)}:${from} ${parseAddress(destination!)}:${to}`
    packets.push(`${number} ${(Number(time) * 1000).toFixed(3)} ${kind} ${ends} ${length}`)
  }
  return { outcome: 'complete', frames: lines.length, packets }
}

describe.skipIf(!there)('captures of others, against tshark', () => {
  test('there are some', () => expect(files.length).toBeGreaterThan(20))

  test.each(files)('%s', async (name) => {
    expect(await ourReading(FOLDER + name)).toEqual(await tsharkReading(FOLDER + name))
  })
})
