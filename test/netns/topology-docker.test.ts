import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ProtectedTraffic } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { desired, limit, limits, prefix, traffic } from '../rules/desired.ts'
import { foreignRules } from '../stage/firewalls.ts'
import { BACKENDS, judged, loadRules, membersOf } from '../stage/load-rules.ts'
import { INVITE, OK, REGISTER, times } from '../stage/sip-texts.ts'
import { type Place, Topology } from '../stage/topology.ts'

/** 30 at once against a burst of 10 and 5 a second: what a slow machine may let through. */
const LIMITED = expect.toSatisfy((amount: number) => amount >= 10 && amount <= 16, 'the burst')
const FEW_RESPONSES = limits({ rest: limit(5, 10) })

const HOST = '203.0.113.1'
const CONTAINER = '172.17.0.2'

/** What Docker 28 puts there for a container that publishes 5060/udp, as `iptables-save` prints it. */
const DOCKER_RAW = `-A PREROUTING -d ${CONTAINER}/32 ! -i docker0 -j DROP`
const DOCKER_NAT = [
  '*nat',
  ':DOCKER - [0:0]',
  '-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER',
  '-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER',
  '-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
  `-A DOCKER ! -i docker0 -p udp -m udp --dport 5060 -j DNAT --to-destination ${CONTAINER}:5060`,
  `-A DOCKER ! -i docker0 -p udp -m udp --dport 5999 -j DNAT --to-destination ${CONTAINER}:5999`,
  'COMMIT',
]

/**
 *   outside ── eth0 host docker0 ── container (172.17.0.2)
 */
class DockerStage {
  readonly topology = new Topology()
  outside!: Place
  host!: Place
  container!: Place
  #next = 10

  async open(): Promise<void> {
    const { topology } = this
    this.outside = await topology.place('outside')
    this.host = await topology.place('host')
    this.container = await topology.place('container')
    const { outside, host, container } = this
    await topology.cable([outside, 'eth0'], [host, 'eth0'])
    await topology.cable([container, 'eth0'], [host, 'veth1'])
    await host.ip('link', 'add', 'docker0', 'type', 'bridge')
    await host.ip('link', 'set', 'veth1', 'master', 'docker0')
    await host.ip('link', 'set', 'docker0', 'up')
    await host.forward()
    await host.address('eth0', `${HOST}/24`)
    await host.address('docker0', '172.17.0.1/16')
    await outside.address('eth0', '203.0.113.254/24')
    await outside.routeBy(HOST)
    await host.routeBy('203.0.113.254')
    await container.address('eth0', `${CONTAINER}/16`)
    await container.routeBy('172.17.0.1')
    await container.open(CONTAINER)
  }

  async fresh(): Promise<string> {
    const address = `198.51.100.${this.#next++}`
    await this.outside.address('eth0', `${address}/32`)
    return address
  }

  /** How many of these reach the container; where `mark` is given, by that address. */
  async arrived(from: string, to: string, texts: readonly string[]): Promise<number> {
    const { outside: sender, container: at } = this
    const options = { sender, at, from, to, mark: HOST, markAt: CONTAINER, texts }
    return (await this.topology.arrivals(options)).length
  }
}

describe.each(BACKENDS)('beside the rules of Docker, by %s', (backend) => {
  const stage = new DockerStage()
  const apply = (parts: Partial<ProtectedTraffic> = {}) =>
    loadRules(stage.host, backend, desired({ traffic: traffic(parts), limits: FEW_RESPONSES }))
  const rules = async () => {
    const saved = await stage.host.run(`${backend}-save`, '-t', 'raw')
    return saved.split('\n').filter((line) => line.startsWith('-A PREROUTING'))
  }
  const clear = (rule: string) => stage.host.run(backend, '-t', 'raw', ...rule.replace('-A', '-D').split(' '))

  beforeAll(async () => {
    await stage.open()
    await stage.host.namespace.feed(`${DOCKER_NAT.join('\n')}\n`, `${backend}-restore`, '--noflush')
  })
  afterAll(() => stage.topology.remove())

  test.each(['before', 'after'] as const)('with its rule %s ours, both hold', async (where) => {
    const { host } = stage
    if (where === 'before') await host.run(backend, '-t', 'raw', ...DOCKER_RAW.split(' '))
    await apply({ destinations: [prefix(HOST), prefix(CONTAINER)] })
    if (where === 'after') await host.run(backend, '-t', 'raw', ...DOCKER_RAW.split(' '))
    // Ours goes to the front; where Docker starts later it goes in behind.
    expect(await rules()).toEqual(['-A PREROUTING -j RINGFENCE', DOCKER_RAW])
    expect(await stage.arrived(await stage.fresh(), HOST, times(30, REGISTER))).toEqual(LIMITED)
    // Straight to the container goes nobody: what Ringfence lets pass, Docker still drops.
    const sneak = await stage.fresh()
    const before = await judged(host, backend)
    expect(await stage.arrived(sneak, CONTAINER, times(5, REGISTER))).toBe(0)
    expect(await judged(host, backend)).toBe(before + 5)
    await clear(DOCKER_RAW)
    expect(await stage.arrived(sneak, CONTAINER, times(5, REGISTER))).toBe(5)
    await clear('-A PREROUTING -j RINGFENCE')
  })

  test('where the rule of Docker comes first, both hold as well', async () => {
    const { host } = stage
    await apply({ destinations: [prefix(HOST), prefix(CONTAINER)] })
    await host.run(backend, '-t', 'raw', '-I', ...DOCKER_RAW.split(' ').slice(1))
    expect(await rules()).toEqual([DOCKER_RAW, '-A PREROUTING -j RINGFENCE'])
    expect(await stage.arrived(await stage.fresh(), HOST, times(30, REGISTER))).toEqual(LIMITED)
    const before = await judged(host, backend)
    expect(await stage.arrived(await stage.fresh(), CONTAINER, times(5, REGISTER))).toBe(0)
    expect(await judged(host, backend)).toBe(before)
    await clear(DOCKER_RAW)
  })

  test('an ACCEPT of somebody else takes packets away before ours, and nothing behind it', async () => {
    await apply({ destinations: [prefix(HOST), prefix(CONTAINER)] })
    const accept = '-A PREROUTING -s 198.51.100.0/24 -i eth0 -p udp -m udp --dport 5060 -j ACCEPT'
    await stage.host.run(backend, '-t', 'raw', ...accept.split(' '))
    expect(await stage.arrived(await stage.fresh(), HOST, times(30, REGISTER))).toEqual(LIMITED)
    await clear(accept)
    await stage.host.run(backend, '-t', 'raw', '-I', ...accept.split(' ').slice(1))
    const before = await judged(stage.host, backend)
    expect(await stage.arrived(await stage.fresh(), HOST, times(30, REGISTER))).toBe(30)
    expect(await judged(stage.host, backend)).toBe(before)
    await clear(accept)
  })

  test.each([
    ['local', 'local', false],
    ['the addresses of the host and the container', [prefix(HOST), prefix(CONTAINER)], true],
  ] as const)(
    'with %s, responses of a trunk to a softswitch in the container',
    async (_name, destinations, isLearnt) => {
      await apply({ destinations })
      const { container, outside, topology } = stage
      expect(await stage.arrived(await stage.fresh(), HOST, times(30, REGISTER))).toEqual(LIMITED)
      const trunk = await stage.fresh()
      await outside.open(trunk)
      const options = { sender: container, at: outside, from: CONTAINER, to: trunk }
      const [request] = await topology.arrivals({ ...options, texts: [INVITE] })
      expect(request).toMatchObject({ from: HOST })
      expect((await membersOf(stage.host, 'rf-asked4')).includes(trunk)).toBe(isLearnt)
      const responses = await stage.arrived(trunk, HOST, times(40, OK))
      if (isLearnt) expect(responses).toBe(40)
      else expect(responses).toBeLessThanOrEqual(16)
    },
  )

  test('the published port of the container reaches phones on their port 5060', async () => {
    await apply({ destinations: [prefix(HOST), prefix(CONTAINER)] })
    const phone = await stage.fresh()
    await stage.outside.open(phone)
    const { container: sender, outside: at, topology } = stage
    const before = await judged(stage.host, backend)
    for (const text of [OK, INVITE, REGISTER]) {
      const options = { sender, at, from: CONTAINER, to: phone, texts: times(40, text) }
      expect(await topology.arrivals(options)).toHaveLength(40)
    }
    expect(await judged(stage.host, backend)).toBe(before)
  })

  test('the engine leaves a Docker that comes later alone, and goes before an ACCEPT without touching it', async () => {
    const { host } = stage
    const engine = new RulesEngine({
      kernel: new IptablesKernel({ iptables: backend, netns: host.name }),
      clock: Date.now,
    })
    const check = async () => {
      const found = await engine.check()
      await engine.settled()
      return found
    }
    try {
      engine.setDesired(desired({ traffic: traffic({ destinations: [prefix(HOST), prefix(CONTAINER)] }) }))
      await engine.settled()
      await host.run(backend, '-t', 'raw', ...DOCKER_RAW.split(' '))
      expect(await check()).toEqual([])
      const accept = '-A PREROUTING -s 198.51.100.0/24 -i eth0 -p udp -m udp --dport 5060 -j ACCEPT'
      await host.run(backend, '-t', 'raw', '-I', ...accept.split(' ').slice(1))
      const theirs = await foreignRules(host)
      expect(await stage.arrived(await stage.fresh(), HOST, times(30, REGISTER))).toBe(30)
      expect(await check()).toEqual([expect.stringContaining(accept)])
      expect(await rules()).toEqual(['-A PREROUTING -j RINGFENCE', accept, DOCKER_RAW])
      expect(await foreignRules(host)).toBe(theirs)
      expect(await stage.arrived(await stage.fresh(), HOST, times(30, REGISTER))).toEqual(LIMITED)
      expect(await check()).toEqual([])
      await engine.off()
      expect(await rules()).toEqual([accept, DOCKER_RAW])
      expect(await foreignRules(host)).toBe(theirs)
    } finally {
      await engine.close()
    }
  })
})
