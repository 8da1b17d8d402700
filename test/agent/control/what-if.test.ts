import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config } from '../../../agent/config/config.ts'
import { readConfig } from '../../../agent/config/read-config.ts'
import { planConfiguration } from '../../../agent/control/plan-configuration.ts'
import { traceImagined } from '../../../agent/control/trace-imagined.ts'
import { buildDesiredState } from '../../../agent/decide/desired.ts'
import type { DesiredState, Member } from '../../../rules/desired-state.ts'
import { RulesEngine } from '../../../rules/engine.ts'
import { ImaginedKernel } from '../../../rules/imagined-kernel.ts'
import { denied, desired, proven, traffic } from '../../rules/desired.ts'

const NOW = 1_800_000_000_000
const OLD = 'protect: { interfaces: [eth0] }\nkernel: { elements: 65536, buckets: 65536, seen: 100000 }\n'

let folder: string
let engine: RulesEngine

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-what-if-'))
  writeFileSync(join(folder, 'ringfence.yaml'), OLD)
  engine = new RulesEngine({ kernel: new ImaginedKernel({ clock: () => NOW }), clock: () => NOW })
})
afterEach(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

function configOf(text: string): Config {
  const reading = readConfig(text, { file: 'test' })
  if (reading.kind === 'refused') throw new Error(reading.problems[0]?.message)
  return reading.config
}

function stateOf(config: Config, members: readonly (readonly Member[])[] = []): DesiredState {
  return buildDesiredState({
    config,
    host: { memoryBytes: 2 ** 30, tracksConnections: false },
    decisions: { allowedPrefixes: () => [...config.allow], blocks: () => [], suspensions: () => [] },
    sipEnforced: config.limits.sip.enforce,
    strictUntil: null,
    members,
  })
}

/** A daemon with the old configuration and one registered phone, as the planner knows it. */
async function parts(isOff = false) {
  const config = configOf(OLD)
  const members = [[proven('198.51.100.7', 5060, NOW + 60_000)]]
  engine.setDesired(stateOf(config, members))
  await engine.settled()
  return {
    clock: () => NOW,
    config: () => config,
    configFile: join(folder, 'ringfence.yaml'),
    desired: () => stateOf(config, members),
    desiredUnder: (other: Config) => stateOf(other, members),
    engine,
    hostInterfaces: () => ['lo', 'eth0'],
    isOff,
  }
}

describe('a plan', () => {
  it('of the file as it is on disk says that nothing would change', async () => {
    expect(await planConfiguration(undefined, await parts())).toEqual({
      file: join(folder, 'ringfence.yaml'),
      same: true,
      needsRestart: [],
      limits: [],
      warmed: false,
      chains: [],
      sets: [],
      elements: { added: { count: 0, first: [] }, removed: { count: 0, first: [] } },
      phones: { proven: 1, traced: 1, worse: 0, first: [] },
      warnings: [],
      notes: [],
    })
  })

  it('reads the file anew', async () => {
    const known = await parts()
    writeFileSync(known.configFile, `${OLD}limits: { proven: { perSecond: 3, burst: 9 } }\n`)
    expect(await planConfiguration(undefined, known)).toMatchObject({
      same: false,
      limits: ['limits.proven: 10/s burst 50 → 3/s burst 9'],
      warmed: true,
      phones: {
        worse: 1,
        first: [{ source: '198.51.100.7:5060', says: 'proven 10/s burst 50 → proven 3/s burst 9' }],
      },
    })
  })

  it('of a candidate names what needs a restart, and what is no business of the kernel', async () => {
    const text = `${OLD}mode: observe\npolicy: { registerRetry: 3 }\nallow: [198.51.100.0/24]\n`
    const plan = await planConfiguration({ text, file: 'new.yaml' }, await parts(true))
    expect(plan).toMatchObject({
      file: 'new.yaml',
      same: false,
      needsRestart: ['mode'],
      elements: { added: { count: 1, first: ['rf-allow4 198.51.100.0/24'] } },
      notes: [
        'the rules are off: nothing of this reaches the kernel before `ringfence on`',
        'outside the kernel policy would change too',
      ],
    })
  })

  it('warns of an interface that the host does not have', async () => {
    const text = OLD.replace('eth0', 'eth9')
    expect(await planConfiguration({ text, file: 'new.yaml' }, await parts())).toMatchObject({
      same: false,
      warnings: ['there is no interface eth9: nothing that comes in elsewhere is judged'],
    })
  })

  it.each([
    { what: 'a bad candidate', text: 'protect: { interfaces: [eth0] }\nlimit: {}', says: /^new\.yaml:2:1: / },
    { what: 'no candidate at all', text: '', says: /^new\.yaml:.*protect/ },
  ])('of $what is refused', async ({ text, says }) => {
    await expect(planConfiguration({ text, file: 'new.yaml' }, await parts())).rejects.toMatchObject({
      code: 'bad-config',
      message: expect.stringMatching(says),
    })
  })
})

describe('a trace', () => {
  const state = desired({
    traffic: traffic({ tcpPorts: [5060] }),
    blocks: [denied('203.0.113.7')],
    members: [[proven('198.51.100.7', 5060, NOW + 60_000)]],
  })
  const ask = (order: Parameters<typeof traceImagined>[0], held: Awaited<ReturnType<Held>> = null) =>
    traceImagined(order, {
      clock: () => NOW,
      desired: () => state,
      heldByKernel: async () => held,
      notice: 'nothing is dropped while the rules are off',
    })
  type Held = Parameters<typeof traceImagined>[1]['heldByKernel']

  it('says what was imagined, what was assumed, and what the rules make of it', async () => {
    const traced = await ask({ source: '198.51.100.7:5060' })
    expect(traced).toMatchObject({
      packet: 'UDP, REGISTER, from 198.51.100.7:5060 to 192.0.2.1:5060, arriving on eth0',
      verdict: 'pass',
      notice: 'nothing is dropped while the rules are off',
      lane: 'proven',
      assumptions: [
        'every bucket is full, as for a source that sent nothing lately',
        'the destination is a protected one',
        'the lists that the kernel fills by itself (asked, seen, over the SIP limit) do not hold the source',
      ],
    })
    expect(traced.steps.map(({ says }) => says)).toEqual([
      '198.51.100.7:5060 is proven; 198.51.100.7:5060 is not suspended; no rule that goes before the proven names 198.51.100.7; it is under the limit of a proven address and port: 10 a second after a burst of 50',
    ])
  })

  it.each([
    { order: { source: '203.0.113.7:5060', method: 'INVITE' }, verdict: 'drop', lane: 'blocked' },
    { order: { source: '203.0.113.8:5060', protocol: 'tcp' as const }, verdict: 'pass', lane: 'unknown' },
    { order: { source: '203.0.113.8:5060', interface: 'eth9' }, verdict: 'not-ours', lane: 'none' },
    { order: { source: '203.0.113.8:5060', destination: '192.0.2.99' }, verdict: 'not-ours', lane: 'none' },
    { order: { source: '[2001:db8::7]:5060' }, verdict: 'pass', lane: 'unknown' },
  ])('$order', async ({ order, verdict, lane }) => {
    expect(await ask(order)).toMatchObject({ verdict, lane })
  })

  it.each(['203.0.113.8', '2001:db8::7'])('takes 5060 for the port of %s, and says so', async (source) => {
    const { packet, assumptions } = await ask({ source })
    expect(packet).toContain(source.includes(':') ? 'from [2001:db8::7]:5060 to' : 'from 203.0.113.8:5060 to')
    expect(assumptions).toContain('it comes from port 5060, since no port is said')
    expect((await ask({ source: '203.0.113.8:5062' })).assumptions.join()).not.toContain('no port is said')
  })

  it('asks the kernel for what it fills by itself, and never shows a payload', async () => {
    const payload = Buffer.from('SIP/2.0 200 OK\u001b[2J and more than a keepalive').toString('base64')
    const order = { source: '203.0.113.8:5060', payload }
    expect(await ask(order)).toMatchObject({ lane: 'rest' })
    const asked = await ask(order, { asked: true, seen: false, wsip: false })
    expect(asked).toMatchObject({ lane: 'peer', packet: expect.stringContaining('UDP, 44 bytes of payload') })
    expect(JSON.stringify(asked)).not.toMatch(/\[2J|200 OK/)
    expect(asked.assumptions.join()).not.toContain('fills by itself')
  })

  it.each([
    { order: { source: '203.0.113.x' }, says: /^"203\.0\.113\.x" is no address; write it like 203/ },
    {
      order: { source: '203.0.113.7:5060', destination: 'switch\u001b[2J' },
      says: /^"switch\\u001b\[2J" is no address/,
    },
    { order: { source: '203.0.113.7:5060', destination: '2001:db8::1' }, says: /^There is no such packet: / },
  ])('refuses $order', async ({ order, says }) => {
    await expect(ask(order)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(says),
    })
  })
})
