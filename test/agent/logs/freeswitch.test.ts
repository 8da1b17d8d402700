import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readFreeswitchLine } from '../../../agent/logs/freeswitch.ts'

const DATE = '2026-01-15 10:23:45.767815 '
const subject = (account: string, address: string) => ({
  account,
  address,
  port: null,
  transport: 'unknown',
  serverPort: null,
})

describe("FreeSWITCH's log", () => {
  it.each([
    [
      `${DATE}[WARNING] sofia_reg.c:1792 SIP auth failure (REGISTER) on sofia profile 'internal' for [1001@example.org] from ip 198.51.100.7`,
      { kind: 'failure', ...subject('1001@example.org', '198.51.100.7') },
    ],
    [
      `${DATE}99.97% [WARNING] sofia_reg.c:1720 SIP auth failure (INVITE) on sofia profile 'sipinterface_1' for [981@::1] from ip 2001:db8::7`,
      { kind: 'failure', ...subject('981@::1', '2001:db8::7') },
    ],
    [
      `${DATE}[WARNING] sofia_reg.c:1533 SIP auth challenge (REGISTER) on sofia profile 'internal' for [0114@192.168.2.51] from ip 198.51.100.7`,
      { kind: 'challenge', ...subject('0114@192.168.2.51', '198.51.100.7') },
    ],
    [
      `${DATE}[WARNING] sofia_reg.c:2531 Can't find user [1001@192.168.2.51] from 198.51.100.7`,
      { kind: 'unknown-account', ...subject('1001@192.168.2.51', '198.51.100.7') },
    ],
    [
      `2016-09-25T18:57:58.150982 www.srv.tld freeswitch[122921]: ${DATE}[WARNING] sofia_reg.c:1720 SIP auth failure (REGISTER) on sofia profile 'external' for [9@::1] from ip 198.51.100.7`,
      { kind: 'failure', ...subject('9@::1', '198.51.100.7') },
    ],
    [
      "08-03 08:10:21.026299 [WARN] [SOFIA] [sofia_reg.c:2248] SIP auth failure (REGISTER) on sofia profile 'external' for [4@192.0.2.4] from ip 198.51.100.7",
      { kind: 'failure', ...subject('4@192.0.2.4', '198.51.100.7') },
    ],
  ])('reads %s', (line, event) => {
    expect(readFreeswitchLine(line)).toEqual(event)
  })

  it.each([
    '',
    `${DATE}[DEBUG] sofia.c:7954 IP 185.24.234.141 Rejected by acl "domains". Falling back to Digest auth.`,
    `${DATE}[NOTICE] sofia_reg.c:1757 Registering 1000@test from ip 198.51.100.7`,
    `${DATE}[DEBUG] sofia_reg.c:1 SIP auth failure (REGISTER) on sofia profile 'i' for [1@x] from ip 198.51.100.7`,
    // Quoted by another line: what stands before the file name is not FreeSWITCH's own.
    `${DATE}[WARNING] switch.c:1 "sofia_reg.c:1 SIP auth failure (REGISTER) on sofia profile 'i' for [1@x] from ip 203.0.113.9`,
  ])('takes nothing from %s', (line) => {
    expect(readFreeswitchLine(line)).toEqual({ kind: 'other' })
  })

  it('has no other address read, whatever a client calls himself', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('] from ip 203.0.113.9', '] from 203.0.113.9', '[', ']', ' for [', '\n', "'"),
    )
    const name = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(name, (account) => {
        const event = readFreeswitchLine(
          `${DATE}[WARNING] sofia_reg.c:1792 SIP auth failure (REGISTER) on sofia profile 'internal' for [${account}@x] from ip 198.51.100.7`,
        )
        expect(event).toMatchObject({ kind: 'failure', address: '198.51.100.7' })
      }),
    )
  })

  it('doubts a line whose end is no address', () => {
    const line = `${DATE}[WARNING] sofia_reg.c:1792 SIP auth failure (REGISTER) on sofia profile 'internal' for [1@x] from ip `
    for (const end of ['', 'localhost', '198.51.100.7 x', '198.51.100.777'])
      expect(readFreeswitchLine(line + end)).toEqual({ kind: 'doubtful' })
  })

  it('is harmed by no bytes, and its time grows with the line', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        expect(readFreeswitchLine(Buffer.from(bytes).toString('utf8')).kind).toBe('other')
      }),
    )
    const began = performance.now()
    for (let i = 0; i < 200; i++) {
      readFreeswitchLine(`${DATE}[WARNING] sofia_reg.c:`.repeat(1_500))
      readFreeswitchLine(`${DATE}[WARNING] sofia_reg.c:1${'9'.repeat(65_000)}`)
    }
    expect(performance.now() - began).toBeLessThan(2_000)
  })
})
