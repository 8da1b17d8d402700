import { Buffer } from 'node:buffer'
import { type Address, familyOf, type Source, splitPrefix } from '../../registrar/net/address.ts'
import type { ProtectedTraffic } from '../desired-state.ts'
import type { ImaginaryPacket } from './packet.ts'

/**
 * A packet from a source to what is protected: it arrives on the first protected interface for the first protected
 * address and port, and is a UDP REGISTER, where nothing else is said. Of a host that protects whatever addresses it
 * has, the destination is an address of the documentation. Throws a RangeError where nothing is protected in the
 * source's family or protocol.
 */
export function imaginePacket(
  traffic: ProtectedTraffic,
  source: Source,
  parts: Partial<ImaginaryPacket> & { readonly method?: string } = {},
): ImaginaryPacket {
  const { method = 'REGISTER', ...given } = parts
  const protocol = given.protocol ?? 'udp'
  const port = given.destinationPort ?? (protocol === 'udp' ? traffic.udpPorts : traffic.tcpPorts)[0]
  const destination = given.destination ?? protectedAddress(traffic, source.address)
  const name = given.interface ?? traffic.interfaces[0]?.replace(/\+$/, '0')
  if (port === undefined || destination === undefined || name === undefined) {
    throw new RangeError(`nothing is protected that ${source.address} could send ${protocol} to`)
  }
  return {
    interface: name,
    source: source.address,
    sourcePort: source.port,
    destination,
    destinationPort: port,
    protocol,
    syn: protocol === 'tcp',
    payload: protocol === 'tcp' ? Buffer.alloc(0) : requestOf(method, destination),
    headerOptions: 0,
    ...given,
  }
}

/** A request of a method, long enough not to be taken for a keepalive; `response` makes a response. */
function requestOf(method: string, destination: Address): Buffer {
  const host = destination.includes(':') ? `[${destination}]` : destination
  const first = method === 'response' ? 'SIP/2.0 200 OK' : `${method} sip:${host} SIP/2.0`
  return Buffer.from(`${first}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nCall-ID: 1\r\n\r\n`)
}

function protectedAddress({ destinations }: ProtectedTraffic, source: Address): Address | undefined {
  const family = familyOf(source)
  if (destinations === 'local') return (family === 4 ? '192.0.2.1' : '2001:db8::1') as Address
  const prefix = destinations.find((one) => familyOf(one) === family)
  return prefix && splitPrefix(prefix).address
}
