import { createSocket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { BUSY_CAST, castOf, FULL_CAST, OFFICE_CAST, STORM_CAST } from '../../scripts/siege/cast.ts'
import { isHonest } from '../../scripts/siege/honest.ts'
import { authorize, readChallenge } from '../../scripts/siege/phones/digest.ts'
import { incidentOf, movedSeat, roamedSeat } from '../../scripts/siege/phones/incidents.ts'
import { Line } from '../../scripts/siege/phones/line.ts'
import { Phone } from '../../scripts/siege/phones/phone.ts'
import { randomFrom } from '../../scripts/siege/phones/random.ts'
import { type Dialog, register } from '../../scripts/siege/phones/register.ts'

describe('the digest of the phones', () => {
  it('answers a challenge, and counts the uses of its nonce', () => {
    const challenge = readChallenge(
      'SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="n,1", qop="auth"\r\n\r\n',
    )
    expect(challenge).toEqual({ realm: 'r', nonce: 'n,1', opaque: null, qop: true, stale: false })
    const held = { challenge: challenge!, uses: 0 }
    const who = { user: '1', password: 'p', uri: 'sip:s', cnonce: 'c' }
    const first = authorize(held, who)
    // md5(md5(1:r:p):n,1:00000001:c:auth:md5(REGISTER:sip:s)), by another program.
    expect(first).toContain('response="ea5039df132cc01e82fa2da7d3042d89"')
    expect(first).toContain('qop=auth, cnonce="c", nc=00000001')
    expect(authorize(held, who)).toContain('nc=00000002')
  })

  it('reads stale, opaque and a challenge of a proxy', () => {
    const text =
      'SIP/2.0 407 X\r\nProxy-Authenticate: Digest realm="r", nonce="n", opaque="o", stale=TRUE\r\n\r\n'
    expect(readChallenge(text)).toEqual({ realm: 'r', nonce: 'n', opaque: 'o', qop: false, stale: true })
    expect(readChallenge('SIP/2.0 401 X\r\nWWW-Authenticate: Basic realm="r"\r\n\r\n')).toBeNull()
  })
})

describe('a registration', () => {
  const closing: (() => void)[] = []
  afterEach(() => {
    for (const close of closing.splice(0)) close()
  })

  /** A softswitch that answers each REGISTER as it is told, null: not at all. */
  async function registration(
    answers: readonly (string | null)[],
    nonce: Dialog['nonce'] = null,
  ): Promise<{ outcome: string; heard: string[]; took: number }> {
    const heard: string[] = []
    const server = createSocket('udp4')
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
    closing.push(() => server.close())
    server.on('message', (bytes, from) => {
      const text = bytes.toString()
      const answer = answers[heard.length] ?? null
      heard.push(text)
      const cseq = /CSeq: .*/.exec(text)![0]
      if (answer !== null) server.send(`SIP/2.0 ${answer}\r\n${cseq}\r\n\r\n`, from.port, from.address)
    })
    const { port } = server.address() as AddressInfo
    const at = { address: '127.0.0.1', port: 0 }
    const line = await Line.open(at, { address: '127.0.0.1', port })
    closing.push(() => line.close())
    const dialog: Dialog = { callId: 'c', tag: 't', cseq: 0, nonce }
    const begun = performance.now()
    const outcome = await register(line, { ...at, user: 1, password: 'p' }, dialog, {
      server: 's',
      expires: 60,
      random: randomFrom(1),
    })
    return { outcome, heard, took: performance.now() - begun }
  }
  const challenge = (nonce: string, more = '') =>
    `401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="${nonce}", qop="auth"${more}`

  it('answers the challenge', async () => {
    const { outcome, heard } = await registration([challenge('a'), '200 OK'])
    expect(outcome).toBe('registered')
    expect(heard.map((text) => text.includes('Authorization: Digest'))).toEqual([false, true])
  })

  it('repeats the same request after T1 where nobody answers (RFC 3261 17.1.2.2)', async () => {
    const { outcome, heard, took } = await registration([null, '200 OK'])
    expect(outcome).toBe('registered')
    expect(heard[1]).toBe(heard[0])
    expect(took).toBeGreaterThan(450)
  })

  it('takes a second challenge for a wrong password, and one about a stale nonce not', async () => {
    expect((await registration([challenge('a'), challenge('b')])).outcome).toBe('refused')
    const stale = await registration([challenge('a'), challenge('b', ', stale=true'), '200 OK'])
    expect(stale.outcome).toBe('registered')
    expect(stale.heard).toHaveLength(3)
  })

  it('uses the nonce of last time first, and a refusal of it is no wrong password', async () => {
    const last = readChallenge('SIP/2.0 401 X\r\nWWW-Authenticate: Digest realm="r", nonce="old"\r\n\r\n')!
    const { outcome, heard } = await registration([challenge('new'), '200 OK'], { challenge: last, uses: 3 })
    expect(outcome).toBe('registered')
    expect(heard.map((text) => /nonce="(\w+)"/.exec(text)?.[1])).toEqual(['old', 'new'])
  })

  it('is refused by a 403', async () => {
    expect((await registration(['403 Forbidden'])).outcome).toBe('refused')
  })
})

describe('the cast', () => {
  it.each([
    ['of a flood', FULL_CAST],
    ['of the office', OFFICE_CAST],
    ['of the storm', STORM_CAST],
    ['of the busy hour', BUSY_CAST],
  ])('%s has an address, port and account for each', (_, sizes) => {
    const seats = castOf(sizes, [1, 13]).groups.flatMap((group) => group.seats)
    const wanted = Object.values(sizes).reduce((sum, amount) => sum + amount, 0)
    // Wherever its phones go in the siege, nobody is there.
    const after = seats.map((seat) => roamedSeat(seat)).concat(seats.map((seat) => movedSeat(seat)))
    const places = new Set(seats.map(({ address, port }) => `${address}:${port}`))
    if (sizes !== STORM_CAST && sizes !== OFFICE_CAST)
      expect(after.filter(({ address, port }) => places.has(`${address}:${port}`))).toEqual([])
    expect(seats).toHaveLength(wanted)
    expect(new Set(seats.map(({ address, port }) => `${address}:${port}`)).size).toBe(wanted)
    expect(new Set(seats.map(({ user }) => user)).size).toBe(wanted)
    for (const { address } of seats) expect(address).toMatch(/^10\.50\.\d+\.\d+$/)
  })

  it('is what a decision must not touch', () => {
    const cast = castOf({ customers: 5, ordinary: 0, newcomers: 0, office: 2 }, [1, 2])
    const touched = (target: string) => isHonest(target, cast)
    expect(['10.50.0.10', '10.50.0.10:5060', '10.50.200.1', '10.50.200.1:20001'].map(touched)).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(['10.50.0.0/24', '10.0.0.0/8', '0.0.0.0/1'].map(touched)).toEqual([true, true, true])
    expect(
      ['10.50.200.1:40000', '10.60.0.10', '16.1.2.3:99', '16.0.0.0/8', '10.51.0.0/16'].map(touched),
    ).toEqual([false, false, false, false, false])
  })
})

describe('what happens to phones', () => {
  it('happens to as many as its share says, all over the group', () => {
    const incidents = [
      { what: 'moves', share: 0.1, within: [0, 1] },
      { what: 'reboots', share: 0.3, within: [0, 1] },
    ] as const
    const met = Array.from({ length: 500 }, (_, i) => incidentOf(i, incidents)?.what ?? 'nothing')
    const count = (what: string) => met.filter((one) => one === what).length
    expect(Math.abs(count('moves') - 50)).toBeLessThan(5)
    expect(Math.abs(count('reboots') - 150)).toBeLessThan(5)
    for (let from = 0; from < 500; from += 50)
      expect(met.slice(from, from + 50).filter((what) => what === 'moves').length).toBeGreaterThan(2)
  })

  it('is acted on: a restart comes at once with another Call-ID, a new port at the next registration', async () => {
    const heard: { callId: string; port: number }[] = []
    const server = createSocket('udp4')
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
    server.on('message', (bytes, from) => {
      const text = bytes.toString()
      heard.push({ callId: /Call-ID: (.*)/.exec(text)![1]!, port: from.port })
      server.send(`SIP/2.0 200 OK\r\n${/CSeq: .*/.exec(text)![0]}\r\n\r\n`, from.port, from.address)
    })
    const { port } = server.address() as AddressInfo
    const seat = { user: 1, address: '127.0.0.1', port: 29_460 }
    const phone = new Phone(
      seat,
      { kind: 'busy', seats: [seat], every: [0.3, 0.3], appears: 'before', within: [0, 0] },
      { random: randomFrom(1), reuseNonce: 0 },
    )
    phone.play({ address: '127.0.0.1', port }, () => performance.now())
    const heardAre = (amount: number) => expect.poll(() => heard.length, { timeout: 5_000 }).toBe(amount)
    await heardAre(1)
    phone.befall('moves')
    await heardAre(2)
    expect(heard.map((one) => one.port)).toEqual([29_460, 29_461])
    expect(heard[1]!.callId).toBe(heard[0]!.callId)
    const before = performance.now()
    phone.befall('reboots')
    await heardAre(3)
    expect(performance.now() - before).toBeLessThan(200)
    expect(heard[2]!.callId).not.toBe(heard[1]!.callId)
    expect(phone.record.registrations.every(({ outcome }) => outcome !== 'refused')).toBe(true)
    phone.hangUp()
    server.close()
  })
})
