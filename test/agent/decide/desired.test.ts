import { describe, expect, it } from 'vitest'
import { readConfig } from '../../../agent/config/read-config.ts'
import { buildDesiredState } from '../../../agent/decide/desired.ts'
import type { Address, Prefix } from '../../../registrar/net/address.ts'
import { checkDesiredState } from '../../../rules/check-desired-state.ts'
import type { Block, DesiredState, Member, Suspension } from '../../../rules/desired-state.ts'

const HOST = { memoryBytes: 4 * 1024 ** 3, tracksConnections: true }
const BLOCKS: Block[] = [{ target: '192.0.2.1/32' as Prefix, scope: 'sip', sparesProven: false, until: null }]
const SUSPENSIONS: Suspension[] = [{ address: '192.0.2.2' as Address, port: 5060, until: 9e12 }]
const MEMBERS: Member[][] = [
  [{ lane: 'proven', address: '192.0.2.3' as Address, port: 5060, until: 9e12 }],
  [],
]

function desired(text: string, changes: Partial<Parameters<typeof buildDesiredState>[0]> = {}): DesiredState {
  const reading = readConfig(text, { file: 'F' })
  if (reading.kind === 'refused') throw new Error(JSON.stringify(reading.problems))
  return buildDesiredState({
    config: reading.config,
    host: HOST,
    decisions: {
      allowedPrefixes: () => ['198.51.100.0/24' as Prefix],
      blocks: () => BLOCKS,
      suspensions: () => SUSPENSIONS,
    },
    sipEnforced: false,
    strictUntil: null,
    members: MEMBERS,
    ...changes,
  })
}

describe('the desired state', () => {
  it('of the defaults', () => {
    const state = desired('protect: { interfaces: [eth0] }')
    expect(state).toEqual({
      traffic: {
        interfaces: ['eth0'],
        destinations: 'local',
        udpPorts: [5060],
        tcpPorts: [5060],
        responses: 'asked',
      },
      limits: {
        unknown: {
          source: { perSecond: 5, burst: 10 },
          prefix: { perSecond: 100, burst: 200 },
          total: { perSecond: 2_000, burst: 4_000 },
        },
        strict: {
          port: { perSecond: 0.1, burst: 6 },
          source: { perSecond: 5, burst: 10 },
          prefix: { perSecond: 100, burst: 200 },
          total: { perSecond: 1_500, burst: 1_500 },
        },
        proven: { perSecond: 10, burst: 50 },
        answered: { perSecond: 0.2, burst: 6 },
        returning: { perSecond: 5, burst: 20 },
        ignoring: { perSecond: 0.1, burst: 2 },
        sip: {
          perSecond: 20,
          burst: 50,
          prefix: { perSecond: 200, burst: 400 },
          total: { perSecond: 1_000, burst: 2_000 },
          enforced: false,
        },
        ceiling: { perSecond: 2_000, burst: 4_000 },
        rest: { perSecond: 1_000, burst: 2_000 },
        connections: {
          source: { perSecond: 5, burst: 20 },
          prefix: { perSecond: 50, burst: 100 },
          most: 500,
        },
      },
      sizes: { elements: 268_435, buckets: 65_536, seen: 838_860 },
      strictUntil: null,
      allow: ['198.51.100.0/24' as Prefix],
      gateways: [],
      blocks: BLOCKS,
      suspensions: SUSPENSIONS,
      members: MEMBERS,
    } satisfies DesiredState)
    expect(checkDesiredState(state)).toEqual([])
    // The engine finds what changed by which objects are other ones.
    expect([state.blocks, state.suspensions, state.members]).toEqual([BLOCKS, SUSPENSIONS, MEMBERS])
    expect(state.members).toBe(MEMBERS)
    expect(state.blocks).toBe(BLOCKS)
  })

  it('of a gateway in front of a softswitch, under attack', () => {
    const state = desired(
      `protect: { interfaces: [eth0, eth1], addresses: [192.0.2.0/28], ports: { udp: [5080], tcp: [] }, responses: any }
limits: { connections: { most: none } }
gateways: [{ name: trunk, prefixes: [203.0.113.9], profile: wholesale }]
kernel: { elements: 5000, buckets: 6000, seen: 7000 }
`,
      { strictUntil: 9e12, sipEnforced: true },
    )
    expect(state.traffic).toEqual({
      interfaces: ['eth0', 'eth1'],
      destinations: ['192.0.2.0/28'],
      udpPorts: [5080],
      tcpPorts: [],
      responses: 'any',
    })
    expect(state.limits.connections.most).toBeNull()
    expect(state.limits.sip.enforced).toBe(true)
    expect(state.gateways).toEqual([
      { name: 'trunk', prefixes: ['203.0.113.9/32'], cps: { perSecond: 150, burst: 300 } },
    ])
    expect(state.sizes).toEqual({ elements: 5_000, buckets: 6_000, seen: 7_000 })
    expect(state.strictUntil).toBe(9e12)
    expect(checkDesiredState(state)).toEqual([])
  })
})
