import type { Address, Prefix } from '../../registrar/net/address.ts'
import { parseAddress, parsePrefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type {
  Block,
  BlockScope,
  DesiredState,
  Gateway,
  Limit,
  Limits,
  Member,
  ProtectedTraffic,
  Suspension,
  TableSizes,
} from '../../rules/desired-state.ts'

/** What a fresh installation asks for, at sizes that cost a test little. */
export const DEFAULTS: DesiredState = {
  traffic: {
    interfaces: ['eth0'],
    destinations: 'local',
    udpPorts: [5060],
    tcpPorts: [5060],
    responses: 'asked',
  },
  limits: {
    unknown: { source: limit(5, 10), prefix: limit(100, 200), total: limit(2_000, 4_000) },
    strict: {
      port: limit(6 / 60, 6),
      source: limit(5, 10),
      prefix: limit(100, 200),
      total: limit(1_500, 1_500),
    },
    proven: limit(10, 50),
    answered: limit(2, 5),
    returning: limit(5, 20),
    ignoring: limit(6 / 60, 2),
    sip: { ...limit(20, 50), prefix: limit(200, 400), total: limit(1_000, 2_000), enforced: false },
    ceiling: limit(2_000, 4_000),
    rest: limit(1_000, 2_000),
    connections: { source: limit(5, 20), prefix: limit(50, 100), most: 100 },
  },
  sizes: { elements: 131_072, buckets: 65_536, seen: 65_536 },
  strictUntil: null,
  allow: [],
  gateways: [],
  blocks: [],
  suspensions: [],
  members: [],
}

/** A complete desired state that differs from `DEFAULTS` in the given parts. */
export function desired(parts: Partial<DesiredState> = {}): DesiredState {
  return { ...DEFAULTS, ...parts }
}

export function traffic(parts: Partial<ProtectedTraffic>): ProtectedTraffic {
  return { ...DEFAULTS.traffic, ...parts }
}

export function limits(parts: Partial<Limits>): Limits {
  return { ...DEFAULTS.limits, ...parts }
}

export function sizes(parts: Partial<TableSizes>): TableSizes {
  return { ...DEFAULTS.sizes, ...parts }
}

export function limit(perSecond: number, burst: number): Limit {
  return { perSecond, burst }
}

export function gateway(name: string, prefixes: readonly string[], cps: Limit = limit(20, 40)): Gateway {
  return { name, prefixes: prefixes.map(prefix), cps }
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

/** A verdict's block, which spares proven ports; `denied` makes the operator's. */
export function block(
  target: string,
  scope: BlockScope = 'sip',
  until: EpochMilliseconds | null = null,
): Block {
  return { target: prefix(target), scope, sparesProven: true, until }
}

/** The operator's block of scope sip, which spares nobody. */
export function denied(target: string, until: EpochMilliseconds | null = null): Block {
  return { target: prefix(target), scope: 'sip', sparesProven: false, until }
}

export function suspension(source: string, port: number, until: EpochMilliseconds): Suspension {
  return { address: address(source), port, until }
}

export function proven(source: string, port: number, until: EpochMilliseconds): Member {
  return { lane: 'proven', address: address(source), port, until }
}

export function answered(source: string, port: number, until: EpochMilliseconds): Member {
  return { lane: 'answered', address: address(source), port, until }
}

export function returning(source: string, accounts: number, until: EpochMilliseconds): Member {
  return { lane: 'returning', source: prefix(source), accounts, until }
}

export function ignoring(source: string, until: EpochMilliseconds): Member {
  return { lane: 'ignoring', source: prefix(source), until }
}
