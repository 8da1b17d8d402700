import { describe, expect, it } from 'vitest'
import { type NonceSharing, SharingByServer } from '../../../agent/observe/nonce-sharing.ts'
import { IssuedNonces } from '../../../agent/observe/nonces.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'

const START = 1_700_000_000_000
const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const SERVER: Source = { address: '198.51.100.1' as Address, port: 5060 }
const OTHER: Source = { address: '198.51.100.1' as Address, port: 5080 }
const A = '203.0.113.7' as Address
const B = '203.0.113.8' as Address

let calls = 0

function issue(nonces: IssuedNonces, nonce: string, to: Address, at: number, rest = {}): void {
  nonces.issued(nonce, { to, at, server: SERVER, callId: `call-${calls++}`, ...rest })
}

/** Two addresses challenged a little after each other, three times in all, with nonces of their own. */
function three(nonces: IssuedNonces, at: number, apart = 10): void {
  issue(nonces, `a ${at}`, A, at)
  issue(nonces, `b ${at}`, B, at + apart)
  issue(nonces, `c ${at}`, A, at + 2 * apart)
}

const stateOf = (nonces: IssuedNonces) => nonces.sharing.list()[0]?.state

describe('whether a softswitch shares its nonces', () => {
  it('is unknown until three nonces at once were seen ten times, and then they are unique', () => {
    const nonces = new IssuedNonces()
    for (let i = 0; i < 9; i++) three(nonces, START + i * MINUTE)
    expect(stateOf(nonces)).toBe('unknown')
    three(nonces, START + 9 * MINUTE)
    expect(nonces.sharing.list()).toEqual([
      { server: '198.51.100.1:5060', state: 'unique', since: START + 9 * MINUTE + 20, shared: 0, unique: 10 },
    ])
  })

  it.each<[string, (nonces: IssuedNonces) => void]>([
    [
      'many within eighteen seconds',
      (nonces) => {
        for (let i = 0; i < 3_590; i++) three(nonces, START + i * 5, 1)
      },
    ],
    [
      'challenges so far apart that a second may have passed between',
      (nonces) => {
        for (let i = 0; i < 100; i++) three(nonces, START + i * MINUTE, 251)
      },
    ],
    [
      'one address alone',
      (nonces) => {
        for (let i = 0; i < 10_000; i++) issue(nonces, `${i}`, A, START + i * 100)
      },
    ],
  ])('is not told by %s', (_, happens) => {
    const nonces = new IssuedNonces()
    happens(nonces)
    expect(stateOf(nonces)).toBe('unknown')
  })

  it('is settled by one nonce that went to two addresses, and then no nonce proves a path', () => {
    const nonces = new IssuedNonces()
    issue(nonces, 'n1', A, START)
    expect(nonces.provesPath('n1', A)).toBe(true)
    issue(nonces, 'n1', B, START + 10)
    expect(stateOf(nonces)).toBe('shared')
    issue(nonces, 'n2', A, START + 5_000)
    // Though n2 went to one address only: the capture may have missed the other.
    expect(nonces.provesPath('n2', A)).toBe(false)
    expect(nonces.wasIssuedTo('n2', A)).toBe(true)
    expect(nonces.wasIssuedTo('n2', B)).toBe(false)
  })

  it('holds for one address and port of a softswitch, not for another', () => {
    const nonces = new IssuedNonces()
    issue(nonces, 'n1', A, START)
    issue(nonces, 'n1', B, START + 10)
    issue(nonces, 'm1', A, START + 20, { server: OTHER })
    expect(nonces.provesPath('m1', A)).toBe(true)
    expect(nonces.sharing.list().map(({ server, state }) => [server, state])).toEqual([
      ['198.51.100.1:5060', 'shared'],
      ['198.51.100.1:5080', 'unknown'],
    ])
  })

  it('is not what a softswitch does that keeps one nonce for a Call-ID, whoever copies that', () => {
    const nonces = new IssuedNonces()
    for (let i = 0; i < 10; i++) three(nonces, START + i * MINUTE)
    issue(nonces, 'mine', A, START + HOUR, { callId: 'copied' })
    issue(nonces, 'mine', B, START + HOUR, { callId: 'copied' })
    // This nonce proves nothing any more; of others nothing has changed, so that the guesser gains nothing.
    expect(nonces.provesPath('mine', A)).toBe(false)
    issue(nonces, 'next', A, START + HOUR)
    expect(nonces.provesPath('next', A)).toBe(true)
    expect(stateOf(nonces)).toBe('unique')
  })

  it('is taken back after an hour of signs without another shared one', () => {
    const nonces = new IssuedNonces()
    issue(nonces, 'n1', A, START)
    issue(nonces, 'n1', B, START)
    for (let i = 1; i < 60; i++) three(nonces, START + i * MINUTE)
    expect(stateOf(nonces)).toBe('shared')
    // One more shared nonce begins it all anew.
    issue(nonces, 'n2', A, START + 59 * MINUTE + SECOND)
    issue(nonces, 'n2', B, START + 59 * MINUTE + SECOND)
    for (let i = 60; i < 119; i++) three(nonces, START + i * MINUTE)
    expect(stateOf(nonces)).toBe('shared')
    three(nonces, START + 120 * MINUTE)
    expect(stateOf(nonces)).toBe('unique')
  })

  it('cannot be tipped to unique by who asks a sharing softswitch for challenges, however he times it', () => {
    const nonces = new IssuedNonces()
    issue(nonces, 'n1', A, START)
    issue(nonces, 'n1', B, START)
    const nonceAt = (at: number) => `second ${Math.floor(at / SECOND)}`
    // Just around each new second of the softswitch, from two addresses, and never both within one second.
    for (let at = START + SECOND; at < START + 12 * HOUR; at += 2 * SECOND) {
      issue(nonces, nonceAt(at - 5), A, at - 5)
      issue(nonces, nonceAt(at + 5), B, at + 5)
    }
    expect(nonces.sharing.list()).toMatchObject([{ state: 'shared', unique: 0 }])
  })

  it('survives a restart', () => {
    const before: NonceSharing = {
      server: '198.51.100.1:5060',
      state: 'shared',
      since: START - HOUR,
      shared: 7,
      unique: 30,
    }
    const nonces = new IssuedNonces()
    nonces.sharing.restore([before], START)
    issue(nonces, 'n1', A, START)
    expect(nonces.provesPath('n1', A)).toBe(false)
    // What spoke for unique nonces counts anew.
    expect(nonces.sharing.list()).toEqual([{ ...before, unique: 0 }])
    for (let i = 0; i < 60; i++) three(nonces, START + i * MINUTE)
    expect(stateOf(nonces)).toBe('shared')
  })

  it('is kept of a bounded number of softswitches', () => {
    const sharing = new SharingByServer()
    for (let port = 1; port <= 1_000; port++) {
      sharing.fresh({ ...SERVER, port }, { to: A, at: START })
    }
    expect(sharing.list()).toHaveLength(64)
  })
})
