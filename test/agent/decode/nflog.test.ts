import { describe, expect, test } from 'vitest'
import type { Frame } from '../../../agent/capture/frame.ts'
import { decodeFrame } from '../../../agent/decode/decode-frame.ts'
import { IpFragments } from '../../../agent/decode/ip-fragments.ts'
import { NFLOG_LINK_TYPE, readNflog } from '../../../agent/decode/nflog.ts'
import * as p from '../../packets.ts'

const PACKET = p.ipv4(
  {},
  p.udp({ sourcePort: 4000, destinationPort: 5060 }, 'REGISTER sip:x SIP/2.0\r\n'),
).bytes

function attribute(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt16LE(4 + value.length, 0)
  head.writeUInt16LE(type, 2)
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)])
}

function logged(...attributes: readonly Buffer[]): Frame {
  const bytes = Buffer.concat([Buffer.from([2, 0, 0x13, 0xc4]), ...attributes])
  return { time: 5, linkType: NFLOG_LINK_TYPE, bytes, originalLength: bytes.length }
}

const prefix = (text: string) => attribute(10, Buffer.from(`${text}\0`))
const payload = attribute(9, PACKET)
const TIME = attribute(3, Buffer.from('000000006b03feff00000000000c09ed', 'hex'))

/** As the kernel 6.18 sent it: packet header, prefix, interface, hardware, mark, time, payload. */
const REAL = Buffer.from(
  '020013c408000100080000000600' +
    '0a00730000000800040000000002100008000006' +
    '0000ee9e75aa545e000006000f000001000006001100000e00001200' +
    '1000de6ff8a7afe3ee9e75aa545e080000001400030000000000' +
    '6b03feff00000000000c09ed2600090045000022352d400040' +
    '11f1890a0900010a090002d9da13c4000e143468656c6c6f0a0000',
  'hex',
)

describe('a packet of the kernel’s log', () => {
  test('as the kernel sends it', () => {
    const frame: Frame = { time: 1, linkType: NFLOG_LINK_TYPE, bytes: REAL, originalLength: REAL.length }
    expect(readNflog(frame)).toMatchObject({
      time: 0x6b03feff * 1_000 + 0x0c09ed / 1_000,
      linkType: 101,
      logged: 'sample',
      originalLength: 34,
    })
    expect(decodeFrame(frame, new IpFragments())).toMatchObject({
      kind: 'udp',
      source: '10.9.0.1',
      sourcePort: 55_770,
      destinationPort: 5060,
      payload: Buffer.from('hello\n'),
    })
  })

  test.each([
    ['s', 'sample'],
    ['p', 'passed'],
    ['x', undefined],
    ['ss', undefined],
    ['', undefined],
  ])('the prefix %j says which rule logged it: %s', (text, by) => {
    expect(readNflog(logged(prefix(text), payload))?.logged).toBe(by)
  })

  test('without a time it has that of its reading', () => {
    expect(readNflog(logged(payload))?.time).toBe(5)
    expect(readNflog(logged(TIME, payload))?.time).toBe(0x6b03feff * 1_000 + 0x0c09ed / 1_000)
  })

  test('one that was cut says so', () => {
    const cut = readNflog(logged(attribute(9, PACKET.subarray(0, 40))))
    expect(cut).toMatchObject({ originalLength: PACKET.length })
    expect(cut?.bytes.length).toBe(40)
  })

  test('nothing in it makes the reader stumble', () => {
    const whole = logged(prefix('p'), TIME, payload).bytes
    for (let length = 0; length < whole.length; length++) {
      const bytes = whole.subarray(0, length)
      const frame = { time: 5, linkType: NFLOG_LINK_TYPE, bytes, originalLength: length }
      expect(['udp', 'undecoded']).toContain(decodeFrame(frame, new IpFragments()).kind)
    }
    for (const length of [0, 1, 3, 0xffff]) {
      const broken = Buffer.concat([
        whole.subarray(0, 4),
        Buffer.from([length & 0xff, length >> 8, 9, 0]),
        PACKET,
      ])
      const frame = { time: 5, linkType: NFLOG_LINK_TYPE, bytes: broken, originalLength: broken.length }
      expect(['udp', 'undecoded']).toContain(decodeFrame(frame, new IpFragments()).kind)
    }
  })
})
