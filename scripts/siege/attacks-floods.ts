import type { Attack } from './attack.ts'
import { type Cast, FULL_CAST } from './cast.ts'

const PER_SECOND_FORGED = 100_000
const PER_SECOND_LISTED = 50_000
const ALL = { customers: 'met', newcomers: 'none' } as const
const NEWCOMERS_TOO = { customers: 'met', newcomers: 'met' } as const
const POOL = { kind: 'pool', amount: 20_000 } as const

/** Of the operator's lists, and nobody honest is there: whoever forges them has what they may. */
const ALLOWED = addresses('10.50.252', 30)
const GATEWAYS = addresses('10.50.253', 30)

function addresses(network: string, amount: number): readonly string[] {
  return Array.from({ length: amount }, (_, i) => `${network}.${10 + i}`)
}

const addressesOf = ({ customers }: Cast) => [...new Set(customers.map(({ address }) => address))]

/** Attackers who hear nothing, as most of them need not. */
export const FLOODS = {
  'one-source': {
    about: 'one source as fast as the generator can',
    cast: FULL_CAST,
    targets: ALL,
    flood: () => ({ sources: { kind: 'pool', amount: 1 }, ports: 'own', perSecond: null }),
  },
  sources: {
    about: '20,000 sources that never answer, 4 REGISTERs a second each',
    cast: FULL_CAST,
    targets: NEWCOMERS_TOO,
    flood: () => ({ sources: POOL, ports: 'own', perSecond: 80_000 }),
  },
  'forged-once': {
    about: 'forged sources, each sends one packet',
    cast: FULL_CAST,
    targets: NEWCOMERS_TOO,
    flood: () => ({ sources: { kind: 'new' }, ports: 'own', perSecond: PER_SECOND_FORGED }),
  },
  'forged-twice': {
    about: 'forged sources, each sends the same port again half a second later',
    cast: FULL_CAST,
    targets: { customers: 'met', newcomers: 'frontier' },
    flood: () => ({ sources: { kind: 'twice' }, ports: 'own', perSecond: PER_SECOND_FORGED }),
  },
  'forged-ports': {
    about: '2 million forged sources in turn, every packet from another port',
    cast: FULL_CAST,
    targets: NEWCOMERS_TOO,
    flood: () => ({
      sources: { kind: 'pool', amount: 2_000_000 },
      ports: 'random',
      perSecond: PER_SECOND_FORGED,
    }),
  },
  'forged-customers': {
    about: "the customers' addresses forged, random ports",
    cast: FULL_CAST,
    targets: ALL,
    flood: (cast) => ({
      sources: { kind: 'listed', addresses: addressesOf(cast) },
      ports: 'random',
      perSecond: PER_SECOND_LISTED,
    }),
  },
  'forged-registered': {
    about: "the customers' addresses forged with the ports that they registered from",
    cast: FULL_CAST,
    targets: { customers: 'frontier', newcomers: 'none' },
    flood: ({ customers }) => ({
      sources: { kind: 'listed', addresses: customers.map(({ address, port }) => `${address}:${port}`) },
      ports: 'own',
      perSecond: PER_SECOND_LISTED,
    }),
  },
  'forged-movers': {
    about: "the customers' addresses forged, while a tenth of the customers change their port",
    cast: { ...FULL_CAST, movers: 0.1 },
    targets: ALL,
    flood: (cast) => ({
      sources: { kind: 'listed', addresses: addressesOf(cast) },
      ports: 'random',
      perSecond: PER_SECOND_LISTED,
    }),
  },
  oversized: {
    about: '20,000 sources, REGISTERs with a Contact of 1,000 bytes',
    cast: FULL_CAST,
    targets: ALL,
    flood: () => ({ sources: POOL, ports: 'own', perSecond: PER_SECOND_LISTED, packets: ['oversized'] }),
  },
  crlf: {
    about: '20,000 sources, REGISTERs behind 1 to 60 empty lines',
    cast: FULL_CAST,
    targets: ALL,
    flood: () => ({ sources: POOL, ports: 'own', perSecond: PER_SECOND_LISTED, packets: ['crlf'] }),
  },
  fragments: {
    about: '20,000 sources, REGISTERs in two fragments',
    cast: FULL_CAST,
    targets: ALL,
    // Of two frames in turn the second belongs to the first one's source, so an odd pool reaches them all.
    flood: () => ({
      sources: { kind: 'pool', amount: 20_001 },
      ports: 'own',
      perSecond: PER_SECOND_LISTED,
      packets: ['fragments'],
    }),
  },
  mixed: {
    about:
      '20,000 sources, REGISTERs plain, behind empty lines, fragmented and oversized, OPTIONS and INVITEs',
    cast: FULL_CAST,
    targets: ALL,
    flood: () => ({
      sources: { kind: 'pool', amount: 20_001 },
      ports: 'own',
      perSecond: PER_SECOND_LISTED,
      packets: ['register', 'crlf', 'fragments', 'oversized', 'options', 'invite'],
    }),
  },
  responses: {
    about: '20,000 sources, responses to requests that nobody sent',
    cast: FULL_CAST,
    targets: ALL,
    flood: () => ({ sources: POOL, ports: 'own', perSecond: PER_SECOND_LISTED, packets: ['response'] }),
  },
  junk: {
    about: '20,000 sources, 20 to 420 random bytes',
    cast: FULL_CAST,
    targets: ALL,
    flood: () => ({ sources: POOL, ports: 'own', perSecond: PER_SECOND_LISTED, packets: ['junk'] }),
  },
  'forged-allowed': {
    about: "30 addresses of the operator's allowlist forged, random ports",
    cast: FULL_CAST,
    targets: ALL,
    flood: () => ({
      sources: { kind: 'listed', addresses: ALLOWED },
      ports: 'random',
      perSecond: PER_SECOND_LISTED,
    }),
    settings: 'allow: [10.50.252.0/24]',
  },
  'forged-gateways': {
    about: '30 addresses of a gateway forged, random ports',
    cast: FULL_CAST,
    targets: ALL,
    flood: () => ({
      sources: { kind: 'listed', addresses: GATEWAYS },
      ports: 'random',
      perSecond: PER_SECOND_LISTED,
    }),
    settings: 'gateways: [{ name: carrier, prefixes: [10.50.253.0/24], profile: wholesale }]',
  },
} as const satisfies Readonly<Record<string, Attack>>
