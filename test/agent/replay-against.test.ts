import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ReplayPolicy, replayCaptures } from '../../agent/replay.ts'
import { parsePrefix } from '../../registrar/net/address.ts'
import { type CapturedFrame, pcapFile } from '../captures.ts'
import { ethernet, ipv4, udp } from '../packets.ts'
import { hasShared, SHARED } from '../shared-folder.ts'
import { POLICY } from './policy.ts'

const START = 1_700_000_000_000
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-replay-against-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Two REGISTERs of 10.0.0.1:5062 with the challenge between them, answered 200 or 401 again. */
function turn(number: number, time: number, user: string, status: 200 | 401): CapturedFrame[] {
  const head = (cseq: number, first: string) =>
    `${first}\r\nVia: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK${user}.${cseq}\r\nFrom: <sip:${user}@r>;tag=1\r\nTo: <sip:${user}@r>\r\nCall-ID: ${user}\r\nCSeq: ${cseq} REGISTER\r\n`
  const credentials = `Authorization: Digest username="${user}", realm="r", nonce="n${number}", uri="sip:r", response="00000000000000000000000000000000"\r\n`
  const [first, second] = [2 * number + 1, 2 * number + 2]
  const up = (payload: string, at: number) => ({ bytes: ethernet(ipv4({}, udp({}, payload))), time: at })
  const down = (payload: string, at: number) => {
    const datagram = udp({ sourcePort: 5060, destinationPort: 5062 }, payload)
    return { bytes: ethernet(ipv4({ source: '10.0.0.2', destination: '10.0.0.1' }, datagram)), time: at }
  }
  const end = 'Content-Length: 0\r\n\r\n'
  const challenge = (nonce: string) => `WWW-Authenticate: Digest realm="r", nonce="${nonce}"\r\n`
  const answer =
    status === 200 ? `Contact: <sip:a@10.0.0.1:5062>;expires=3600\r\n` : challenge(`again${number}`)
  return [
    up(head(first, 'REGISTER sip:r SIP/2.0') + end, time),
    down(head(first, 'SIP/2.0 401 x') + challenge(`n${number}`) + end, time + 5),
    up(head(second, 'REGISTER sip:r SIP/2.0') + credentials + end, time + 10),
    down(head(second, `SIP/2.0 ${status} x`) + answer + end, time + 15),
  ]
}

async function compare(frames: readonly CapturedFrame[], against: ReplayPolicy) {
  const file = join(folder, 'capture.pcap')
  writeFileSync(file, pcapFile(frames))
  return compareFiles([file], against)
}

async function compareFiles(files: readonly string[], against: ReplayPolicy) {
  const lines: string[] = []
  const { comparison, summary } = await replayCaptures({
    files,
    ports: 'any',
    json: true,
    config: { policy: POLICY },
    against: { config: against, names: ['old.yaml', 'new.yaml'] },
    write: (line) => lines.push(line),
    writeError: () => {},
  })
  if (!comparison) throw new Error('there is no comparison')
  return { comparison, summary, lines }
}

/** Others are challenged at once, ten times: each gets a nonce of its own. */
function others(time: number): CapturedFrame[] {
  const one = (n: number): CapturedFrame[] => {
    const client = `10.0.0.${8 + (n % 2)}`
    const head = (first: string) =>
      `${first}\r\nVia: SIP/2.0/UDP ${client}:5062;branch=z9hG4bKo${n}\r\nFrom: <sip:o@r>;tag=1\r\nTo: <sip:o@r>\r\nCall-ID: o${n}\r\nCSeq: 1 REGISTER\r\n`
    const at = time + Math.floor(n / 3) * 2_500 + (n % 3) * 20
    const end = 'Content-Length: 0\r\n\r\n'
    const challenge = `WWW-Authenticate: Digest realm="r", nonce="o${n}"\r\n`
    const up = udp({}, head('REGISTER sip:r SIP/2.0') + end)
    const down = udp({ sourcePort: 5060, destinationPort: 5062 }, head('SIP/2.0 401 x') + challenge + end)
    return [
      { bytes: ethernet(ipv4({ source: client }, up)), time: at },
      { bytes: ethernet(ipv4({ source: '10.0.0.2', destination: client }, down)), time: at + 5 },
    ]
  }
  return Array.from({ length: 30 }, (_, n) => one(n)).flat()
}

/** A phone registers at port 5062, and from the same port somebody types four wrong passwords of another account. */
const FRAMES = [
  ...turn(0, START, '1001', 200),
  ...others(START + 10_000),
  ...Array.from({ length: 4 }, (_, i) => turn(i + 1, START + 60_000 + i * 1_000, '1002', 401)).flat(),
]

describe('a replay against another configuration', () => {
  it('tells the new verdict and the registered phone that it would have cut off', async () => {
    const { comparison, lines } = await compare(FRAMES, { policy: { ...POLICY, registerRetry: 3 } })
    expect(comparison).toMatchObject({
      from: START,
      to: START + 63_015,
      before: { name: 'old.yaml', suspensions: 0, phonesTouched: 0 },
      after: { name: 'new.yaml', suspensions: 1, phonesTouched: 1 },
      phones: {
        registered: 1,
        touched: { count: 1, first: [{ account: '1001@r', source: '10.0.0.1:5062' }] },
      },
      changes: { new: { count: 1 }, gone: { count: 0 } },
    })
    // The summary alone: single verdicts would be those of one side.
    expect(lines).toHaveLength(1)
  })

  it('finds nothing between a policy and itself', async () => {
    const { comparison } = await compare(FRAMES, { policy: POLICY })
    expect(comparison).toMatchObject({
      phones: { touched: { count: 0 }, relieved: { count: 0 } },
      changes: { new: { count: 0 }, gone: { count: 0 }, harder: { count: 0 }, softer: { count: 0 } },
    })
  })

  it('spares whom the other allowlist holds', async () => {
    const { comparison } = await compare(FRAMES, {
      policy: { ...POLICY, registerRetry: 3 },
      allow: [parsePrefix('10.0.0.0/8')!],
    })
    expect(comparison.after).toMatchObject({ suspensions: 0, phonesTouched: 0 })
  })

  it.skipIf(!hasShared())(
    'tells of real captures what a policy that blocks nobody would let go',
    async () => {
      const pcaps = join(SHARED, 'pcap')
      const files = readdirSync(pcaps)
        .filter((name) => /\.pcap(ng)?$/.test(name))
        .map((name) => join(pcaps, name))
      const never = { ...POLICY, registerSuspend: false, flood: { registers: 1e6, within: 10, for: 1 } }
      const { comparison, summary } = await compareFiles(files, {
        policy: { ...never, block: { failures: 1e6, within: 600, for: 1 } },
      })
      expect(summary.registers).toBeGreaterThan(50)
      expect(comparison.phones.touched.count).toBe(0)
      expect(comparison.changes.new.count + comparison.changes.harder.count).toBe(0)
    },
  )
})
