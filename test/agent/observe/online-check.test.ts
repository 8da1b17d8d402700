import { describe, expect, it } from 'vitest'
import { OnlineCheck } from '../../../agent/observe/online-check.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'

const SERVER: Source = { address: '10.0.0.2' as Address, port: 5060 }
const PHONE: Source = { address: '203.0.113.7' as Address, port: 40_000 }
const T0 = 1_700_000_000_000

function message(text: string) {
  const reading = readSipMessage(Buffer.from(text))
  if (reading.kind !== 'message') throw new Error(`not a message: ${reading.kind}`)
  return reading.message
}

const fields = (n: number, method = 'OPTIONS') =>
  `Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK${n}\r\nCall-ID: ${n}@a\r\nCSeq: ${n} ${method}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\r\n`

function stage({ capacity = 10, saw = true } = {}) {
  const answered: Source[] = []
  const state = { saw, isEndpoint: true }
  const check = new OnlineCheck({
    capacity,
    isEndpoint: () => state.isEndpoint,
    sawAllSince: () => state.saw,
    onAnswered: (source) => answered.push(source),
  })
  const at = { transport: 'udp' as const }
  const asks = (n: number, time: number, to = PHONE) =>
    check.asked({
      ...at,
      message: message(`OPTIONS sip:x SIP/2.0\r\n${fields(n)}`),
      source: SERVER,
      destination: to,
      time,
    })
  const answers = (n: number, time: number, { from = PHONE, status = 200, method = 'OPTIONS' } = {}) =>
    check.answered({
      ...at,
      message: message(`SIP/2.0 ${status} OK\r\n${fields(n, method)}`),
      source: from,
      destination: SERVER,
      time,
    })
  return { check, asks, answers, answered, state }
}

describe('what the softswitch’s own OPTIONS tell', () => {
  it('whoever answers is online, whatever he answers', () => {
    const { check, asks, answers, answered } = stage()
    asks(1, T0)
    expect(check.of(PHONE, T0)).toMatchObject({ state: 'unasked', asked: 1, answered: 0 })
    answers(1, T0 + 30, { status: 100 })
    expect(check.of(PHONE, T0 + 30)?.answered).toBe(0)
    answers(1, T0 + 40, { status: 481 })
    expect(check.of(PHONE, T0 + 40)).toMatchObject({ state: 'online', answered: 1, roundTrip: 40 })
    expect(answered).toEqual([PHONE])
  })

  it('an answer that is read before its question counts, within a second', () => {
    const { check, asks, answers } = stage()
    answers(1, T0 + 2)
    asks(1, T0)
    expect(check.of(PHONE, T0 + 5)).toMatchObject({ state: 'online', roundTrip: 2 })
    answers(2, T0 + 10_000)
    answers(3, T0 + 12_000)
    asks(2, T0 + 9_999)
    expect(check.of(PHONE, T0 + 12_000)).toMatchObject({ asked: 2, answered: 1 })
  })

  it('three in a row without an answer are silence, and one answer ends it', () => {
    const { check, asks, answers } = stage()
    for (const n of [1, 2, 3]) asks(n, T0 + n * 33_000)
    expect(check.of(PHONE, T0 + 130_000)?.state).toBe('unasked')
    expect(check.of(PHONE, T0 + 131_000)?.state).toBe('silent')
    expect(check.count(T0 + 132_000)).toEqual({ online: 0, silent: 1, unasked: 0 })
    asks(4, T0 + 132_000)
    answers(4, T0 + 132_050)
    expect(check.count(T0 + 137_000)).toEqual({ online: 1, silent: 0, unasked: 0 })
  })

  it('repeating a question makes it no second one', () => {
    const { check, asks } = stage()
    for (const after of [0, 500, 1_500]) asks(1, T0 + after)
    expect(check.of(PHONE, T0 + 2_000)).toMatchObject({ asked: 1 })
  })

  it('nobody is silent while answers may have passed unseen', () => {
    const { check, asks, state } = stage({ saw: false })
    for (const n of [1, 2, 3]) asks(n, T0 + n * 33_000)
    expect(check.of(PHONE, T0 + 140_000)?.unanswered).toBe(0)
    state.saw = true
    for (const n of [4, 5, 6]) asks(n, T0 + n * 33_000)
    expect(check.of(PHONE, T0 + 240_000)?.state).toBe('silent')
  })

  it.each([
    ['from another port', { from: { ...PHONE, port: 1 } }],
    ['to something else', { method: 'INVITE' }],
  ])('an answer %s is none', (_what, how) => {
    const { check, asks, answers } = stage()
    asks(1, T0)
    answers(1, T0 + 1, how)
    expect(check.of(PHONE, T0 + 1)).toMatchObject({ state: 'unasked', answered: 0 })
  })

  it('keeps no more than it may, and nobody who is no endpoint', () => {
    const { check, asks, state } = stage({ capacity: 10 })
    for (let n = 1; n <= 30; n++) asks(n, T0 + n, { ...PHONE, port: n })
    expect(check.size).toBe(10)
    expect(check.letGo).toBe(20)
    state.isEndpoint = false
    asks(31, T0 + 31, { ...PHONE, port: 31 })
    expect(check.size).toBe(10)
    expect(check.count(T0 + 10_000)).toEqual({ online: 0, silent: 0, unasked: 0 })
    expect(check.size).toBe(0)
  })
})
