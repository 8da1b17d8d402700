import type { Address, Prefix } from '../../registrar/net/address.ts'
import { parseAddress, parsePrefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Block, BlockScope, DesiredState, Suspension } from '../../rules/desired-state.ts'

/** What a fresh installation asks for. */
export const DEFAULTS: DesiredState = {
  traffic: { interfaces: ['eth0'], destinations: 'local', udpPorts: [5060], tcpPorts: [5060] },
  limits: {
    register: { perSecond: 5, burst: 10 },
    sip: { perSecond: 20, burst: 50, enforced: false },
  },
  allow: [],
  blocks: [],
  suspensions: [],
}

export function desired(parts: Partial<DesiredState> = {}): DesiredState {
  return { ...DEFAULTS, ...parts }
}

export function address(text: string): Address {
  const parsed = parseAddress(text)
  if (!parsed) throw new Error(`no address: ${text}`)
  return parsed
}

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text)
  if (!parsed) throw new Error(`no prefix: ${text}`)
  return parsed
}

export function block(
  target: string,
  scope: BlockScope = 'sip',
  until: EpochMilliseconds | null = null,
): Block {
  return { target: prefix(target), scope, until }
}

export function suspension(source: string, port: number, until: EpochMilliseconds): Suspension {
  return { address: address(source), port, until }
}
