import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { captureDevices, chooseInterfaces } from '../../agent/discover/interfaces.ts'
import { parseLinkFacts } from '../../agent/discover/link-facts.ts'

// What `ip` of this machine says of interfaces that the kernel really made.

const isRoot = process.getuid?.() === 0
const mustRun = process.env.RINGFENCE_REQUIRE_ALL === '1'

const host = `rf-dh-${process.pid}`
const world = `rf-dw-${process.pid}`

async function ip(...args: string[]): Promise<string> {
  const { stdout } = await execa('ip', args, { timeout: 10_000, env: { LC_ALL: 'C' } })
  return stdout
}

const inHost = (...args: string[]) => ip('-n', host, ...args)

/** A cable from the host's namespace to the world's. */
async function plug(name: string): Promise<void> {
  await inHost('link', 'add', name, 'type', 'veth', 'peer', 'name', name, 'netns', world)
  await ip('-n', world, 'link', 'set', name, 'up')
  await inHost('link', 'set', name, 'up')
}

async function discover() {
  const [links, addresses, routes4, routes6] = await Promise.all([
    inHost('-j', '-d', 'link', 'show'),
    inHost('-j', 'addr', 'show'),
    inHost('-j', '-4', 'route', 'show', 'default'),
    inHost('-j', '-6', 'route', 'show', 'default'),
  ])
  const facts = parseLinkFacts({ links, addresses, routes: [routes4, routes6], pppoe: '' })
  const choice = chooseInterfaces(facts)
  const taken = choice.interfaces.map(({ name }) => name)
  return {
    taken: taken.sort(),
    capture: [...captureDevices(taken, facts)].sort(),
    whyNot: Object.fromEntries(choice.skipped.map(({ name, why }) => [name, why])),
  }
}

/** Whether this kernel can make such interfaces: not every one is built with bonds, VLANs or WireGuard. */
async function kernelHas(kind: string): Promise<boolean> {
  const probe = `rf-dp-${process.pid}`
  await ip('netns', 'add', probe)
  try {
    await ip('-n', probe, 'link', 'add', 'base0', 'type', 'bridge')
    const on = kind === 'vlan' ? ['link', 'base0'] : []
    const settings = kind === 'vlan' ? ['id', '7'] : []
    await ip('-n', probe, 'link', 'add', ...on, 'name', 'probe0', 'type', kind, ...settings)
    return true
  } catch {
    return false
  } finally {
    await ip('netns', 'delete', probe)
  }
}

const has = isRoot
  ? { bond: await kernelHas('bond'), vlan: await kernelHas('vlan'), wireguard: await kernelHas('wireguard') }
  : { bond: false, vlan: false, wireguard: false }

if (!isRoot && mustRun) throw new Error('These tests need root.')

describe.skipIf(!isRoot)('interfaces that the kernel made', () => {
  beforeEach(async () => {
    await ip('netns', 'add', host)
    await ip('netns', 'add', world)
  })
  afterEach(async () => {
    await ip('netns', 'delete', host)
    await ip('netns', 'delete', world)
  })

  it('takes a bridge for its member, and no bridge of containers', async () => {
    await plug('eth0')
    await inHost('link', 'add', 'br0', 'type', 'bridge')
    await inHost('link', 'set', 'eth0', 'master', 'br0')
    await inHost('link', 'set', 'br0', 'up')
    await inHost('addr', 'add', '192.0.2.2/24', 'dev', 'br0')
    await inHost('route', 'add', 'default', 'via', '192.0.2.1')
    await inHost('link', 'add', 'docker0', 'type', 'bridge')
    await inHost('link', 'set', 'docker0', 'up')
    await inHost('addr', 'add', '172.17.0.1/16', 'dev', 'docker0')
    expect(await discover()).toEqual({
      taken: ['br0'],
      capture: ['br0'],
      whyNot: {
        lo: 'the host talking to itself',
        eth0: 'part of br0, where its packets arrive',
        docker0: 'a bridge with no way outside (containers or virtual machines)',
      },
    })
  })

  it('takes both networks of a container, a macvlan once, and a tunnel only with an address', async () => {
    await plug('eth0')
    await plug('eth1')
    await inHost('addr', 'add', '192.0.2.2/24', 'dev', 'eth0')
    await inHost('-6', 'addr', 'add', '2001:db8::2/64', 'dev', 'eth1', 'nodad')
    await inHost('-6', 'route', 'add', 'default', 'via', '2001:db8::1')
    await inHost('link', 'add', 'mv0', 'link', 'eth0', 'type', 'macvlan', 'mode', 'bridge')
    await inHost('addr', 'add', '192.0.2.77/24', 'dev', 'mv0')
    await inHost('link', 'set', 'mv0', 'up')
    for (const tunnel of ['tun0', 'tun1']) {
      await inHost('tuntap', 'add', tunnel, 'mode', 'tun')
      await inHost('link', 'set', tunnel, 'up')
    }
    await inHost('addr', 'add', '10.8.0.1/24', 'dev', 'tun0')
    expect(await discover()).toEqual({
      taken: ['eth0', 'eth1', 'mv0', 'tun0'],
      capture: ['eth0', 'eth1', 'tun0'],
      whyNot: { lo: 'the host talking to itself', tun1: 'no address that others can reach' },
    })
  })

  it.skipIf(!has.bond || !has.vlan)(
    'takes a bond and its VLAN, and listens once (bonding, 8021q)',
    async () => {
      await plug('eth0')
      await inHost('link', 'add', 'bond0', 'type', 'bond', 'mode', 'active-backup')
      await inHost('link', 'set', 'eth0', 'down')
      await inHost('link', 'set', 'eth0', 'master', 'bond0')
      await inHost('link', 'set', 'bond0', 'up')
      await inHost('addr', 'add', '192.0.2.2/24', 'dev', 'bond0')
      await inHost('link', 'add', 'link', 'bond0', 'name', 'bond0.20', 'type', 'vlan', 'id', '20')
      await inHost('link', 'set', 'bond0.20', 'up')
      await inHost('addr', 'add', '10.20.0.2/24', 'dev', 'bond0.20')
      expect(await discover()).toEqual({
        taken: ['bond0', 'bond0.20'],
        capture: ['bond0'],
        whyNot: { lo: 'the host talking to itself', eth0: 'part of bond0, where its packets arrive' },
      })
    },
  )

  it.skipIf(!has.wireguard)('takes WireGuard with an address (wireguard)', async () => {
    await inHost('link', 'add', 'wg0', 'type', 'wireguard')
    await inHost('link', 'set', 'wg0', 'up')
    await inHost('addr', 'add', '10.8.0.1/24', 'dev', 'wg0')
    expect(await discover()).toEqual({
      taken: ['wg0'],
      capture: ['wg0'],
      whyNot: { lo: 'the host talking to itself' },
    })
  })
})
