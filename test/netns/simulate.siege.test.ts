import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Ringfence } from '../../scripts/siege/guards/ringfence.ts'
import { kindsOf } from '../../scripts/siege/phone-figures.ts'
import { Phones } from '../../scripts/siege/players.ts'
import { Program, until } from '../../scripts/siege/program.ts'
import { PROGRAM } from '../../scripts/siege/root.ts'
import type { SimulationFigures } from '../../scripts/siege/simulate/report.ts'
import { startSoftswitch } from '../../scripts/siege/softswitch.ts'
import { SERVER, SiegeStage } from '../../scripts/siege/stage.ts'
import { canRun } from '../requirements.ts'

const able = canRun({ programs: ['ip', 'ss', 'iptables', 'ipset', 'kamailio', 'cc'] })
const CUSTOMER = { user: 1_000, address: '10.50.0.10', port: 5_060 }

describe.runIf(able)('ringfence simulate', () => {
  const stage = new SiegeStage()
  const guard = new Ringfence(stage)

  beforeAll(async () => {
    await stage.build()
    await startSoftswitch(stage, 'unique')
    await guard.start()
    writeFileSync(stage.path('account.password'), 'pw4999\n')
  })
  afterAll(async () => {
    await guard.end()
    await stage.remove()
  })

  function begin(...args: readonly string[]): Program {
    // Other sieges may be going on beside this one, with the same addresses.
    const here = ['--namespace', stage.name('switch'), '--socket', stage.path('control.sock')]
    const all = [PROGRAM, 'simulate', '--target', SERVER, '--yes', '--json', ...here, ...args]
    return new Program(process.execPath, all, { cwd: stage.folder })
  }

  const leftBy = (pid: number) => readdirSync('/run/netns').filter((name) => name === `rf-simulate-${pid}`)
  const links = () => stage.run('switch', 'ip', ['-o', 'link', 'show'])
  const routes = () => stage.run('switch', 'ip', ['route', 'show', 'table', 'all'])

  async function expectAsBefore(): Promise<void> {
    const { trial, traffic } = await guard.status()
    expect([trial, traffic.interfaces]).toEqual([null, ['eth0']])
    expect(await links()).not.toContain('rfsim0')
    expect(await routes()).not.toContain('198.18.')
  }

  it('floods the own softswitch, serves the honest, leaves the host as it was and its phones registered', async () => {
    const phones = new Phones(stage, {
      server: SERVER,
      port: 5_060,
      seed: 1,
      reuseNonce: 0,
      groups: [
        {
          kind: 'customer',
          seats: [CUSTOMER],
          every: [3, 3],
          appears: 'before',
          within: [0, 0],
        },
      ],
      longest: 120,
    })
    await until(() => phones.registered().customer === 1, { within: 10_000, what: 'the customer' })
    const isProven = async () =>
      (await stage.run('switch', 'ipset', ['list', 'rf-pvn4'])).includes(
        `${CUSTOMER.address},udp:${CUSTOMER.port} `,
      )
    await until(isProven, { within: 10_000, what: 'the proven customer' })
    phones.attackBegins()

    const account = ['--account', '4999', '--password-file', stage.path('account.password')]
    const program = begin('--attack', 'forged-once', '--rate', '5000', '--for', '3s', ...account)
    expect([await program.ended, program.errors.includes('Error')]).toEqual([0, false])
    const figures = JSON.parse(program.output) as SimulationFigures
    phones.attackEnds()

    expect(figures).toMatchObject({ failures: [], honestBlocked: [], othersBlocked: [], guesses: null })
    expect(figures.sent).toBeGreaterThan(7_500)
    expect(figures.arrived).toBeGreaterThan(figures.sent)
    expect(figures.dropped).toBeGreaterThan(1_000)
    expect(figures.firstDropAfter).not.toBeNull()
    expect(figures.throughPerSecond).toBeLessThan(figures.sent / 3)
    const { before, during } = figures.honest.phases
    expect([before.inTime, during.inTime]).toEqual([1, 1])
    expect(figures.guard?.memory).toBeGreaterThan(1e6)

    await expectAsBefore()
    expect(readdirSync('/run/netns').filter((name) => name.startsWith('rf-simulate-'))).toEqual([])
    expect(await isProven()).toBe(true)
    const kinds = kindsOf(await phones.finish())
    expect(kinds.customer?.registrations).toBeGreaterThan(0)
    expect(kinds.customer?.success).toBe(1)
  })

  it('takes all back on Ctrl-C', async () => {
    const program = begin('--attack', 'sources', '--rate', '100', '--for', '60s')
    await until(() => program.errors.includes('the attack begins') || !program.isRunning, {
      within: 30_000,
      what: 'the attack',
    })
    expect(await links()).toContain('rfsim0')
    expect((await guard.status()).traffic.interfaces).toEqual(['eth0', 'rfsim0'])
    const pid = childOf(program)
    expect(leftBy(pid)).toHaveLength(1)
    // A second one at the same time is refused, and takes nothing from the first.
    const second = begin('--attack', 'sources', '--for', '2s')
    expect(await second.ended).toBe(1)
    expect(second.errors).toMatch(/is in use here|is on trial|another simulation runs/)
    expect(await links()).toContain('rfsim0')
    expect((await guard.status()).trial).not.toBeNull()
    await program.end('SIGINT')
    expect(await program.ended).toBe(1)
    expect(leftBy(pid)).toEqual([])
    await expectAsBefore()
  })

  it('takes back what a killed one left, when it begins again', async () => {
    const program = begin('--attack', 'sources', '--rate', '100', '--for', '60s')
    await until(() => program.errors.includes('the attack begins') || !program.isRunning, {
      within: 30_000,
      what: 'the attack',
    })
    const pid = childOf(program)
    process.kill(pid, 'SIGKILL')
    expect(await program.ended).toBe(1)
    expect(leftBy(pid)).toHaveLength(1)
    expect((await guard.status()).trial).not.toBeNull()

    // Two tries a second of it are too few for any limit: what it drops is nothing.
    const next = begin('--attack', 'guessers', '--rate', '10', '--for', '2s')
    expect([await next.ended, next.errors.includes('Error')]).toEqual([0, false])
    const { guesses, failures } = JSON.parse(next.output) as SimulationFigures
    expect(failures).toEqual([])
    expect(guesses!.refused).toBeGreaterThan(3)
    expect(leftBy(pid)).toEqual([])
    await expectAsBefore()
  })

  it('refuses whom it must not attack, and an account that is none', async () => {
    const ask = async (...args: readonly string[]) => {
      const program = begin('--attack', 'sources', '--for', '2s', ...args)
      return [await program.ended, program.errors.trim().split('\n').at(-1)]
    }
    // Beside others that are asked for twice, the last counts.
    expect(await ask('--target', '203.0.113.9')).toEqual([
      1,
      `ringfence: 203.0.113.9 is no address of the namespace ${stage.name('switch')}: ringfence simulate attacks nobody else`,
    ])
    writeFileSync(stage.path('account.password'), 'wrong\n')
    expect(await ask('--account', '4999', '--password-file', stage.path('account.password'))).toEqual([
      1,
      'ringfence: the softswitch refuses the account 4999: nothing was sent (is the password right? the --domain?)',
    ])
    await expectAsBefore()
  })
})

/** The program that the command runs. */
function childOf({ pid }: Program): number {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')
  return Number(child)
}
