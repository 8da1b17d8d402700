import type { Address } from '../../registrar/net/address.ts'
import { addressFromBytes } from '../../registrar/net/address.ts'

const SLOTS = 4096
const SLOT_MASK = SLOTS - 1

const v4Keys = new Uint32Array(SLOTS)
const v4Addresses = new Array<Address>(SLOTS).fill('0.0.0.0' as Address)
const v6Keys = new Int32Array(SLOTS * 4)
const v6Addresses = new Array<Address>(SLOTS).fill('::' as Address)

/**
 * `addressFromBytes` with the most recent addresses kept, one to a slot, since the same few ends are seen in
 * packet after packet and writing an address as text costs more than all the rest of decoding. The slots are
 * the bound; a flood of forged sources only costs what no cache would cost.
 */
export function readV4Address(bytes: Buffer, offset: number): Address {
  const key = bytes.readUInt32BE(offset)
  const slot = (Math.imul(key, 0x9e3779b1) >>> 20) & SLOT_MASK
  if (v4Keys[slot] === key) return v4Addresses[slot]!
  const address = addressFromBytes(bytes, offset, 4)
  v4Keys[slot] = key
  v4Addresses[slot] = address
  return address
}

export function readV6Address(bytes: Buffer, offset: number): Address {
  const a = bytes.readInt32BE(offset)
  const b = bytes.readInt32BE(offset + 4)
  const c = bytes.readInt32BE(offset + 8)
  const d = bytes.readInt32BE(offset + 12)
  const hash = Math.imul(a, 0x85ebca6b) ^ Math.imul(b, 0xc2b2ae35) ^ Math.imul(c, 0x27d4eb2f) ^ d
  const slot = (Math.imul(hash, 0x9e3779b1) >>> 20) & SLOT_MASK
  const at = slot * 4
  if (v6Keys[at] === a && v6Keys[at + 1] === b && v6Keys[at + 2] === c && v6Keys[at + 3] === d) {
    return v6Addresses[slot]!
  }
  const address = addressFromBytes(bytes, offset, 16)
  v6Keys[at] = a
  v6Keys[at + 1] = b
  v6Keys[at + 2] = c
  v6Keys[at + 3] = d
  v6Addresses[slot] = address
  return address
}
