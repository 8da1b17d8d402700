import { networkInterfaces } from 'node:os'
import { type Address, type Prefix, parseAddress, prefixContains } from '../../registrar/net/address.ts'
import type { Milliseconds } from '../../registrar/net/time.ts'

const REFRESH: Milliseconds = 2_000

/**
 * Which addresses are protected: a fixed list (a gateway), or whatever this host has at the moment, which is read
 * again every two seconds because addresses come and go (VRRP, DHCP).
 */
export function protectedAddresses(destinations: 'local' | readonly Prefix[]): (address: Address) => boolean {
  if (destinations !== 'local') {
    return (address) => destinations.some((prefix) => prefixContains(prefix, address))
  }
  const addresses = localAddresses()
  return (address) => addresses().has(address)
}

/** This host's addresses, of the last two seconds. */
export function localAddresses(): () => ReadonlySet<Address> {
  let known: ReadonlySet<Address> = new Set()
  let readAt: Milliseconds = Number.NEGATIVE_INFINITY
  return () => {
    const now = performance.now()
    if (now - readAt > REFRESH) {
      known = readLocalAddresses()
      readAt = now
    }
    return known
  }
}

function readLocalAddresses(): Set<Address> {
  const addresses = new Set<Address>()
  for (const entries of Object.values(networkInterfaces())) {
    for (const { address } of entries ?? []) {
      const normal = parseAddress(address.split('%', 1)[0]!)
      if (normal) addresses.add(normal)
    }
  }
  return addresses
}
