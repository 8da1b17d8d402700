import { describe, expect, it } from 'vitest'
import { SIMULATED_ATTACKS, type SimulationOrder } from '../../agent/cli/simulation-order.ts'
import { trafficOf } from '../../scripts/siege/simulate/attack-of.ts'
import { isOfSimulation } from '../../scripts/siege/simulate/figures-of.ts'
import { choosePlace, type HostPlace } from '../../scripts/siege/simulate/find-place.ts'
import type { HonestResult, HonestTry } from '../../scripts/siege/simulate/honest-plan.ts'
import { listenerOn, withInterface } from '../../scripts/siege/simulate/installed-ringfence.ts'
import { honestFigures, judgeSimulation } from '../../scripts/siege/simulate/report.ts'

const PLACES: readonly HostPlace[] = [
  { namespace: null, addresses: [{ interface: 'eth0', address: '192.0.2.10' }] },
  { namespace: 'pbx', addresses: [{ interface: 'eth0', address: '10.0.0.2' }] },
  {
    namespace: 'lab',
    addresses: [
      { interface: 'eth0', address: '10.0.0.2' },
      { interface: 'eth1', address: '192.0.2.10' },
    ],
  },
]

describe('whom a simulation attacks', () => {
  it('is an address of this host, first of the own namespace', () => {
    expect(choosePlace('192.0.2.10', PLACES, undefined)).toEqual({
      kind: 'found',
      namespace: null,
      interface: 'eth0',
    })
    expect(choosePlace('192.0.2.10', PLACES, 'lab')).toEqual({
      kind: 'found',
      namespace: 'lab',
      interface: 'eth1',
    })
  })

  it.each([
    ['203.0.113.9', undefined, /no address of this host or of a network namespace on it.*nobody else/],
    ['10.0.0.2', undefined, /several network namespaces have 10.0.0.2 \(pbx, lab\)/],
    ['10.0.0.2', 'gone', /no address of the namespace gone/],
    ['127.0.0.1', undefined, /over lo alone/],
  ])('is not %s', (address, namespace, says) => {
    expect(choosePlace(address, PLACES, namespace)).toEqual({
      kind: 'refused',
      says: expect.stringMatching(says),
    })
  })
})

describe('what it sends', () => {
  const order: SimulationOrder = {
    attack: 'sources',
    perSecond: 1_000,
    seconds: 10,
    target: { address: '10.0.0.2', port: 5_060 },
    seed: 1,
  }

  it.each(Object.keys(SIMULATED_ATTACKS) as (keyof typeof SIMULATED_ATTACKS)[])(
    'of %s is bounded as it was asked for',
    (attack) => {
      const traffic = trafficOf({ ...order, attack })
      if (traffic.kind === 'flood') expect(traffic.flood).toMatchObject({ perSecond: 1_000, seconds: 10 })
      else expect(traffic.guesses.sources.length / traffic.guesses.every).toBeCloseTo(1_000)
    },
  )

  it('comes from nobody else than the network of benchmarks', () => {
    const traffic = trafficOf({ ...order, attack: 'guessers', perSecond: 100 })
    const addresses = traffic.kind === 'guesses' ? traffic.guesses.sources.map(({ address }) => address) : []
    expect(addresses).toHaveLength(20)
    expect(addresses.every(isOfSimulation)).toBe(true)
    const others = ['198.17.255.255', '198.20.0.1', '10.0.0.2', '198.18.0.0/14', '0.0.0.0/0']
    expect(others.filter(isOfSimulation)).toEqual([])
    expect(['198.18.0.0/24', '198.19.0.10:5060', '198.18.0.1'].every(isOfSimulation)).toBe(true)
  })
})

describe('the daemon of the host', () => {
  it('protects one interface more, with all else of its configuration as it was', () => {
    const text = `# ours\nprotect:\n  interfaces: [eth0] # the uplink\n  ports: { udp: [5060] }\nmode: enforce\n`
    expect(withInterface(text, 'rfsim0')).toBe(
      `# ours\nprotect:\n  interfaces: [ eth0, rfsim0 ] # the uplink\n  ports: { udp: [ 5060 ] }\nmode: enforce\n`,
    )
    expect(() => withInterface('mode: enforce\n', 'rfsim0')).toThrow(/no protect.interfaces/)
  })

  it('is found by its socket', () => {
    const lines = [
      'u_str LISTEN 0 511 /run/other/control.sock 11 * 0 users:(("node",pid=11,fd=21))',
      'u_str LISTEN 0 511 /run/ringfence/.rf-g6v6tn/s 12 * 0 users:(("node",pid=12,fd=21))',
    ].join('\n')
    expect(listenerOn(lines, '/run/ringfence/control.sock')).toBe(12)
    expect(listenerOn(lines, '/run/other/control.sock')).toBe(11)
    expect(listenerOn(lines, '/run/none/control.sock')).toBe(0)
  })
})

describe('what becomes of the honest', () => {
  const answered = (phase: HonestTry['phase'], took: number): HonestTry => ({
    phase,
    took,
    outcome: 'answered',
  })
  const silent = (phase: HonestTry['phase']): HonestTry => ({ phase, took: null, outcome: 'silence' })
  const judge = (tries: readonly HonestTry[], honestBlocked: readonly string[] = []) => {
    const result: HonestResult = { asks: 'REGISTER', tries, newcomer: null }
    const phases = {
      before: honestFigures(result, 'before'),
      during: honestFigures(result, 'during'),
      after: honestFigures(result, 'after'),
    }
    return judgeSimulation({ honest: { asks: 'REGISTER', phases, newcomer: null }, honestBlocked })
  }

  it('is figures of each phase', () => {
    const tries = [answered('during', 10), answered('during', 5_000), silent('during'), answered('after', 7)]
    expect(honestFigures({ asks: 'REGISTER', tries, newcomer: null }, 'during')).toEqual({
      asked: 3,
      inTime: 1 / 3,
      refused: 0,
      p50: 10,
      p99: 5_000,
    })
  })

  it('decides whether the test is passed', () => {
    const good = [answered('before', 5), answered('during', 5), answered('after', 5)]
    expect(judge(good)).toEqual([])
    expect(judge([...good, silent('during')])).toEqual([
      '50.0 % of the honest registrations were served in time',
    ])
    expect(judge([...good, silent('after')])).toHaveLength(1)
    expect(judge(good, ['198.19.0.10 by flood: too many'])).toHaveLength(1)
    // A softswitch that answers nobody passes no test.
    expect(judge([silent('before'), silent('during')])).toEqual([
      expect.stringContaining('nothing can be said'),
    ])
  })
})
