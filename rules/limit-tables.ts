import type { Family } from '../registrar/net/address.ts'
import type { Seconds } from '../registrar/net/time.ts'
import { type Gateway, type Limit, type Limits, RETURNING_TIERS, type TableSizes } from './desired-state.ts'

/**
 * What has a bucket of its own: an address (IPv6: /64), an address and port, a source and port (an IPv6 /64 has no more
 * of them than an IPv4 address), a /24 (IPv6: /48), an IPv6 /56, or everybody together.
 */
export type BucketKey = 'source' | 'port' | 'source-port' | 'prefix' | 'site' | 'everybody'

/** A hashlimit table, as the chains use it. */
export interface LimitTable {
  /** Short: part of the table's name in the kernel, which every line of /proc/net/ipt_hashlimit carries. */
  readonly id: string
  readonly key: BucketKey
  readonly limit: Limit
  /** Whose limit it is, for sentences: "over the limit of …". */
  readonly says: string
}

/** In seconds. Not the unit of a rate (1, 60 or 3600), which iptables would not print back. */
const SHORTEST_EXPIRE = 90
/** The kernel's hashlimit refuses more entries. */
export const MOST_BUCKETS = 1_048_576
/** Requests inside a call may come so much faster than those that begin one. */
const CALLS_FACTOR = 5
/** A /56 may have as much as so many sources. */
const SITE_FACTOR = 4

/** An SBC or a proxy brings the registrations of many phones from one address and port. */
const AGGREGATOR_FACTOR = 20

/** Every limit but those of gateways. Two of one id with the same parameters share a table. */
export function limitTables(limits: Limits): Readonly<Record<LimitName, LimitTable>> {
  const { unknown, strict, sip, rest, ceiling, connections } = limits
  const tier = (index: 0 | 1 | 2, id: string, key: BucketKey, of: Limit, says: string): LimitTable => ({
    id,
    key,
    limit: times(of, RETURNING_TIERS[index].rate, RETURNING_TIERS[index].burst),
    says,
  })
  const returning = 'a returning address'
  const connecting = 'new connections of a returning address'
  return {
    allowed: { id: 'alw', key: 'prefix', limit: ceiling, says: 'an allowed prefix' },
    gateway: {
      id: 'gw',
      key: 'source',
      limit: ceiling,
      says: 'a gateway for requests other than INVITE and REGISTER',
    },
    proven: { id: 'pvn', key: 'port', limit: limits.proven, says: 'a proven address and port' },
    aggregator: {
      id: 'agg',
      key: 'port',
      limit: times(limits.proven, AGGREGATOR_FACTOR, AGGREGATOR_FACTOR),
      says: 'a proven address and port with many accounts',
    },
    known: { id: 'knw', key: 'port', limit: ceiling, says: 'the calls of a proven address and port' },
    peer: { id: 'ask', key: 'source', limit: ceiling, says: 'a peer that the softswitch sent a request to' },
    answered: {
      id: 'ans',
      key: 'port',
      limit: limits.answered,
      says: 'an address and port that answered a challenge',
    },
    answeredTotal: {
      id: 'anst',
      key: 'everybody',
      limit: strict.total,
      says: 'all who answered a challenge, together, under attack',
    },
    returningPort: {
      id: 'rport',
      key: 'source-port',
      limit: strict.port,
      says: 'an unproven port of a returning address under attack',
    },
    returningTotal: {
      id: 'rett',
      key: 'everybody',
      limit: strict.total,
      says: 'all returning addresses together under attack',
    },
    returning1: tier(0, 'ret1', 'source', limits.returning, `${returning} with few accounts`),
    returning2: tier(1, 'ret2', 'source', limits.returning, `${returning} with several accounts`),
    returning3: tier(2, 'ret3', 'source', limits.returning, `${returning} with many accounts`),
    ignoring: {
      id: 'ign',
      key: 'source',
      limit: limits.ignoring,
      says: 'a source that never answers a challenge',
    },
    unknownSource: { id: 'src', key: 'source', limit: unknown.source, says: 'an unknown source' },
    unknownSite: {
      id: 'site',
      key: 'site',
      limit: times(unknown.source, SITE_FACTOR, SITE_FACTOR),
      says: 'the unknown sources of one /56',
    },
    unknownPrefix: {
      id: 'pfx',
      key: 'prefix',
      limit: unknown.prefix,
      says: 'the unknown sources of one prefix',
    },
    unknownTotal: { id: 'all', key: 'everybody', limit: unknown.total, says: 'all unknown sources together' },
    strictPort: {
      id: 'port',
      key: 'source-port',
      limit: strict.port,
      says: 'an unproven address and port under attack',
    },
    strictSource: {
      id: 'ssrc',
      key: 'source',
      limit: strict.source,
      says: 'an unknown source under attack',
    },
    strictSite: {
      id: 'ssite',
      key: 'site',
      limit: times(strict.source, SITE_FACTOR, SITE_FACTOR),
      says: 'the unknown sources of one /56 under attack',
    },
    strictPrefix: {
      id: 'spfx',
      key: 'prefix',
      limit: strict.prefix,
      says: 'the unknown sources of one prefix under attack',
    },
    strictTotal: {
      id: 'sall',
      key: 'everybody',
      limit: strict.total,
      says: 'all unknown sources together under attack',
    },
    sip: { id: 'sip', key: 'source', limit: bucketOf(sip), says: 'SIP other than REGISTER of one source' },
    sipPrefix: {
      id: 'sipp',
      key: 'prefix',
      limit: sip.prefix,
      says: 'SIP other than REGISTER of the unknown sources of one prefix',
    },
    sipTotal: {
      id: 'sipt',
      key: 'everybody',
      limit: sip.total,
      says: 'SIP other than REGISTER of all unknown sources together',
    },
    returningSip: {
      id: 'rsip',
      key: 'source',
      limit: times(bucketOf(sip), CALLS_FACTOR, CALLS_FACTOR),
      says: 'SIP other than REGISTER, and keepalives, of a returning address',
    },
    calls: {
      id: 'call',
      key: 'source',
      limit: times(bucketOf(sip), CALLS_FACTOR, CALLS_FACTOR),
      says: 'requests inside calls of one source',
    },
    callsPrefix: {
      id: 'callp',
      key: 'prefix',
      limit: times(sip.prefix, CALLS_FACTOR, CALLS_FACTOR),
      says: 'requests inside calls of the unknown sources of one prefix',
    },
    callsTotal: {
      id: 'callt',
      key: 'everybody',
      limit: times(sip.total, CALLS_FACTOR, CALLS_FACTOR),
      says: 'requests inside calls of all unknown sources together',
    },
    keepalive: { id: 'kpa', key: 'source', limit: bucketOf(sip), says: 'keepalives of one source' },
    rest: {
      id: 'rest',
      key: 'everybody',
      limit: rest,
      says: 'what nobody asked for, of everybody together',
    },
    connectSource: {
      id: 'con',
      key: 'source',
      limit: connections.source,
      says: 'new connections of one source',
    },
    connectPrefix: {
      id: 'conp',
      key: 'prefix',
      limit: connections.prefix,
      says: 'new connections of one prefix',
    },
    connect1: tier(0, 'con1', 'source', connections.source, `${connecting} with few accounts`),
    connect2: tier(1, 'con2', 'source', connections.source, `${connecting} with several accounts`),
    connect3: tier(2, 'con3', 'source', connections.source, `${connecting} with many accounts`),
  }
}

export type LimitName =
  | 'allowed'
  | 'gateway'
  | 'proven'
  | 'aggregator'
  | 'known'
  | 'peer'
  | 'answered'
  | 'answeredTotal'
  | 'returningPort'
  | 'returningTotal'
  | 'returning1'
  | 'returning2'
  | 'returning3'
  | 'ignoring'
  | 'unknownSource'
  | 'unknownSite'
  | 'unknownPrefix'
  | 'unknownTotal'
  | 'strictPort'
  | 'strictSource'
  | 'strictSite'
  | 'strictPrefix'
  | 'strictTotal'
  | 'sip'
  | 'sipPrefix'
  | 'sipTotal'
  | 'returningSip'
  | 'calls'
  | 'callsPrefix'
  | 'callsTotal'
  | 'keepalive'
  | 'rest'
  | 'connectSource'
  | 'connectPrefix'
  | 'connect1'
  | 'connect2'
  | 'connect3'

/** INVITEs and REGISTERs of a gateway, all its prefixes together. */
export function gatewayTable({ name, cps }: Gateway): LimitTable {
  return {
    id: `cps-${name}`,
    key: 'everybody',
    limit: cps,
    says: `the gateway ${name} for INVITE and REGISTER`,
  }
}

/** So few first packets a second are noted that the set of them cannot fill: noting in a full one costs 20 µs a packet. */
export function seenTable({ seen }: TableSizes, seconds: number): LimitTable {
  const perSecond = Math.max(1, Math.min(1_000_000, Math.floor((seen * 0.8) / seconds)))
  return {
    id: 'seen',
    key: 'everybody',
    limit: { perSecond, burst: perSecond },
    says: 'first packets that can be noted',
  }
}

/**
 * So many packets of all that arrive go to the log. Few at once: the log's socket holds some fifty packets while its
 * reader is busy, and what finds no room there takes packets with it that passed.
 */
export const SAMPLE_LIMIT: Limit = { perSecond: 1_000, burst: 20 }

export const SAMPLE_TABLE: LimitTable = {
  id: 'smp',
  key: 'everybody',
  limit: SAMPLE_LIMIT,
  says: 'the sample of all that arrives',
}

/**
 * What is only listed must never be dropped, and a full table drops. So few packets a second are looked at that the table
 * cannot fill while its entries live.
 */
export function listingTable({ buckets }: TableSizes, { sip }: Limits): LimitTable {
  const perSecond = Math.min(100_000, Math.max(1, Math.floor((buckets * 0.8) / expireOf(sip))))
  return {
    id: 'list',
    key: 'everybody',
    limit: { perSecond, burst: perSecond },
    says: 'packets that are looked at to list who would be limited',
  }
}

/**
 * The match of packets over (or up to) a limit. The parameters are part of the name, since a table keeps those it was
 * created with whatever a later rule says. An entry may go when its bucket is full again, and not before: or a pause
 * would buy a new burst.
 */
export function renderLimit(
  { id, key, limit }: LimitTable,
  options: { readonly family: Family; readonly buckets: number; readonly side?: 'above' | 'upto' },
): string {
  const { family, buckets, side = 'above' } = options
  const rate = showRate(limit.perSecond)
  const expire = expireOf(limit) * 1000
  const mode = MODES[key]
  const max = key === 'everybody' ? 1 : buckets
  const mask = maskOf(key, family)
  return [
    `-m hashlimit --hashlimit-${side} ${rate} --hashlimit-burst ${limit.burst}`,
    ...(mode === '' ? [] : [`--hashlimit-mode ${mode}`]),
    `--hashlimit-name rf-${id}${family}-${rate.replace('/', '')}-${limit.burst}${max === 1 ? '' : `-${max}`}`,
    ...(max === 1 ? [] : [`--hashlimit-htable-size ${rows(max)} --hashlimit-htable-max ${max}`]),
    `--hashlimit-htable-expire ${expire}`,
    ...(mask === undefined ? [] : [`--hashlimit-srcmask ${mask}`]),
  ].join(' ')
}

function expireOf({ perSecond, burst }: Limit): Seconds {
  return Math.max(SHORTEST_EXPIRE, Math.ceil(burst / perSecond))
}

const MODES: Readonly<Record<BucketKey, string>> = {
  source: 'srcip',
  port: 'srcip,srcport',
  'source-port': 'srcip,srcport',
  prefix: 'srcip',
  site: 'srcip',
  everybody: '',
}

/** How many bits of an address have one bucket; undefined where it is all of them, or none matter. */
function maskOf(key: BucketKey, family: Family): number | undefined {
  switch (key) {
    case 'source':
    case 'source-port':
      return family === 4 ? undefined : 64
    case 'prefix':
      return family === 4 ? 24 : 48
    case 'site':
      return family === 4 ? 24 : 56
    case 'port':
    case 'everybody':
      return undefined
  }
}

/** A row holds four entries when the table is full, each a look elsewhere in memory; rows are taken at once, at 8 bytes each. */
function rows(buckets: number): number {
  return Math.max(64, Math.floor(buckets / 4))
}

/** As iptables prints it back: whole numbers a second, else a minute. */
function showRate(perSecond: number): string {
  return Number.isInteger(perSecond) ? `${perSecond}/sec` : `${Math.max(1, Math.round(perSecond * 60))}/min`
}

function times({ perSecond, burst }: Limit, rate: number, bursts: number): Limit {
  return {
    perSecond: Math.min(1_000_000, perSecond * rate),
    burst: Math.min(1_000_000, Math.round(burst * bursts)),
  }
}

function bucketOf({ perSecond, burst }: Limit): Limit {
  return { perSecond, burst }
}
