import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Detector } from '../../../agent/detect/detector.ts'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import { LogEvidence, type LogEvidenceOptions } from '../../../agent/logs/log-evidence.ts'
import type { ExchangeEnded } from '../../../agent/observe/observation.ts'
import { DEFAULT_POLICY } from '../../../registrar/policy.ts'
import { eventually } from '../../stage/running.ts'

const POLICY = { ...DEFAULT_POLICY, flood: { registers: 100, within: 10, for: 600 } }
const NOW = 1_700_000_000_000

function asterisk(
  event: string,
  { account = '1001', remote = 'IPV4/TLS/198.51.100.7/43210', local = 'IPV4/TLS/192.0.2.1/5061' } = {},
): string {
  const tail = event === 'SuccessfulAuth' ? ',UsingPassword="1"' : ''
  return `[2026-01-15 10:23:45] SECURITY[1234] res_security_log.c: SecurityEvent="${event}",EventTV="1",Severity="Error",Service="PJSIP",EventVersion="2",AccountID="${account}",SessionID="abc",LocalAddress="${local}",RemoteAddress="${remote}"${tail}\n`
}

const freeswitch = (address: string) =>
  `2026-01-15 10:23:45.123456 [WARNING] sofia_reg.c:1792 SIP auth failure (REGISTER) on sofia profile 'internal' for [1001@example.org] from ip ${address}\n`

describe("evidence from the softswitch's own log", () => {
  let folder: string
  let evidence: LogEvidence
  let observations: ExchangeEnded[]
  let alerts: Verdict[]
  let now: number
  const path = (name: string) => join(folder, name)

  const follow = async (options: Partial<LogEvidenceOptions> = {}) => {
    evidence = new LogEvidence({
      paths: { asterisk: path('security'), freeswitch: path('freeswitch.log'), vos3000: path('mbx.log') },
      clock: () => now,
      isProtectedPort: (port, transport) => port === 5061 || (port === 5060 && transport === 'udp'),
      isSeen: () => false,
      isProtected: (address) => address === '192.0.2.1',
      registerRetry: 6,
      onObservation: (observation) => observations.push(observation),
      onVerdict: (verdict) => alerts.push(verdict),
      ...options,
    })
    await evidence.start()
  }
  const status = (log: string) => evidence.status().find((one) => one.log === log)!
  const write = async (name: 'security' | 'freeswitch.log' | 'mbx.log', text: string) => {
    const log = { security: 'asterisk', 'freeswitch.log': 'freeswitch', 'mbx.log': 'vos3000' }[name]
    const lines = status(log).linesRead + text.split('\n').length - 1
    appendFileSync(path(name), text)
    await eventually(() => status(log).linesRead === lines, 5_000, 'the lines')
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringfence-logs-'))
    for (const name of ['security', 'freeswitch.log', 'mbx.log']) writeFileSync(path(name), '')
    observations = []
    alerts = []
    now = NOW
  })
  afterEach(async () => {
    await evidence.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('takes a failure over TLS as one of whoever finished the handshake', async () => {
    await follow()
    await write('security', asterisk('ChallengeResponseFailed'))
    expect(observations).toEqual([
      {
        kind: 'exchange',
        time: NOW,
        source: { address: '198.51.100.7', port: 43210 },
        serverPort: 5061,
        transport: 'tcp',
        account: '1001',
        outcome: 'failure',
        status: 401,
        answeredIn: null,
        userAgent: '',
        bindings: [],
        grade: 'path',
        withCredentials: true,
        answersItsChallenge: true,
        grantedExpires: 0,
        fromLog: true,
      },
    ])
  })

  it('says of UDP no more than a packet does, and of UDP without credentials nothing at all', async () => {
    await follow()
    const udp = { remote: 'IPV4/UDP/198.51.100.7/5060', local: 'IPV4/UDP/192.0.2.1/5060' }
    await write('security', asterisk('InvalidPassword', udp))
    expect(observations).toMatchObject([
      { outcome: 'failure', grade: 'packet', transport: 'udp', answersItsChallenge: false },
    ])
    await write('security', asterisk('InvalidAccountID', udp).repeat(20) + asterisk('FailedACL', udp))
    expect(observations).toHaveLength(1)
    expect(alerts).toMatchObject([{ action: 'alert', grade: 'packet', address: '198.51.100.7', port: null }])
  })

  it('takes nothing from a port that the sensor sees itself, from one that is not protected, and from a proxy', async () => {
    await follow({ isSeen: (port) => port === 5061 })
    await write('security', asterisk('InvalidPassword'))
    await evidence.stop()
    await follow()
    await write('security', asterisk('InvalidPassword', { local: 'IPV4/WSS/192.0.2.1/8089' }))
    await write('security', asterisk('InvalidPassword', { remote: 'IPV4/TLS/127.0.0.1/50000' }))
    await write('security', asterisk('InvalidPassword', { remote: 'IPV4/TLS/192.0.2.1/50000' }))
    expect(observations).toEqual([])
    expect(status('asterisk')).toMatchObject({ linesUnderstood: 3, eventsUsed: 0 })
  })

  it('tells people of what names no port, once in ten minutes and source, and acts on nothing of it', async () => {
    await follow()
    await write('freeswitch.log', freeswitch('198.51.100.7').repeat(5))
    expect(alerts).toEqual([])
    await write('freeswitch.log', freeswitch('198.51.100.7').repeat(50))
    await write('mbx.log', 'register 1001 from 198.51.100.8 failed\n'.repeat(6))
    expect(observations).toEqual([])
    expect(alerts).toMatchObject([
      {
        name: 'retry-limit',
        action: 'alert',
        address: '198.51.100.7',
        reason: '6 failed registrations in the log of FreeSWITCH, which does not prove where they came from',
      },
      { action: 'alert', address: '198.51.100.8', evidence: { log: 'vos3000' } },
    ])
    now += 601_000
    await write('freeswitch.log', freeswitch('198.51.100.7').repeat(6))
    expect(alerts).toHaveLength(3)
  })

  it('counts what it read, understood and did not believe', async () => {
    await follow()
    const forged = asterisk('InvalidPassword').replace(
      'SessionID="abc"',
      'SessionID="",LocalAddress="IPV4/TLS/1.1.1.1/1",RemoteAddress="IPV4/TLS/203.0.113.9/1""',
    )
    await write('security', `${forged}something else\n${asterisk('ChallengeSent')}${'x'.repeat(70_000)}\n`)
    expect(status('asterisk')).toEqual({
      log: 'asterisk',
      path: path('security'),
      state: 'following',
      reason: '',
      linesRead: 4,
      linesUnderstood: 1,
      linesLetGo: 1,
      linesDoubtful: 1,
      eventsUsed: 1,
    })
  })

  it('follows only what is configured', async () => {
    await follow({ paths: { asterisk: null, freeswitch: null, vos3000: path('nowhere') } })
    expect(evidence.status()).toMatchObject([
      { log: 'vos3000', state: 'waiting', reason: 'there is no such file yet' },
    ])
  })

  describe('with the detector', () => {
    const verdicts: Verdict[] = []
    const returning: string[] = []
    const judge = async () => {
      verdicts.length = 0
      returning.length = 0
      const detector = new Detector({
        policy: POLICY,
        onVerdict: (verdict) => verdicts.push(verdict),
        onLane: (lane) => returning.push(lane.kind),
      })
      await follow({ onObservation: (observation) => detector.observe(observation) })
      return detector
    }

    it('a guesser over TLS is cut off at the sixth failure, and blocked when he tries many accounts', async () => {
      await judge()
      await write('security', asterisk('ChallengeResponseFailed').repeat(5))
      expect(verdicts).toEqual([])
      await write('security', asterisk('ChallengeResponseFailed'))
      expect(verdicts).toMatchObject([
        { name: 'retry-limit', action: 'block', address: '198.51.100.7', port: 43210, grade: 'path' },
      ])
      const many = Array.from({ length: 20 }, (_, i) =>
        asterisk('ChallengeResponseFailed', { account: String(2000 + i) }),
      )
      await write('security', many.join(''))
      expect(verdicts.filter(({ action, port }) => action === 'block' && port === null)).toMatchObject([
        { scope: 'sip', address: '198.51.100.7', grade: 'path' },
      ])
    })

    it('an honest phone over TLS is a returning one, and its neighbour who guesses does not cut it off', async () => {
      await judge()
      const phone = asterisk('SuccessfulAuth', { remote: 'IPV4/TLS/198.51.100.7/50001' })
      const guess = asterisk('ChallengeResponseFailed', { account: '1002' })
      await write('security', phone + asterisk('ChallengeSent') + guess.repeat(30))
      expect(returning).toContain('registered')
      // Its source is never suspended or blocked as a whole.
      expect(
        verdicts.filter(({ port, action }) => port === null && action !== 'alert' && action !== 'limit'),
      ).toEqual([])
    })

    it('a guesser over TLS whose guess is right is told of, and no returning one', async () => {
      await judge()
      const guesses = Array.from({ length: 15 }, (_, i) =>
        asterisk('ChallengeResponseFailed', { account: String(2000 + i) }),
      )
      await write('security', guesses.join('') + asterisk('SuccessfulAuth', { account: '2007' }))
      expect(verdicts.map(({ name }) => name)).toContain('guessed-right')
      expect(returning).toEqual([])
    })

    it('no number of forged lines of UDP or without a port suspends a source with a live binding', async () => {
      await judge()
      const from = { remote: 'IPV4/UDP/198.51.100.7/5060', local: 'IPV4/UDP/192.0.2.1/5060' }
      await write('security', asterisk('SuccessfulAuth', from))
      const forged = ['InvalidPassword', 'InvalidAccountID', 'FailedACL', 'ChallengeResponseFailed']
      await write('security', forged.map((event) => asterisk(event, from).repeat(50)).join(''))
      await write('freeswitch.log', freeswitch('198.51.100.7').repeat(100))
      expect(verdicts.filter(({ action }) => action === 'suspend' || action === 'block')).toEqual([])
      expect(alerts.every(({ action }) => action === 'alert')).toBe(true)
    })
  })
})
