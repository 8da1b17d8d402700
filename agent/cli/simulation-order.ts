import { isIPv4 } from 'node:net'
import { parseDuration, type Seconds, showDuration } from '../../registrar/net/time.ts'

/** What `ringfence simulate` can send, in words. REGISTERs and guesses name accounts that nobody has. */
export const SIMULATED_ATTACKS = {
  'one-source': 'one source',
  sources: 'many sources, 4 REGISTERs a second each',
  'forged-once': 'every packet from another address and port',
  'forged-twice': 'forged sources, each sends the same again half a second later',
  oversized: 'many sources, REGISTERs with a Contact of 1,000 bytes',
  crlf: 'many sources, REGISTERs behind 1 to 60 empty lines',
  fragments: 'many sources, REGISTERs in two fragments',
  mixed: 'many sources, all of these in turn, with OPTIONS and INVITEs',
  responses: 'many sources, responses to requests that nobody sent',
  junk: 'many sources, random bytes',
  guessers: '20 sources that answer challenges with wrong passwords; at most 200 tries a second',
} as const
export type SimulatedAttack = keyof typeof SIMULATED_ATTACKS

/** A test of one's own softswitch: bounded, and against an address that is this host's. */
export interface SimulationOrder {
  readonly attack: SimulatedAttack
  /** Packets a second; tries a second of guessers. */
  readonly perSecond: number
  readonly seconds: Seconds
  readonly target: { readonly address: string; readonly port: number }
  /** The network namespace that the target is in, where its address does not say that. */
  readonly namespace?: string
  /** An account of the softswitch for the honest phones; without it they ask with OPTIONS. */
  readonly account?: { readonly user: string; readonly password: string; readonly domain?: string }
  readonly seed: number
}

/** As they were typed. */
export interface SimulationOptions {
  readonly attack: string
  readonly rate: string
  readonly for: string
  readonly target: string
  readonly namespace?: string
  readonly domain?: string
  readonly seed: string
}

export const MOST_PER_SECOND = 20_000
export const LONGEST: Seconds = 300
const SHORTEST: Seconds = 2
const LEAST_PER_SECOND = 10
const MOST_GUESSES = 200
const SIP_PORT = 5_060

/**
 * What is asked for, within its bounds, or a sentence on what is wrong with it. Whether the target is this host's is
 * found out where the test runs. `account`: with the password as it was read.
 */
export function readOrder(
  options: SimulationOptions,
  account?: { readonly user: string; readonly password: string },
): SimulationOrder | string {
  const { attack, namespace, domain } = options
  if (!Object.hasOwn(SIMULATED_ATTACKS, attack)) {
    return `there is no attack ${JSON.stringify(attack)}; there are ${Object.keys(SIMULATED_ATTACKS).join(', ')}`
  }
  const most = attack === 'guessers' ? MOST_GUESSES : MOST_PER_SECOND
  const perSecond = /^\d{1,9}$/.test(options.rate) ? Number(options.rate) : Number.NaN
  if (!(perSecond >= LEAST_PER_SECOND && perSecond <= most)) {
    return `--rate ${JSON.stringify(options.rate)}: ${attack} takes a whole number from ${LEAST_PER_SECOND} to ${most} a second`
  }
  const seconds = parseDuration(options.for)
  if (seconds === undefined || !(seconds >= SHORTEST && seconds <= LONGEST)) {
    const bounds = `from ${showDuration(SHORTEST)} to ${showDuration(LONGEST)}`
    return `--for ${JSON.stringify(options.for)} is no duration ${bounds}; write it like 10s or 1m`
  }
  const target = readTarget(options.target)
  if (typeof target === 'string') return target
  if (namespace !== undefined && !/^[\w.@+-]{1,255}$/.test(namespace)) {
    return `--namespace ${JSON.stringify(namespace)} is no name of a network namespace`
  }
  for (const [name, text] of [
    ['--account', account?.user],
    ['--domain', domain],
  ] as const) {
    if (text !== undefined && !/^[\w.+~-]{1,128}$/.test(text)) {
      return `${name} ${JSON.stringify(text)}: letters, digits and . _ + ~ - are taken`
    }
  }
  if (domain !== undefined && account === undefined) return '--domain goes with --account'
  const seed = /^\d{1,9}$/.test(options.seed) ? Number(options.seed) : Number.NaN
  if (Number.isNaN(seed)) return `--seed ${JSON.stringify(options.seed)} is no whole number`
  return {
    attack: attack as SimulatedAttack,
    perSecond,
    seconds,
    target,
    ...(namespace === undefined ? {} : { namespace }),
    ...(account === undefined
      ? {}
      : { account: { ...account, ...(domain === undefined ? {} : { domain }) } }),
    seed,
  }
}

/** A literal address only: a name could mean somebody else tomorrow. */
function readTarget(text: string): SimulationOrder['target'] | string {
  const [, address = '', port] = /^([^:]+)(?::(\d{1,5}))?$/.exec(text) ?? []
  if (!isIPv4(address)) {
    return `--target ${JSON.stringify(text)} is no IPv4 address, as 192.0.2.10 or 192.0.2.10:5060 (a test over IPv6 is not there yet)`
  }
  if (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65_535)) {
    return `--target ${JSON.stringify(text)}: a port goes from 1 to 65535`
  }
  return { address, port: port === undefined ? SIP_PORT : Number(port) }
}
