import {
  parseAddress,
  parsePrefix,
  parseSource,
  showPrefix,
  showSource,
} from '../../registrar/net/address.ts'
import { OrderRefused } from './control-plane.ts'
import { quote } from './errors.ts'

/** The address or prefix that somebody wrote, in its normal form. Refuses with an example how to write one. */
export function readTarget(text: string): string {
  const prefix = parsePrefix(text.trim())
  if (!prefix) {
    throw new OrderRefused(
      'bad-input',
      `${quote(text)} is no address or prefix; write it like 203.0.113.7 or 203.0.113.0/24`,
    )
  }
  return showPrefix(prefix)
}

/**
 * What a standing decision is about: an address or prefix, or `ADDRESS:PORT` for a suspension (IPv6 in brackets).
 */
export function readDecisionTarget(text: string): string {
  const source = parseSource(text.trim())
  return source ? showSource(source) : readTarget(text)
}

/** One address, or an address and port, for a look at its story. */
export function readAddressOrPort(text: string): string {
  const source = parseSource(text.trim())
  if (source) return showSource(source)
  const address = parseAddress(text.trim())
  if (!address) {
    throw new OrderRefused(
      'bad-input',
      `${quote(text)} is no address; write it like 203.0.113.7, 2001:db8::7 or 203.0.113.7:5060`,
    )
  }
  return address
}
