import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ReplaySummary, replayCaptures } from '../../agent/replay.ts'
import { type CapturedFrame, pcapFile } from '../captures.ts'
import { ethernet, fragments, ipv4, ipv6, tcp, udp, vlan } from '../packets.ts'
import { hasShared, SHARED } from '../shared-folder.ts'
import { POLICY } from './policy.ts'

const START = 1_700_000_000_000
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-replay-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function replay(files: string[], ports: number[] | 'any' = 'any') {
  const lines: string[] = []
  const errors: string[] = []
  const { exitCode, summary } = await replayCaptures({
    files,
    ports,
    json: true,
    config: { policy: POLICY },
    write: (line) => lines.push(line),
    writeError: (line) => errors.push(line),
  })
  const objects = lines.map((line) => JSON.parse(line))
  expect(objects.at(-1)).toEqual(summary)
  return { verdicts: objects.slice(0, -1), summary, errors, exitCode }
}

function capture(name: string, frames: CapturedFrame[]): string {
  const file = join(folder, name)
  writeFileSync(file, pcapFile(frames))
  return file
}

function register(turn: { cseq?: number; user?: string; branch?: string; nonce?: string } = {}): string {
  const { cseq = 1, user = '1001', branch = `z9hG4bK${user}.${cseq}`, nonce } = turn
  const authorization = nonce
    ? `Authorization: Digest username="${user}", realm="r", nonce="${nonce}", uri="sip:r", response="00000000000000000000000000000000"\r\n`
    : ''
  return (
    `REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5062;branch=${branch}\r\nFrom: <sip:${user}@r>;tag=1\r\n` +
    `To: <sip:${user}@r>\r\nCall-ID: ${user}\r\nCSeq: ${cseq} REGISTER\r\n${authorization}Content-Length: 0\r\n\r\n`
  )
}

function answer(
  status: number,
  turn: { cseq?: number; user?: string; nonce?: string; contact?: boolean } = {},
): string {
  const { cseq = 1, user = '1001', nonce, contact } = turn
  return (
    `SIP/2.0 ${status} x\r\nVia: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK${user}.${cseq}\r\nFrom: <sip:${user}@r>;tag=1\r\n` +
    `To: <sip:${user}@r>;tag=2\r\nCall-ID: ${user}\r\nCSeq: ${cseq} REGISTER\r\n` +
    (nonce ? `WWW-Authenticate: Digest realm="r", nonce="${nonce}"\r\n` : '') +
    (contact ? 'Contact: <sip:a@10.0.0.1>;expires=600\r\n' : '') +
    'Content-Length: 0\r\n\r\n'
  )
}

const toServer = (payload: string, time: number) => ({ bytes: ethernet(ipv4({}, udp({}, payload))), time })
const toPhone = (payload: string, time: number) => ({
  bytes: ethernet(
    ipv4(
      { source: '10.0.0.2', destination: '10.0.0.1' },
      udp({ sourcePort: 5060, destinationPort: 5062 }, payload),
    ),
  ),
  time,
})

describe('replay', () => {
  it('ends where nobody reads its lines, and calls no file bad for it', async () => {
    const frames = Array.from({ length: 150 }, (_, i) => toServer(register({ cseq: i + 1 }), START + i * 10))
    const errors: string[] = []
    const gone = new Error('nobody reads')
    const replayed = replayCaptures({
      files: [capture('unread.pcap', frames)],
      ports: [5060],
      json: true,
      config: { policy: POLICY },
      write: () => {
        throw gone
      },
      writeError: (line) => errors.push(line),
    })
    await expect(replayed).rejects.toBe(gone)
    expect(errors).toEqual([])
  })

  it('tells when a flood would have been blocked, by the capture’s clock', async () => {
    const frames = Array.from({ length: 150 }, (_, i) => toServer(register({ cseq: i + 1 }), START + i * 10))
    const { verdicts, summary, exitCode } = await replay([capture('flood.pcap', frames)], [5060])
    expect(verdicts).toEqual([
      {
        type: 'verdict',
        time: START + 990,
        source: '10.0.0.1',
        port: null,
        action: 'block',
        scope: 'register',
        grade: 'packet',
        name: 'register-flood',
        reason: '100 REGISTERs in 10s, none led to a success (threshold 100)',
        seconds: 600,
        evidence: {
          registers: 100,
          seconds: 10,
          threshold: 100,
          accounts: 1,
          challenges: 0,
          successes: 0,
          liveBinding: false,
        },
      },
    ])
    expect(summary).toEqual({
      type: 'summary',
      frames: 150,
      sipMessages: 150,
      registers: 150,
      challenges: 0,
      successes: 0,
      failures: 0,
      sources: 1,
      malformed: 0,
    } satisfies ReplaySummary)
    expect(exitCode).toBe(0)
  })

  it.each([0, 100_000])('decides the same on a capture whose clock begins at %d ms', async (start) => {
    const frames = Array.from({ length: 150 }, (_, i) => toServer(register({ cseq: i + 1 }), start + i * 10))
    const { verdicts } = await replay([capture('clock.pcap', frames)], [5060])
    expect(verdicts).toMatchObject([{ time: start + 990, action: 'block', evidence: { registers: 100 } }])
  })

  it('tells a guesser by the nonces that were sent to him', async () => {
    const frames: CapturedFrame[] = []
    for (let i = 0; i < 6; i++) {
      const at = START + i * 1_000
      frames.push(toServer(register({ cseq: 2 * i + 1 }), at))
      frames.push(toPhone(answer(401, { cseq: 2 * i + 1, nonce: `n${i}` }), at + 5))
      frames.push(toServer(register({ cseq: 2 * i + 2, nonce: `n${i}` }), at + 10))
      frames.push(toPhone(answer(401, { cseq: 2 * i + 2, nonce: `m${i}` }), at + 15))
    }
    const { verdicts, summary } = await replay([capture('guess.pcap', frames)], [5060])
    expect(verdicts).toMatchObject([
      {
        time: START + 5_015,
        source: '10.0.0.1',
        port: 5062,
        action: 'suspend',
        grade: 'path',
        name: 'retry-limit',
      },
    ])
    expect(summary).toMatchObject({ registers: 12, challenges: 6, failures: 6, successes: 0 })
  })

  it('reads through VLANs, fragments, IPv6 and TCP segments alike', async () => {
    const message = register()
    const frames = [
      ethernet(vlan(7, vlan(8, ipv4({}, udp({}, message))))),
      ethernet(ipv6({}, udp({}, register({ cseq: 2 })))),
      ...fragments(udp({}, register({ cseq: 3 })), { family: 4, size: 64 }).map((part) => ethernet(part)),
      ...fragments(udp({}, register({ cseq: 4 })), { family: 6, size: 64 }).map((part) => ethernet(part)),
      ...cut(register({ cseq: 5 }), 50).map(({ offset, text }) =>
        ethernet(ipv4({}, tcp({ sequence: 1000 + offset }, text))),
      ),
    ]
    const file = capture(
      'ways.pcap',
      frames.map((bytes, i) => ({ bytes, time: START + i })),
    )
    const { summary } = await replay([file], [5060])
    expect(summary).toMatchObject({
      frames: frames.length,
      registers: 5,
      sipMessages: 5,
      malformed: 0,
      sources: 2,
    })
  })

  it('counts a retransmission as a packet, and as no second attempt', async () => {
    const frames = [0, 500, 1_500].map((delay) => toServer(register(), START + delay))
    frames.push(
      toPhone(answer(200, { contact: true }), START + 1_600),
      toPhone(answer(200, { contact: true }), START + 1_700),
    )
    const { summary } = await replay([capture('again.pcap', frames)], [5060])
    expect(summary).toMatchObject({ registers: 3, successes: 1, challenges: 0, failures: 0, sources: 1 })
  })

  it('listens on the ports that it was told, or on any', async () => {
    const file = capture('port.pcap', [
      { bytes: ethernet(ipv4({}, udp({ destinationPort: 5099 }, register()))), time: START },
    ])
    expect((await replay([file], [5060, 5061])).summary.registers).toBe(0)
    expect((await replay([file], [5060, 5099])).summary.registers).toBe(1)
    expect((await replay([file], 'any')).summary.registers).toBe(1)
  })

  it('takes what is whole of a capture that was cut, and says so', async () => {
    const whole = readFileSync(
      capture('whole.pcap', [toServer(register(), START), toServer(register({ cseq: 2 }), START)]),
    )
    const file = join(folder, 'cut.pcap')
    writeFileSync(file, whole.subarray(0, whole.length - 100))
    const { summary, errors, exitCode } = await replay([file])
    expect(summary).toMatchObject({ frames: 1, registers: 1 })
    expect(errors).toEqual([
      `${file}: the capture ends within the record after frame 1; its 1 whole frames were used.`,
    ])
    expect(exitCode).toBe(0)
  })

  it('says what is no capture or not there, and reads the others', async () => {
    const text = join(folder, 'letter.txt')
    writeFileSync(text, 'Dear Sir or Madam, this is a letter.')
    const good = capture('good.pcap', [toServer(register(), START)])
    const { summary, errors, exitCode } = await replay([text, join(folder, 'missing.pcap'), good])
    expect(summary.registers).toBe(1)
    expect(errors).toHaveLength(2)
    expect(errors[0]).toContain(text)
    expect(errors[1]).toBe(`${join(folder, 'missing.pcap')}: cannot be read (ENOENT).`)
    expect(exitCode).toBe(1)
  })

  it('lets no byte of a message steer the terminal', async () => {
    const hostile = '10\u001b]0;x\u0007\u009b2J'
    const frames = Array.from({ length: 6 }, (_, i) => [
      toServer(register({ cseq: i + 1, user: hostile, nonce: 'n' }), START + 2 * i),
      toPhone(answer(403, { cseq: i + 1, user: hostile }), START + 2 * i + 1),
    ]).flat()
    const lines: string[] = []
    await replayCaptures({
      files: [capture('hostile.pcap', frames)],
      ports: 'any',
      json: false,
      config: { policy: POLICY },
      write: (line) => lines.push(line),
      writeError: () => {},
    })
    expect(lines.length).toBeGreaterThanOrEqual(2)
    expect(lines.filter((line) => /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(line))).toEqual([])
  })
})

describe.skipIf(!hasShared())('replay of real captures', () => {
  const files = hasShared() ? readdirSync(join(SHARED, 'pcap')) : []

  it.each(files)('%s: frames, SIP messages and REGISTERs as tshark counts them', async (name) => {
    const file = join(SHARED, 'pcap', name)
    const { summary, exitCode } = await replay([file])
    const shark = (filter: string) => {
      const text = execFileSync(
        'tshark',
        ['-r', file, '-Y', filter, '-T', 'fields', '-e', 'sip.Method', '-e', 'sip.Status-Code'],
        {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      )
      return text.split('\n').filter((line) => line !== '')
    }
    const messages = shark('sip')
    const registers = messages.filter((line) => line.startsWith('REGISTER'))
    expect({
      frames: summary.frames,
      sipMessages: summary.sipMessages,
      registers: summary.registers,
      exitCode,
    }).toEqual({
      frames: countFrames(file),
      sipMessages: messages.length,
      registers: registers.length,
      exitCode: 0,
    })
  })

  it('tells challenges, failures and successes of a real phone apart', async () => {
    const { summary } = await replay([join(SHARED, 'pcap', 'irontec_sngrep__aaa.pcap')])
    // Read by hand from tshark's list: 9 bare REGISTERs challenged; of 9 with credentials 3 accepted, 6 refused.
    expect(summary).toMatchObject({ challenges: 9, successes: 3, failures: 6 })
  })

  it('crashes on no torture message, and reads every valid REGISTER', async () => {
    const classes = JSON.parse(readFileSync(join(SHARED, 'torture', 'CLASSES.json'), 'utf8'))
    const valid = (path: string) => {
      const [rfc, file] = path.split('/') as [string, string]
      const name = file.replace('.dat', '')
      const said: string = classes[rfc]?.[name] ?? classes['rfc5118 (poroh/ersip verdict)'][name]
      return !said.includes('invalid')
    }
    const registers: string[] = classes['REGISTER messages'].filter(valid)
    expect(registers.length).toBeGreaterThan(8)
    for (const path of [
      ...readdirSync(join(SHARED, 'torture/rfc4475')).map((name) => `rfc4475/${name}`),
      ...readdirSync(join(SHARED, 'torture/rfc5118')).map((name) => `rfc5118/${name}`),
    ]) {
      const payload = readFileSync(join(SHARED, 'torture', path))
      const file = capture('torture.pcap', [{ bytes: ethernet(ipv4({}, udp({}, payload))), time: START }])
      const { summary } = await replay([file])
      expect({ path, frames: summary.frames }).toEqual({ path, frames: 1 })
      if (registers.includes(path))
        expect({ path, registers: summary.registers }).toEqual({ path, registers: 1 })
    }
  })
})

function countFrames(file: string): number {
  const text = execFileSync('tshark', ['-r', file, '-T', 'fields', '-e', 'frame.number'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return text.split('\n').filter((line) => line !== '').length
}

function cut(text: string, size: number): { offset: number; text: string }[] {
  const parts: { offset: number; text: string }[] = []
  for (let offset = 0; offset < text.length; offset += size)
    parts.push({ offset, text: text.slice(offset, offset + size) })
  return parts
}
