import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ProtectedTraffic } from '../../rules/desired-state.ts'
import { desired, limit, limits, prefix, traffic } from '../rules/desired.ts'
import { BACKENDS, judged, loadRules, membersOf, programs } from '../stage/load-rules.ts'
import { INVITE, OK, OPTIONS, REGISTER, sip, times } from '../stage/sip-texts.ts'
import { type Place, Topology } from '../stage/topology.ts'

/** 30 at once against a burst of 10 and 5 a second: what a slow machine may let through. */
const LIMITED = expect.toSatisfy((amount: number) => amount >= 10 && amount <= 16, 'the burst')
/** So few responses that nobody asked for pass that a peer who was asked can be told from one who was not. */
const FEW_RESPONSES = limits({ rest: limit(5, 10) })

const HOST4 = '10.99.0.1'
const HOST6 = 'fd99::1'

/** A host whose softswitch listens on every address, with two interfaces to the outside. */
class HostStage {
  readonly topology = new Topology()
  outside!: Place
  host!: Place
  #next = 0

  async open(): Promise<void> {
    this.outside = await this.topology.place('outside')
    this.host = await this.topology.place('host')
    const { outside, host } = this
    await this.topology.cable([outside, 'eth0'], [host, 'eth0'])
    await this.#secondCable()
    await host.address('eth0', `${HOST4}/24`, `${HOST6}/64`)
    await outside.address('eth0', '10.99.0.9/24', 'fd99::9/64')
    await outside.routeBy(HOST4, HOST6)
    await host.routeBy('10.99.0.9', 'fd99::9')
    for (const any of ['0.0.0.0', '::']) await host.open(any)
  }

  async #secondCable(): Promise<void> {
    await this.topology.cable([this.outside, 'eth1'], [this.host, 'eth1'])
    await this.host.address('eth1', '10.98.0.1/24', 'fd98::1/64')
    await this.outside.address('eth1', '10.98.0.9/24', 'fd98::9/64')
  }

  /** Pulls the second cable out and puts in another one: the interfaces are new, their names are not. */
  async renewSecondCable(): Promise<void> {
    await this.host.ip('link', 'del', 'eth1')
    await this.#secondCable()
  }

  /** An address outside whose buckets are full. IPv6: in a /64 of its own. */
  async fresh(family: 4 | 6): Promise<string> {
    const number = 1 + this.#next++
    const address = family === 4 ? `198.51.100.${number}` : `fd05:0:0:${number.toString(16)}::1`
    await this.outside.address('eth0', `${address}/${family === 4 ? 32 : 128}`)
    return address
  }

  /** How many of these the softswitch gets, from a source whose buckets are full. */
  async arrived(to: string, texts = times(30, REGISTER), toPort = 5060): Promise<number> {
    const family = to.includes(':') ? 6 : 4
    const from = await this.fresh(family)
    const mark = family === 4 ? HOST4 : HOST6
    const markAt = family === 4 ? '0.0.0.0' : '::'
    const { outside: sender, host: at } = this
    return (await this.topology.arrivals({ sender, at, from, to, toPort, mark, markAt, texts })).length
  }
}

describe.each(BACKENDS)('a host by %s', (backend) => {
  const stage = new HostStage()
  const apply = (parts: Partial<ProtectedTraffic> = {}) =>
    loadRules(stage.host, backend, desired({ traffic: traffic(parts), limits: FEW_RESPONSES }))

  beforeAll(() => stage.open())
  afterAll(() => stage.topology.remove())

  test('every address of the host is judged, also that of another interface', async () => {
    await apply()
    await stage.host.address('eth0', '10.99.0.2/24', 'fd99::2/64')
    await stage.host.address('lo', '10.99.9.1/32', 'fd99:0:0:9::1/128')
    for (const to of [HOST4, '10.99.0.2', '10.99.9.1', HOST6, 'fd99::2', 'fd99:0:0:9::1']) {
      expect([to, await stage.arrived(to)]).toEqual([to, LIMITED])
    }
  })

  test.each([
    ['10.99.7.50', '32'],
    ['fd99:0:0:7::50', '128'],
  ])(
    'the floating address %s is judged from the moment it comes, until it goes',
    async (floating, length) => {
      await apply()
      const { host, topology } = stage
      await host.address('eth0', `${floating}/${length}`)
      expect(await stage.arrived(floating)).toEqual(LIMITED)
      await host.ip('addr', 'del', `${floating}/${length}`, 'dev', 'eth0')
      // Another host has taken the address over, and this one is on the way to it.
      const other = await topology.place('other')
      await topology.cable([other, 'eth0'], [host, 'eth2'])
      await host.forward()
      await host.address('eth2', '10.97.0.1/24', 'fd97::1/64')
      await other.address('eth0', '10.97.0.2/24', 'fd97::2/64', `${floating}/${length}`)
      await other.routeBy('10.97.0.1', 'fd97::1')
      await host.ip(
        'route',
        'replace',
        `${floating}/${length}`,
        'via',
        floating.includes(':') ? 'fd97::2' : '10.97.0.2',
      )
      await other.open(floating)
      const before = await judged(host, backend)
      const from = await stage.fresh(floating.includes(':') ? 6 : 4)
      const passing = await topology.arrivals({
        sender: stage.outside,
        at: other,
        from,
        to: floating,
        texts: times(30, REGISTER),
      })
      expect(passing).toHaveLength(30)
      expect(await judged(host, backend)).toBe(before)
      // And it comes back.
      await host.ip('route', 'del', `${floating}/${length}`)
      await host.ip('link', 'del', 'eth2')
      await host.address('eth0', `${floating}/${length}`)
      expect(await stage.arrived(floating)).toEqual(LIMITED)
    },
  )

  test('a whole prefix that a route makes local is judged', async () => {
    await apply()
    await stage.host.ip('route', 'replace', 'local', '10.99.8.0/24', 'dev', 'lo')
    expect(await stage.arrived('10.99.8.77')).toEqual(LIMITED)
  })

  describe.each([
    ['local', 'local'],
    ['listed', [prefix(HOST4), prefix(HOST6)]],
  ] as const)('with destinations that are %s', (_, destinations) => {
    test.each([
      ['all hosts', '224.0.0.1'],
      ['the broadcast of the subnet', '10.99.0.255'],
      ['everybody on the link', '255.255.255.255'],
      ['all nodes', 'ff02::1%eth0'],
      ['the anycast address of the subnet', 'fd99::'],
    ])('REGISTERs to %s, which the softswitch reads as well, are judged', async (_name, to) => {
      await apply({ destinations })
      const { host, outside } = stage
      await host.forward()
      const isV6 = to.includes(':')
      if (isV6) {
        const mac = (await host.run('cat', '/sys/class/net/eth0/address')).trim()
        await outside.ip('-6', 'neigh', 'replace', 'fd99::', 'lladdr', mac, 'dev', 'eth0')
      } else {
        await outside.ip('route', 'replace', '224.0.0.0/4', 'dev', 'eth0')
      }
      const before = await judged(host, backend)
      const arrived = await stage.topology.arrivals({
        sender: outside,
        at: host,
        from: isV6 ? 'fd99::9' : '10.99.0.9',
        to,
        mark: isV6 ? HOST6 : HOST4,
        markAt: isV6 ? '::' : '0.0.0.0',
        texts: times(30, REGISTER),
      })
      // Those of one family come from one address, and share its bucket.
      expect(arrived.length).toBeLessThanOrEqual(16)
      expect(await judged(host, backend)).toBe(before + 30)
    })
  })

  test('several interfaces are judged as one, one that is not listed is not judged', async () => {
    await apply()
    expect(await stage.arrived(HOST4)).toEqual(LIMITED)
    const byTheSecond = (from: string) =>
      stage.topology.arrivals({
        sender: stage.outside,
        at: stage.host,
        from,
        to: '10.98.0.1',
        markAt: '0.0.0.0',
        texts: times(30, REGISTER),
      })
    expect(await byTheSecond('10.98.0.9')).toHaveLength(30)
    await apply({ interfaces: ['eth0', 'eth1'] })
    expect((await byTheSecond('10.98.0.9')).length).toEqual(LIMITED)
    // One address, two interfaces: one bucket.
    await stage.outside.address('eth0', '10.98.0.77/32')
    await stage.outside.ip('route', 'replace', '10.98.0.1/32', 'via', HOST4)
    expect((await byTheSecond('10.98.0.77')).length).toEqual(LIMITED)
    await stage.outside.ip('route', 'del', '10.98.0.1/32')
    expect((await byTheSecond('10.98.0.77')).length).toBeLessThanOrEqual(6)
  })

  test('an interface that is deleted and made again is judged as before', async () => {
    await apply({ interfaces: ['eth0', 'eth1'] })
    await stage.renewSecondCable()
    const from = '10.98.0.78'
    await stage.outside.address('eth1', `${from}/24`)
    const { outside: sender, host: at } = stage
    const to = '10.98.0.1'
    const options = { sender, at, from, to, markAt: '0.0.0.0', texts: times(30, REGISTER) }
    expect((await stage.topology.arrivals(options)).length).toEqual(LIMITED)
  })

  test('an interface may be named before it is there', async () => {
    await apply({ interfaces: ['eth0', 'eth3'] })
    await stage.topology.cable([stage.outside, 'eth3'], [stage.host, 'eth3'])
    await stage.host.address('eth3', '10.96.0.1/24')
    await stage.outside.address('eth3', '10.96.0.9/24')
    const { outside: sender, host: at } = stage
    const options = {
      sender,
      at,
      from: '10.96.0.9',
      to: '10.96.0.1',
      markAt: '0.0.0.0',
      texts: times(30, REGISTER),
    }
    expect((await stage.topology.arrivals(options)).length).toEqual(LIMITED)
  })

  test('a macvlan (as keepalived makes with use_vmac) is an interface of its own, and has to be listed', async () => {
    await apply()
    const { host, outside } = stage
    await host.ip('link', 'add', 'vrrp.51', 'link', 'eth0', 'type', 'macvlan', 'mode', 'bridge')
    await host.ip('link', 'set', 'vrrp.51', 'up')
    await host.run('sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=1', 'net.ipv4.conf.all.rp_filter=0')
    await host.address('vrrp.51', '10.99.0.60/32')
    const before = await judged(host, backend)
    expect(await stage.arrived('10.99.0.60')).toBe(30)
    expect(await judged(host, backend)).toBe(before)
    await apply({ interfaces: ['eth0', 'vrrp.51'] })
    expect(await stage.arrived('10.99.0.60')).toEqual(LIMITED)
    await host.ip('link', 'del', 'vrrp.51')
    await host.run('sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=0')
    await outside.ip('neigh', 'flush', 'dev', 'eth0')
  })

  test('what the host says to itself passes', async () => {
    await apply({ interfaces: ['eth0', 'lo'] })
    const { host, topology } = stage
    const options = { sender: host, at: host, from: HOST4, port: 5099, to: HOST4, markAt: '0.0.0.0' }
    expect(await topology.arrivals({ ...options, texts: times(40, REGISTER) })).toHaveLength(40)
  })

  test.each([
    ['local', 'local'],
    ['its own addresses', [prefix(HOST4), prefix(HOST6)]],
  ] as const)(
    'with %s listed, responses of a peer pass once the softswitch sent it a request',
    async (_, destinations) => {
      await apply({ destinations })
      const { host, outside, topology } = stage
      for (const family of [4, 6] as const) {
        const [trunk, other] = [await stage.fresh(family), await stage.fresh(family)]
        for (const address of [trunk, other]) await outside.open(address)
        const at = family === 4 ? HOST4 : HOST6
        const any = family === 4 ? '0.0.0.0' : '::'
        const before = await judged(host, backend)
        // What is no request goes to whoever asks, under whatever address.
        const answers = [
          OK,
          `\x01\x01\0\0\x21\x12\xa4\x42${'x'.repeat(12)}`,
          '\r\n\r\n',
          sip('nothing at all'),
        ]
        const say = (to: string, texts: readonly string[]) =>
          topology.arrivals({ sender: host, at: outside, from: any, to, texts })
        expect(await say(other, answers)).toHaveLength(answers.length)
        expect(await say(trunk, [OPTIONS, INVITE])).toHaveLength(2)
        expect(await say(trunk, times(40, OK))).toHaveLength(40)
        expect(await judged(host, backend)).toBe(before)
        const members = await membersOf(host, `rf-asked${family}`)
        expect([members.includes(trunk), members.includes(other)]).toEqual([true, false])
        const respond = (from: string) =>
          topology.arrivals({ sender: outside, at: host, from, to: at, markAt: any, texts: times(40, OK) })
        expect(await respond(trunk)).toHaveLength(40)
        expect((await respond(other)).length).toBeLessThanOrEqual(16)
      }
    },
  )

  test('a port that is redirected to 5060 is judged where it is listed', async () => {
    const [program] = programs(backend)
    const nat = '*nat\n-A PREROUTING -p udp -m udp --dport 5070 -j REDIRECT --to-ports 5060\nCOMMIT\n'
    await stage.host.namespace.feed(nat, `${program}-restore`, '--noflush')
    await apply()
    expect(await stage.arrived(HOST4, times(30, REGISTER), 5070)).toBe(30)
    expect(await judged(stage.host, backend)).toBe(0)
    await apply({ udpPorts: [5060, 5070] })
    expect(await stage.arrived(HOST4, times(30, REGISTER), 5070)).toEqual(LIMITED)
    expect(await stage.arrived(HOST4)).toEqual(LIMITED)
  })
})
