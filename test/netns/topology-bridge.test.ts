import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ProtectedTraffic } from '../../rules/desired-state.ts'
import { desired, limit, limits, prefix, traffic } from '../rules/desired.ts'
import { BACKENDS, judged, loadRules, membersOf } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { INVITE, OK, OPTIONS, REGISTER, times } from '../stage/sip-texts.ts'
import { type Place, Topology } from '../stage/topology.ts'

/** 30 at once against a burst of 10 and 5 a second: what a slow machine may let through. */
const LIMITED = expect.toSatisfy((amount: number) => amount >= 10 && amount <= 16, 'the burst')
/** So few responses that nobody asked for pass that a peer who was asked can be told from one who was not. */
const FEW_RESPONSES = limits({ rest: limit(5, 10) })

const SWITCH4 = '10.99.0.2'
const SWITCH6 = 'fd99::2'
const BRIDGE4 = '10.99.0.3'

/**
 *   outside ── p0 ┐        ┌ p1 ── softswitch
 *                 └─ br0 ──┘
 */
class BridgeStage {
  readonly topology = new Topology()
  outside!: Place
  bridge!: Place
  softswitch!: Place
  #next = 10

  async open(): Promise<void> {
    const { topology } = this
    this.outside = await topology.place('outside')
    this.bridge = await topology.place('bridge')
    this.softswitch = await topology.place('switch')
    const { outside, bridge, softswitch } = this
    await topology.cable([outside, 'eth0'], [bridge, 'p0'])
    await topology.cable([softswitch, 'eth0'], [bridge, 'p1'])
    await bridge.ip('link', 'add', 'br0', 'type', 'bridge')
    for (const port of ['p0', 'p1']) await bridge.ip('link', 'set', port, 'master', 'br0')
    await bridge.ip('link', 'set', 'br0', 'up')
    await bridge.address('br0', `${BRIDGE4}/16`)
    await outside.address('eth0', '10.99.0.9/16', 'fd99::9/64')
    await softswitch.address('eth0', `${SWITCH4}/16`, `${SWITCH6}/64`)
    await softswitch.ip('-6', 'route', 'add', 'fd05::/32', 'dev', 'eth0')
    // The way back to the softswitch: in IPv4 the bridge's own address makes it.
    await bridge.ip('-6', 'route', 'add', SWITCH6, 'dev', 'br0')
    await softswitch.open(SWITCH4)
    await softswitch.open(SWITCH6)
    await bridge.open(BRIDGE4)
    await this.call(true)
  }

  /** Whether bridged packets are shown to iptables: `net.bridge.bridge-nf-call-iptables`. */
  async call(iptables: boolean): Promise<void> {
    const value = iptables ? 1 : 0
    await this.bridge.run(
      'sysctl',
      '-qw',
      `net.bridge.bridge-nf-call-iptables=${value}`,
      `net.bridge.bridge-nf-call-ip6tables=${value}`,
    )
  }

  /** An address outside whose buckets are full. IPv6: in a /64 of its own. */
  async fresh(family: 4 | 6): Promise<string> {
    const number = this.#next++
    const address = family === 4 ? `10.99.1.${number}` : `fd05:0:0:${number.toString(16)}::1`
    await this.outside.address('eth0', `${address}/${family === 4 ? 16 : 128}`)
    return address
  }
}

const BRIDGED = traffic({ interfaces: ['br0'], destinations: [prefix(SWITCH4), prefix(SWITCH6)] })

describe.each(BACKENDS)('a bridge by %s', (backend) => {
  const stage = new BridgeStage()
  const { topology } = stage
  const apply = (parts: Partial<ProtectedTraffic> = {}) =>
    loadRules(stage.bridge, backend, desired({ traffic: { ...BRIDGED, ...parts }, limits: FEW_RESPONSES }))
  const incoming = (from: string, texts: readonly string[], to = from.includes(':') ? SWITCH6 : SWITCH4) =>
    topology.arrivals({ sender: stage.outside, at: stage.softswitch, from, to, texts })

  beforeAll(() => stage.open())
  afterAll(() => topology.remove())

  describe.each([4, 6] as const)('IPv%i', (family) => {
    test('REGISTERs that it passes on to the softswitch are limited', async () => {
      await apply()
      expect((await incoming(await stage.fresh(family), times(30, REGISTER))).length).toEqual(LIMITED)
    })

    test('the softswitch reaches the port 5060 of phones, and is answered by whom it asked', async () => {
      await apply()
      const [trunk, other] = [await stage.fresh(family), await stage.fresh(family)]
      for (const address of [trunk, other]) await stage.outside.open(address)
      const before = await judged(stage.bridge, backend)
      const from = family === 4 ? SWITCH4 : SWITCH6
      const say = (to: string, texts: readonly string[]) =>
        topology.arrivals({ sender: stage.softswitch, at: stage.outside, from, to, texts })
      expect(await say(trunk, times(40, INVITE))).toHaveLength(40)
      expect(await say(trunk, times(40, REGISTER))).toHaveLength(40)
      expect(await say(other, times(40, OK))).toHaveLength(40)
      expect(await judged(stage.bridge, backend)).toBe(before)
      const members = await membersOf(stage.bridge, `rf-asked${family}`)
      expect([members.includes(trunk), members.includes(other)]).toEqual([true, false])
      expect(await incoming(trunk, times(40, OK))).toHaveLength(40)
      expect((await incoming(other, times(40, OK))).length).toBeLessThanOrEqual(16)
    })

    test('where no route leads back to the softswitch over the bridge, nobody is learnt', async () => {
      await apply()
      const from = family === 4 ? SWITCH4 : SWITCH6
      // In IPv4 an address of the bridge leads there too.
      const [take, give] =
        family === 4
          ? (['route add unreachable', 'route del unreachable'] as const)
          : (['route del', 'route add'] as const)
      const device = family === 4 ? [] : ['dev', 'br0']
      await stage.bridge.ip(`-${family}`, ...take.split(' '), from, ...device)
      const trunk = await stage.fresh(family)
      await stage.outside.open(trunk)
      const options = { sender: stage.softswitch, at: stage.outside, from, to: trunk, texts: [INVITE] }
      expect(await topology.arrivals(options)).toHaveLength(1)
      expect(await membersOf(stage.bridge, `rf-asked${family}`)).not.toContain(trunk)
      await stage.bridge.ip(`-${family}`, ...give.split(' '), from, ...device)
      expect(await topology.arrivals(options)).toHaveLength(1)
      expect(await membersOf(stage.bridge, `rf-asked${family}`)).toContain(trunk)
    })

    test('without bridge-nf-call-iptables nothing is judged, and the counters stand still', async () => {
      await apply()
      await stage.call(false)
      const before = await judged(stage.bridge, backend)
      expect(await incoming(await stage.fresh(family), times(30, REGISTER))).toHaveLength(30)
      expect(await judged(stage.bridge, backend)).toBe(before)
      await stage.call(true)
      expect((await incoming(await stage.fresh(family), times(30, REGISTER))).length).toEqual(LIMITED)
      expect(await judged(stage.bridge, backend)).toBe(before + 30)
    })

    test.each([
      ['a port of the bridge is listed instead of the bridge', { interfaces: ['p0'] }],
      ['the destinations are local', { destinations: 'local' }],
    ] as const)('where %s, nothing is judged', async (_name, parts) => {
      await apply(parts)
      expect(await incoming(await stage.fresh(family), times(30, REGISTER))).toHaveLength(30)
      expect(await judged(stage.bridge, backend)).toBe(0)
    })
  })

  test('a softswitch on the bridge itself is judged once for each packet, with the setting and without', async () => {
    await apply({ destinations: 'local' })
    for (const isOn of [true, false]) {
      await stage.call(isOn)
      const before = await judged(stage.bridge, backend)
      const options = { sender: stage.outside, at: stage.bridge, to: BRIDGE4 }
      const from = await stage.fresh(4)
      expect(await topology.arrivals({ ...options, from, texts: times(10, REGISTER) })).toHaveLength(10)
      expect(await judged(stage.bridge, backend)).toBe(before + 10)
      expect((await topology.arrivals({ ...options, from, texts: times(30, OPTIONS) })).length).toBe(30)
    }
    await stage.call(true)
  })

  test('a capture on the bridge, which makes it promiscuous, has nothing judged twice', async () => {
    await apply()
    await stage.bridge.ip('link', 'set', 'br0', 'promisc', 'on')
    const before = await judged(stage.bridge, backend)
    expect(await incoming(await stage.fresh(4), times(10, REGISTER))).toHaveLength(10)
    expect(await incoming(await stage.fresh(6), times(10, REGISTER))).toHaveLength(10)
    expect(await judged(stage.bridge, backend)).toBe(before + 20)
    await stage.bridge.ip('link', 'set', 'br0', 'promisc', 'off')
  })

  test.each(['10.99.255.255', '255.255.255.255', '224.0.0.1', 'ff02::1%eth0'])(
    'what goes to everybody (%s) goes to the softswitch too, and is judged',
    async (to) => {
      await apply()
      const { outside, bridge } = stage
      if (to === '224.0.0.1') await outside.ip('route', 'replace', to, 'dev', 'eth0')
      const before = await judged(bridge, backend)
      await outside.send({ from: to.includes(':') ? 'fd99::9' : '10.99.0.9', to, texts: times(30, REGISTER) })
      await eventually(
        async () => (await judged(bridge, backend)) === before + 30,
        5_000,
        'that all are judged',
      )
    },
  )

  test('frames with a VLAN tag are judged with bridge-nf-filter-vlan-tagged alone', async () => {
    await apply()
    const send = async (source: number) => {
      const before = await judged(stage.bridge, backend)
      const mac = (await stage.softswitch.run('cat', '/sys/class/net/eth0/address')).trim()
      const passed = async () =>
        Number(await stage.softswitch.run('cat', '/sys/class/net/eth0/statistics/rx_packets'))
      const passedBefore = await passed()
      const frame = taggedRegister(mac, source)
      const config = `{ ${[...frame].map((byte) => `0x${byte.toString(16)}`).join(', ')} }`
      const arguments_ = ['--dev', 'eth0', '--conf', '-', '-n', '30', '-P', '1', '-q']
      await stage.outside.namespace.feed(config, 'trafgen', ...arguments_)
      await incoming('10.99.0.9', [OPTIONS])
      // The last three are ours: an OPTIONS, its mark, and now and then an ARP.
      return {
        judged: (await judged(stage.bridge, backend)) - before - 1,
        passed: (await passed()) - passedBefore,
      }
    }
    const unseen = await send(31)
    expect(unseen.judged).toBe(0)
    expect(unseen.passed).toBeGreaterThanOrEqual(30)
    await stage.bridge.run('sysctl', '-qw', 'net.bridge.bridge-nf-filter-vlan-tagged=1')
    const seen = await send(32)
    expect(seen.judged).toBe(30)
    expect(seen.passed).toBeGreaterThanOrEqual(10)
    expect(seen.passed).toBeLessThan(30)
    await stage.bridge.run('sysctl', '-qw', 'net.bridge.bridge-nf-filter-vlan-tagged=0')
  })
})

/** An Ethernet frame of VLAN 7 that holds a REGISTER from 10.99.2.x, port 5060, to the softswitch. */
function taggedRegister(mac: string, source: number): Buffer {
  const ethernet = Buffer.from(`${mac.replaceAll(':', '')}02000000000181000007${'0800'}`, 'hex')
  const payload = Buffer.from(REGISTER, 'latin1')
  const udp = Buffer.alloc(8)
  udp.writeUInt16BE(5060, 0)
  udp.writeUInt16BE(5060, 2)
  udp.writeUInt16BE(8 + payload.length, 4)
  const ip = Buffer.from(
    `450000000000000040110000${'0a6302'}${source.toString(16).padStart(2, '0')}0a630002`,
    'hex',
  )
  ip.writeUInt16BE(28 + payload.length, 2)
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += ip.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  ip.writeUInt16BE(~sum & 0xffff, 10)
  return Buffer.concat([ethernet, ip, udp, payload])
}
