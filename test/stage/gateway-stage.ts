import { type Place, Topology } from './topology.ts'

export const PUBLIC4 = '203.0.113.1'
export const PUBLIC6 = 'fd03::1'
export const SWITCH4 = '10.1.0.2'
export const SWITCH6 = 'fd01::2'
export const LAN4 = '10.2.0.7'
export const LAN6 = 'fd02::7'

/**
 * A gateway between phones and a softswitch, in both families.
 *
 *   outside ── eth0 gateway eth1 ── softswitch (10.1.0.2, fd01::2)
 *   198.51.100.0/24         eth2 ── a phone in the office (10.2.0.7, fd02::7)
 *   fd05::/32
 */
export class GatewayStage {
  readonly topology = new Topology()
  outside!: Place
  gateway!: Place
  softswitch!: Place
  office!: Place
  #next4 = 10
  #next6 = 10

  async open(): Promise<void> {
    const { topology } = this
    this.outside = await topology.place('outside')
    this.gateway = await topology.place('gateway')
    this.softswitch = await topology.place('switch')
    this.office = await topology.place('office')
    const { outside, gateway, softswitch, office } = this
    await topology.cable([outside, 'eth0'], [gateway, 'eth0'])
    await topology.cable([softswitch, 'eth0'], [gateway, 'eth1'])
    await topology.cable([office, 'eth0'], [gateway, 'eth2'])
    await gateway.forward()
    await gateway.address('eth0', `${PUBLIC4}/24`, `${PUBLIC6}/64`)
    await gateway.address('eth1', '10.1.0.1/24', 'fd01::1/64')
    await gateway.address('eth2', '10.2.0.1/24', 'fd02::1/64')
    await outside.address('eth0', '203.0.113.254/24', 'fd03::fe/64')
    await outside.routeBy(PUBLIC4, PUBLIC6)
    await softswitch.address('eth0', `${SWITCH4}/24`, `${SWITCH6}/64`)
    await softswitch.routeBy('10.1.0.1', 'fd01::1')
    await office.address('eth0', `${LAN4}/24`, `${LAN6}/64`)
    await office.routeBy('10.2.0.1', 'fd02::1')
    await gateway.routeBy('203.0.113.254', 'fd03::fe')
    for (const address of [SWITCH4, SWITCH6]) await softswitch.open(address)
  }

  /** An address outside whose buckets are full. IPv6: in a /64 of its own. */
  async fresh(family: 4 | 6): Promise<string> {
    const address = family === 4 ? `198.51.100.${this.#next4++}` : `fd05:0:${(this.#next6++).toString(16)}::1`
    await this.outside.address('eth0', `${address}/${family === 4 ? 32 : 128}`)
    return address
  }
}
