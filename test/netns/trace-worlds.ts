import { Buffer } from 'node:buffer'
import { type Address, type Family, familyOf, splitPrefix } from '../../registrar/net/address.ts'
import type { DesiredState, Limit, Limits, Member } from '../../rules/desired-state.ts'
import type { HostAddresses } from '../../rules/trace/host-addresses.ts'
import type { ImaginaryPacket } from '../../rules/trace/packet.ts'
import {
  address,
  answered,
  block,
  denied,
  desired,
  gateway,
  ignoring,
  prefix,
  proven,
  returning,
  suspension,
} from '../rules/desired.ts'
import { RESPONSE, STUN, sip } from '../rules/trace-packets.ts'

/** A desired state made by chance, with packets for it, and peers whom the softswitch sent a request before. */
export interface World {
  readonly state: DesiredState
  readonly packets: readonly ImaginaryPacket[]
  readonly asked: readonly Address[]
}

export const HOST4 = address('10.99.0.1')
export const HOST6 = address('fd99::1')
export const HOST: HostAddresses = {
  own: new Set([HOST4, HOST6]),
  shared: new Set([address('10.99.0.255')]),
  comesBack: (_source, name) => name === 'eth0',
}

const DESTINATIONS = {
  4: [HOST4, HOST4, HOST4, HOST4, address('10.99.0.77'), address('10.99.0.255'), address('224.0.0.5')],
  6: [HOST6, HOST6, HOST6, HOST6, address('fd99::77'), address('ff02::1')],
}
const SOURCES = {
  4: Array.from({ length: 14 }, (_, i) => `198.51.${100 + (i >> 2)}.${i & 3}`),
  6: Array.from({ length: 14 }, (_, i) => `2001:db8:${i >> 3}:${(i >> 1) & 3}::${i & 1}:1`),
}
const PORTS = [5060, 5060, 5061, 49_152]
/** Behind a routed gateway: whose requests are seen passing through. */
const PROTECTED = { 4: address('10.99.0.77'), 6: address('fd99::77') }
/** Changes too little within a test to be seen in it, or is never reached. */
const SLOW = 1 / 60
const PLENTY: Limit = { perSecond: 10_000, burst: 10_000 }

/** The same world for the same seed. */
export function makeWorld(seed: number): World {
  const dice = new Dice(seed)
  const until = Date.now() + 600_000
  const limit = (): Limit => (dice.chance(0.45) ? PLENTY : { perSecond: SLOW, burst: dice.from(1, 3) })
  const limits: Limits = {
    unknown: { source: limit(), prefix: limit(), total: limit() },
    strict: { port: limit(), source: limit(), prefix: limit(), total: limit() },
    proven: limit(),
    answered: limit(),
    returning: limit(),
    ignoring: limit(),
    sip: { ...limit(), prefix: limit(), total: limit(), enforced: dice.chance(0.5) },
    ceiling: limit(),
    rest: limit(),
    connections: { source: limit(), prefix: limit(), most: dice.chance(0.3) ? 1_000 : null },
  }
  const sources = [...SOURCES[4], ...SOURCES[6]]
  const some = <T>(share: number, make: (source: string) => T): readonly T[] =>
    sources.filter(() => dice.chance(share)).map(make)
  /** The address itself, or what is about it. */
  const around = (source: string) =>
    prefix(`${source}/${dice.pick(source.includes(':') ? [128, 64, 48] : [32, 32, 28, 24])}`)
  const single = (source: string) => (source.includes(':') ? `${address(source)}/64` : source)
  const state = desired({
    traffic: {
      interfaces: dice.pick([['eth0'], ['eth+'], ['eth0', 'eth1'], ['eth1', 'eth+']]),
      destinations: dice.chance(0.7) ? 'local' : [prefix('10.99.0.0/25'), prefix('fd99::/120')],
      udpPorts: dice.chance(0.5) ? [5060] : Array.from({ length: 20 }, (_, i) => 5060 + 2 * i),
      tcpPorts: dice.chance(0.7) ? [5060, 5061] : [],
      responses: dice.pick(['asked', 'asked', 'any']),
      ...(seed % 2 === 0 ? { logGroup: 5060 } : {}),
    },
    limits,
    sizes: { elements: 1_024, buckets: dice.pick([64, 65_536]), seen: 65_536 },
    strictUntil: dice.chance(0.5) ? until : null,
    allow: some(0.04, around),
    gateways: some(0.05, around).map((one, i) => gateway(`trunk-${i}`, [one], limit())),
    blocks: [
      ...some(0.04, (source) => denied(around(source), dice.pick([null, until]))),
      ...some(0.1, (source) =>
        block(around(source), dice.pick(['sip', 'register']), dice.pick([null, until])),
      ),
    ],
    suspensions: some(0.07, (source) => suspension(address(source), dice.pick([0, ...PORTS]), until)),
    members: [
      some(0.3, (source) => proven(source, dice.pick(PORTS), until)),
      some(0.25, (source) => answered(source, dice.pick(PORTS), until)),
      some(0.25, (source) => returning(single(source), dice.pick([1, 20, 300]), until)),
      some(0.15, (source): Member => ignoring(single(source), until)),
    ],
  })
  const packets: ImaginaryPacket[] = []
  while (packets.length < 120) {
    const packet = makePacket(dice, state)
    const times = dice.chance(0.5) ? dice.from(2, 6) : 1
    for (let i = 0; i < times; i++) packets.push(packet)
  }
  if (state.sizes.buckets === 64) packets.push(...spray(dice))
  const asked = sources.filter(() => dice.chance(0.15)).map(address)
  return { state, packets, asked }
}

/** One packet each from more sources than a table of buckets may hold. */
function spray(dice: Dice): readonly ImaginaryPacket[] {
  const family = dice.pick([4, 6] as const)
  const protocol = dice.chance(0.2) ? 'tcp' : 'udp'
  const text = dice.pick([sip('REGISTER'), sip('INVITE'), sip('BYE'), RESPONSE, '\r\n'])
  return Array.from({ length: 70 }, (_, i) => ({
    interface: 'eth0',
    source: address(family === 4 ? `100.64.${i}.1` : `2001:db8:f${i}::1`),
    sourcePort: 5060,
    destination: family === 4 ? HOST4 : HOST6,
    destinationPort: 5060,
    protocol,
    syn: true,
    payload: Buffer.from(protocol === 'tcp' ? '' : text, 'latin1'),
    headerOptions: 0,
  }))
}

function makePacket(dice: Dice, { limits, members, suspensions }: DesiredState): ImaginaryPacket {
  // Half of them come from where somebody has a lane of his own.
  const known = [...members.flat(), ...suspensions.flat()].map((one) =>
    'address' in one ? one : { address: splitPrefix(one.source).address, port: 0 },
  )
  const from =
    known.length > 0 && dice.chance(0.5)
      ? dice.pick(known)
      : { address: address(dice.pick(SOURCES[dice.pick([4, 4, 6] as const)])), port: dice.pick(PORTS) }
  const family = familyOf(from.address)
  if (dice.chance(0.05)) return makeRequest(dice, family, from.address)
  const protocol = dice.chance(0.15) ? 'tcp' : 'udp'
  // connlimit loads connection tracking, which puts fragments together before any rule sees them.
  const mayBeCut = limits.connections.most === null && protocol === 'udp' && dice.chance(0.08)
  return {
    interface: dice.pick(['eth0', 'eth0', 'eth0', 'eth0', 'eth0', 'eth1']),
    source: from.address,
    sourcePort: from.port === 0 ? dice.pick(PORTS) : from.port,
    destination: dice.pick<Address>(DESTINATIONS[family]),
    destinationPort: dice.pick([5060, 5060, 5060, 5060, 5062, 5061, 9]),
    protocol,
    syn: dice.chance(0.8),
    payload: protocol === 'tcp' ? Buffer.alloc(0) : makePayload(dice),
    headerOptions: dice.chance(0.2) ? (family === 4 ? 4 * dice.from(1, 10) : 8 * dice.from(1, 5)) : 0,
    ...(mayBeCut ? { fragment: dice.pick(['first', 'first', 'later'] as const) } : {}),
  }
}

/** What the softswitch behind a gateway sends to somebody, or somebody in its name. */
function makeRequest(dice: Dice, family: Family, destination: Address): ImaginaryPacket {
  return {
    interface: dice.pick(['eth0', 'eth0', 'eth1']),
    source: PROTECTED[family],
    sourcePort: dice.pick([5060, 5060, 5063]),
    destination,
    destinationPort: 5060,
    protocol: 'udp',
    syn: false,
    payload: makePayload(dice),
    headerOptions: 0,
  }
}

const METHODS =
  'REGISTER INVITE ACK BYE CANCEL OPTIONS SUBSCRIBE NOTIFY INFO MESSAGE REFER PUBLISH PRACK UPDATE register Invite REGISTRY BYEBYE INVITED NOTITE SUBSCRIBED INFORM XYZZY'

function makePayload(dice: Dice): Buffer {
  const method = dice.chance(0.4) ? 'REGISTER' : dice.pick(METHODS.split(' '))
  const text = dice.chance(0.15) ? RESPONSE : sip(method)
  const hidden = dice.pick(['', '', '', '', ' ', '\t', '\0', '\r\n', '\r\n'.repeat(200), '\n\0'])
  const kind = dice.chance(0.75) ? 'message' : dice.pick(['cut', 'stun', 'noise', 'tiny'] as const)
  switch (kind) {
    case 'message':
      return Buffer.from(`${hidden}${text}`, 'latin1')
    case 'cut':
      return Buffer.from(text.slice(0, dice.from(0, 60)), 'latin1')
    case 'stun': {
      const stun = Buffer.from(STUN)
      if (dice.chance(0.3)) stun[dice.from(0, 7)] = dice.from(0, 255)
      return stun
    }
    case 'noise':
      return Buffer.from(Array.from({ length: dice.from(0, 120) }, () => dice.from(0, 255)))
    case 'tiny':
      return Buffer.alloc(dice.from(36, 42), 0x0a)
  }
}

/** Chance that can be repeated: mulberry32. */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  chance(share: number): boolean {
    return this.#next() < share
  }

  /** A whole number between two, both included. */
  from(low: number, high: number): number {
    return low + Math.floor(this.#next() * (high - low + 1))
  }

  pick<T>(items: readonly T[]): T {
    return items[this.from(0, items.length - 1)]!
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
