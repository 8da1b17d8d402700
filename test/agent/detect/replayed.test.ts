import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { replayCaptures } from '../../../agent/replay.ts'
import { type CapturedFrame, pcapFile } from '../../captures.ts'
import { hasShared, SHARED } from '../../shared-folder.ts'
import { POLICY } from '../policy.ts'
import { ModelSoftswitch, type Sent } from './model-softswitch.ts'
import { START } from './stage.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-verdicts-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function verdictsOf(file: string): Promise<string[]> {
  const said = new Set<string>()
  await replayCaptures({
    files: [file],
    ports: 'any',
    json: true,
    config: { policy: POLICY },
    write: (line) => {
      const { type, name, action, source, port } = JSON.parse(line)
      if (type === 'verdict') said.add(`${name}: ${action} ${source}${port === null ? '' : `:${port}`}`)
    },
    writeError: () => {},
  })
  return [...said].sort()
}

const SECOND = 1_000
const MINUTE = 60_000
const ATTACKER = '203.0.113.66'
const ACCOUNTS = new Set(Array.from({ length: 300 }, (_, i) => String(1_000 + i)))

interface World {
  readonly softswitch: ModelSoftswitch
  /** One wrong password over a nonce of its own. */
  guess(from: Omit<Sent, 'at'>, at: number, account: string): void
}

function worldOf(shares: boolean, frames: CapturedFrame[]): World {
  const softswitch = new ModelSoftswitch(
    { shares, accounts: ACCOUNTS, refusesUnknown: true },
    ({ time, bytes }) => frames.push({ time, bytes }),
  )
  return {
    softswitch,
    guess(from, at, account) {
      const nonce = softswitch.ask({ ...from, at }, account) ?? 'none'
      // Somebody else asks within the same second: that is how sharing shows.
      if (shares) softswitch.ask({ address: '192.0.2.91', port: 5060, at }, '1299')
      softswitch.tell({ ...from, at: at + 20 }, account, { nonce, password: 'wrong' })
    },
  }
}

interface Scene {
  readonly what: string
  readonly play: (world: World) => void
  /** Where each source has its own nonce, and where all share one. */
  readonly unique: readonly string[]
  readonly shared: readonly string[]
}

const HOSTILE: readonly Scene[] = [
  {
    what: 'svcrack with a delay of 0.9 s: one account, one port',
    play: ({ guess }) => {
      for (let i = 0; i < 22; i++) guess({ address: ATTACKER, port: 5060 }, START + i * 2_700, '1000')
    },
    unique: [`retry-limit: suspend ${ATTACKER}:5060`],
    shared: [`retry-limit: suspend ${ATTACKER}:5060`],
  },
  {
    what: 'hydra: 39 in a minute over ten accounts, a new port each',
    play: ({ guess }) => {
      for (let i = 0; i < 39; i++)
        guess({ address: ATTACKER, port: 40_000 + i }, START + i * 1_540, String(1_000 + (i % 10)))
    },
    unique: [`lockout: block ${ATTACKER}`],
    // Nobody knows who it was: no block, but a suspension of a stranger.
    shared: [`retry-limit: suspend ${ATTACKER}`],
  },
  {
    what: 'the same for two hours, one try a minute',
    play: ({ guess }) => {
      for (let i = 0; i < 120; i++)
        guess({ address: ATTACKER, port: 40_000 + i }, START + i * MINUTE, String(1_000 + (i % 30)))
    },
    unique: [`slow-guessing: block ${ATTACKER}`],
    shared: [`slow-guessing: suspend ${ATTACKER}`],
  },
  {
    what: 'twelve bots on one account, one try each five minutes',
    play: ({ guess }) => {
      for (let i = 0; i < 24; i++)
        guess({ address: `203.0.113.${1 + (i % 12)}`, port: 5060 }, START + i * 25_000, '1000')
    },
    unique: ['account-guessed: alert 203.0.113.10'],
    shared: ['account-guessed: alert 203.0.113.10'],
  },
  {
    what: 'a guesser who guesses right',
    play: ({ guess, softswitch }) => {
      for (let i = 0; i < 8; i++)
        guess({ address: ATTACKER, port: 5060 }, START + i * 10_000, String(1_000 + (i % 4)))
      softswitch.register({ at: START + 100_000, address: ATTACKER, port: 5060 }, '1003')
    },
    unique: [`guessed-right: alert ${ATTACKER}:5060`],
    shared: [`guessed-right: alert ${ATTACKER}:5060`],
  },
  {
    what: 'svwar: a new account every second',
    play: ({ softswitch }) => {
      const says = 'User-Agent: friendly-scanner\r\n'
      for (let i = 0; i < 40; i++)
        softswitch.ask({ at: START + i * SECOND, address: ATTACKER, port: 5060, says }, String(100 + i))
    },
    unique: [`account-scan: block ${ATTACKER}`],
    shared: [`account-scan: block ${ATTACKER}`],
  },
  {
    what: 'a parser’s enemy: Contacts of 3 kB, and headers that no reader takes',
    play: ({ softswitch }) => {
      for (let i = 0; i < 12; i++) {
        softswitch.ask(
          { at: START + i * SECOND, address: ATTACKER, port: 5060 },
          '1000',
          `Contact: <sip:${'z'.repeat(3_000)}@r>\r\n`,
        )
        softswitch.send(
          { at: START + i * SECOND, address: '203.0.113.67', port: 5060 },
          `REGISTER sip:r SIP/2.0\r\nX: ${'y'.repeat(9_000)}\r\n\r\n`,
        )
      }
    },
    unique: [`malformed: block ${ATTACKER}`, 'malformed: block 203.0.113.67'],
    shared: [`malformed: block ${ATTACKER}`, 'malformed: block 203.0.113.67'],
  },
  {
    what: 'a stolen password, while the owner’s phone goes on',
    play: ({ softswitch }) => {
      const owner = { address: '192.0.2.77', port: 5062, says: 'User-Agent: Yealink T46\r\n' }
      softswitch.register({ ...owner, at: START }, '1000')
      softswitch.register(
        { at: START + MINUTE, address: ATTACKER, port: 5060, says: 'User-Agent: x\r\n' },
        '1000',
      )
      softswitch.ask({ ...owner, at: START + 2 * MINUTE }, '1000')
    },
    unique: [`hijack: alert ${ATTACKER}:5060`],
    shared: [`hijack: alert ${ATTACKER}:5060`],
  },
  {
    what: 'failing accounts behind a proxy that brings forty good ones',
    play: ({ guess, softswitch }) => {
      // Others were there for a while, so that it is known whether the softswitch shares its nonces.
      for (let minute = 15; minute > 0; minute--)
        for (const [i, host] of [91, 92, 91].entries())
          softswitch.ask({ address: `192.0.2.${host}`, port: 5060, at: START - minute * MINUTE + i }, '1299')
      const proxy = { address: '192.0.2.200', port: 5060 }
      const phone = (i: number) => ({
        ...proxy,
        behind: `Via: SIP/2.0/UDP 10.9.0.${i};branch=z9hG4bKp${i}\r\n`,
      })
      for (let i = 0; i < 40; i++)
        softswitch.register({ ...phone(i), at: START + i * SECOND }, String(1_000 + i))
      for (let i = 0; i < 200; i++) guess(phone(i), START + MINUTE + i * SECOND, String(1_100 + (i % 20)))
    },
    unique: [
      'lockout: limit 192.0.2.200:5060',
      'retry-limit: limit 192.0.2.200:5060',
      'slow-guessing: limit 192.0.2.200',
    ],
    shared: [],
  },
]

const HONEST: readonly { readonly what: string; readonly play: (world: World) => void }[] = [
  {
    what: 'an office of 200 phones for a day, and newcomers that mistype',
    play: ({ guess, softswitch }) => {
      for (let hour = 0; hour < 24; hour += 2) {
        for (let i = 0; i < 200; i++)
          softswitch.register(
            { at: START + hour * 60 * MINUTE + i * 250, address: '192.0.2.50', port: 20_000 + i },
            String(1_000 + i),
          )
      }
      for (let i = 0; i < 5; i++) guess({ address: '198.51.100.5', port: 5060 }, START + i * 20_000, '1201')
      softswitch.register({ at: START + 3 * MINUTE, address: '198.51.100.5', port: 5060 }, '1201')
    },
  },
  {
    what: 'phones that use a nonce until it is stale, a hundred times',
    play: ({ softswitch }) => {
      const phone = { address: '198.51.100.6', port: 5060 }
      for (let i = 0; i < 100; i++) {
        const at = START + i * 20 * MINUTE
        const nonce = softswitch.ask({ ...phone, at }, '1000')!
        softswitch.tell({ ...phone, at: at + 20 }, '1000', { nonce, password: 'right' })
        softswitch.tell({ ...phone, at: at + 10 * MINUTE }, '1000', { nonce, password: 'right' })
      }
    },
  },
  {
    what: 'a phone that roams from network to network',
    play: ({ softswitch }) => {
      for (let i = 0; i < 30; i++) {
        const says = 'User-Agent: Linphone Android\r\n'
        softswitch.register(
          { at: START + i * MINUTE, address: `100.${64 + i}.3.4`, port: 30_000 + i, says },
          '1000',
        )
        softswitch.ask(
          { at: START + i * MINUTE + 30_000, address: `100.${64 + i}.3.4`, port: 30_000 + i, says },
          '1000',
        )
      }
    },
  },
]

describe.each([
  ['unique', false],
  ['shared', true],
] as const)('captures replayed, nonces %s', (kind, shares) => {
  it.each(HOSTILE)('$what', async ({ what, play, ...expected }) => {
    const frames: CapturedFrame[] = []
    play(worldOf(shares, frames))
    const file = join(folder, `${what.slice(0, 8)}-${kind}.pcap`)
    writeFileSync(file, pcapFile(frames))
    expect(await verdictsOf(file)).toEqual([...expected[kind]].sort())
  })

  it.each(HONEST)('$what: not a word', async ({ what, play }) => {
    const frames: CapturedFrame[] = []
    play(worldOf(shares, frames))
    const file = join(folder, `${what.slice(0, 8)}-${kind}.pcap`)
    writeFileSync(file, pcapFile(frames))
    expect(await verdictsOf(file)).toEqual([])
  })
})

describe.skipIf(!hasShared())('real captures of honest traffic', () => {
  const files = hasShared() ? readdirSync(join(SHARED, 'pcap')) : []

  it.each(files)('%s leads to no verdict', async (name) => {
    expect(await verdictsOf(join(SHARED, 'pcap', name))).toEqual([])
  })
})
