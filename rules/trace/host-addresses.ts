import { type Address, bytesOfAddress } from '../../registrar/net/address.ts'
import type { ImaginaryPacket } from './packet.ts'
import type { DestinationType } from './parse-rule.ts'

/** What a host hears, besides multicast. */
export interface HostAddresses {
  readonly own: ReadonlySet<Address>
  /** Broadcast addresses of its subnets, and in IPv6 the anycast addresses of those that it routes. */
  readonly shared?: ReadonlySet<Address>
  /**
   * Whether the route back to a source leads to an interface. Routes are no part of a desired state: without this, a
   * packet comes in where its source is at home.
   */
  readonly comesBack?: (source: Address, name: string) => boolean
}

/** How a host takes what is sent to an address, as `-m addrtype` tells. Where no addresses are given all are its own. */
export function destinationType(
  address: Address,
  host: HostAddresses | undefined,
): DestinationType | undefined {
  const bytes = bytesOfAddress(address)
  const isV4 = bytes.length === 4
  if (isV4 ? bytes[0]! >> 4 === 0xe : bytes[0] === 0xff) return 'MULTICAST'
  if (address === '255.255.255.255') return 'BROADCAST'
  if (host === undefined || host.own.has(address)) return 'LOCAL'
  if (host.shared?.has(address) !== true) return undefined
  return isV4 ? 'BROADCAST' : 'ANYCAST'
}

/** What `-m rpfilter` asks of a packet. One that has an own address for its source never comes from outside. */
export function comesBack(
  { source, interface: name }: ImaginaryPacket,
  host: HostAddresses | undefined,
): boolean {
  if (host === undefined) return true
  return !host.own.has(source) && (host.comesBack?.(source, name) ?? true)
}
