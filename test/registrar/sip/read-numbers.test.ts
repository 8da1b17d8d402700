import { expect, test } from 'vitest'
import { readCSeq } from '../../../registrar/sip/read-cseq.ts'
import { readExpires } from '../../../registrar/sip/read-expires.ts'

test.each([
  ['1 REGISTER', 1, 'REGISTER'],
  ['0009  \t INVITE', 9, 'INVITE'],
  ['4294967295 X', 4_294_967_295, 'X'],
  ['1 register', 1, 'REGISTER'],
  ['1 reGister2', 1, 'reGister2'],
  [`${'0'.repeat(1_000)}7 ACK`, 7, 'ACK'],
])('reads the CSeq %.30j', (value, number, method) => {
  expect(readCSeq(value)).toEqual({ ok: true, value: { number, method } })
})

test.each([
  [undefined, 'missing-header'],
  ['', 'bad-cseq'],
  ['REGISTER', 'bad-cseq'],
  ['1', 'bad-cseq'],
  ['1 ', 'bad-cseq'],
  ['1REGISTER', 'bad-cseq'],
  ['-1 REGISTER', 'bad-cseq'],
  ['1 REG ISTER', 'bad-cseq'],
  ['4294967296 REGISTER', 'bad-cseq'],
  [`${'9'.repeat(8_000)} REGISTER`, 'bad-cseq'],
])('refuses the CSeq %.30j', (value, fault) => {
  expect(readCSeq(value)).toEqual({ ok: false, fault })
})

test.each([
  ['0', 0],
  ['0060', 60],
  ['4294967295', 4_294_967_295],
  ['9'.repeat(8_000), 4_294_967_295],
])('reads the expiry %.30j', (value, seconds) => {
  expect(readExpires(value)).toEqual({ ok: true, value: seconds })
})

test.each([
  [undefined, 'missing-header'],
  ['', 'bad-expires'],
  ['-1', 'bad-expires'],
  ['1.5', 'bad-expires'],
  ['1 ', 'bad-expires'],
  ['Mon, 01 Jan 2029 16:00:00 GMT', 'bad-expires'],
])('refuses the expiry %j', (value, fault) => {
  expect(readExpires(value)).toEqual({ ok: false, fault })
})
