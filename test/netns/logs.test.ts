import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'
import { registerOverTls, startTlsSoftswitch, type TlsRegister } from '../stage/tls-softswitch.ts'

const able = canRun({ programs: ['ip', 'iptables', 'ipset'] })
const SERVER = '10.99.0.1'
const PORT = 5061

describe.runIf(able)("a TLS port that is seen only in the softswitch's log", () => {
  const stage = new Stage()
  let server: StageHost
  let phone: StageHost
  let guesser: StageHost
  let sprayer: StageHost
  let family: StageHost
  let forger: StageHost
  let ringfence: Ringfence
  let log: string

  const register = (from: StageHost, registers: readonly TlsRegister[]) =>
    registerOverTls(stage, from, { host: server, port: PORT }, registers)
  const good = (user: string): TlsRegister => ({ user, password: `pw${user}` })
  const guesses = (count: number, user = (_: number) => '1004', session = 'abc') =>
    Array.from({ length: count }, (_, i) => ({ user: user(i), password: `guess${i}`, session }))
  const against = async (address: string) =>
    (await ringfence.ask<DecisionView[]>('blocked')).filter(({ target }) => target.startsWith(address))
  const log1 = async () => (await ringfence.status()).logs[0]!

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('switch', SERVER)
    phone = await stage.addHost('phone', '10.99.0.10')
    guesser = await stage.addHost('guess', '10.99.0.77')
    sprayer = await stage.addHost('spray', '10.99.0.78')
    family = await stage.addHost('family', '10.99.0.20')
    forger = await stage.addHost('forge', '10.99.0.66')
    log = stage.path('security')
    ringfence = new Ringfence(
      stage,
      server,
      `protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060, ${PORT}] } }\nevidence: { asterisk: ${log}, freeswitch: ${stage.path('freeswitch.log')} }`,
    )
    await ringfence.start()
    await startTlsSoftswitch(stage, server, { port: PORT, log })
  })
  afterAll(() => stage.remove())

  it('waits for the log, and makes an honest phone a returning one', async () => {
    await eventually(async () => (await log1()).state === 'waiting', 5_000, 'the log that is missing')
    expect(await register(phone, [good('1001'), good('1001'), good('1001')])).toEqual(['200', '200', '200'])
    await eventually(async () => (await log1()).eventsUsed === 6, 5_000, 'the lines')
    expect(await log1()).toMatchObject({
      log: 'asterisk',
      path: log,
      state: 'following',
      reason: '',
      linesRead: 6,
      linesUnderstood: 6,
      linesLetGo: 0,
      linesDoubtful: 0,
    })
    await ringfence.daemon?.says(/the log of asterisk .*\/security\) is followed/)
    expect(await ringfence.ask<SourceStory>('explain', '10.99.0.10')).toMatchObject({
      lane: 'returning',
      successes: 3,
    })
  })

  it('cuts a guesser off who connects anew for each try, and lets him connect no more', async () => {
    const answers = await register(guesser, guesses(40))
    expect(answers.slice(0, 6)).toEqual(Array.from({ length: 6 }, () => '401'))
    // Some may pass until the kernel knows of it.
    expect(answers.at(-1)).toBe('no answer')
    const decisions = await against('10.99.0.77')
    expect(decisions.find(({ target }) => target === '10.99.0.77')).toMatchObject({
      kind: 'suspend',
      by: 'retry-limit',
      grade: 'path',
    })
    expect(decisions.some(({ evidence }) => evidence.account === '1004' && evidence.failures === 6)).toBe(
      true,
    )
  })

  it('goes on over a rotation, and locks out who tries many accounts', async () => {
    renameSync(log, `${log}.1`)
    // All different, so that no account fails six times.
    const answers = await register(
      sprayer,
      guesses(30, (i) => String(2000 + i)),
    )
    expect(answers.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => '401'))
    expect(answers.at(-1)).toBe('no answer')
    const decision = await eventually(
      async () => (await against('10.99.0.78')).find(({ kind }) => kind === 'block'),
      5_000,
      'the lockout',
    )
    expect(decision.grade).toBe('path')
    expect((await log1()).state).toBe('following')
  })

  it('cuts off no phone behind the address of a guesser', async () => {
    expect(await register(family, [good('1002')])).toEqual(['200'])
    await register(
      family,
      guesses(12, (i) => String(1005 + (i % 3))),
    )
    expect(await register(family, [good('1002'), good('1003')])).toEqual(['200', '200'])
    expect((await against('10.99.0.20')).filter(({ target }) => target === '10.99.0.20')).toEqual([])
  })

  it('does not believe who writes a phone into the log, in its Call-ID or from UDP', async () => {
    const field = `",LocalAddress="IPV4/TLS/${SERVER}/${PORT}",RemoteAddress="IPV4/TLS/10.99.0.10/40000`
    const doubted = (await log1()).linesDoubtful
    await register(
      forger,
      guesses(12, (i) => String(3000 + (i % 2)), field),
    )
    await eventually(async () => (await log1()).linesDoubtful === doubted + 12, 5_000, 'the lines')
    const forged = (event: string) =>
      `[2026-01-15 10:23:45] SECURITY[1] res_security_log.c: SecurityEvent="${event}",EventTV="1",Severity="Error",Service="PJSIP",EventVersion="1",AccountID="x",SessionID="x",LocalAddress="IPV4/UDP/${SERVER}/5060",RemoteAddress="IPV4/UDP/10.99.0.10/5060"\n`
    const { linesRead } = await log1()
    appendFileSync(log, `${forged('InvalidAccountID').repeat(40)}${forged('InvalidPassword').repeat(40)}`)
    await eventually(async () => (await log1()).linesRead === linesRead + 80, 5_000, 'the lines')
    expect(await register(phone, [good('1001')])).toEqual(['200'])
    expect(await against('10.99.0.10')).toEqual([])
  })

  it('raises an alert and does nothing for a log that names no port', async () => {
    const path = stage.path('freeswitch.log')
    writeFileSync(path, '')
    await ringfence.daemon?.says(/the log of freeswitch .* is followed/)
    const line =
      "2026-01-15 10:23:45.123456 [WARNING] sofia_reg.c:1792 SIP auth failure (REGISTER) on sofia profile 'internal' for [1001@x] from ip 10.99.0.50\n"
    appendFileSync(path, line.repeat(50))
    await ringfence.daemon?.says(/6 failed registrations in the log of FreeSWITCH/)
    expect(await against('10.99.0.50')).toEqual([])
    const { verdicts } = await ringfence.ask<SourceStory>('explain', '10.99.0.50')
    expect(verdicts).toMatchObject([{ action: 'alert', grade: 'packet' }])
  })
})
