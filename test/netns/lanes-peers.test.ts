import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { denied, proven, traffic } from '../rules/desired.ts'
import { BACKENDS } from '../stage/load-rules.ts'
import { LATER, slow, TELLING, TOLD } from './lanes-limits.ts'
import { ACK, BYE, INVITE, OK, OPTIONS, REGISTER, sip, times } from './lanes-texts.ts'
import { type Family, HOST, RulesStage } from './rules-stage.ts'

const STUN_REQUEST = `\0\x01\0\0\x21\x12\xa4\x42${'x'.repeat(12)}`
const STUN_ANSWER = `\x01\x01\0\x0c\x21\x12\xa4\x42${'x'.repeat(24)}`

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`peers and calls by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    const passed = (from: string, amount: number, text: string, port = 5060) =>
      stage.passed({ from, port, texts: times(amount, text) })
    /** As the set holds a peer: an address, an IPv6 /64. */
    const asked = async () => (await stage.elements('asked', family)).map((element) => element.split(' ')[0])

    test('responses of a peer pass once the softswitch has sent it a request; of others, what the rest leaves', async () => {
      await stage.hold({ limits: { ...TELLING, rest: slow(4) } })
      const [peer, other] = [stage.fresh(family), stage.fresh(family)]
      await stage.reply({ to: peer, texts: [INVITE] })
      expect(await asked()).toEqual([peer])
      expect(await passed(other, 30, OK)).toBe(4)
      expect(await passed(peer, 30, OK)).toBe(30)
      // Some answer from another port than the one they were asked at.
      expect(await passed(peer, 10, OK, 6_000)).toBe(10)
      expect(await passed(peer, 15, OPTIONS)).toBe(15)
      expect(await passed(peer, 30, BYE)).toBe(5)
    })

    test('an asked peer is unknown all the same when it registers', async () => {
      await stage.hold({ limits: TELLING })
      const peer = stage.fresh(family)
      await stage.reply({ to: peer, texts: [OPTIONS] })
      expect(await passed(peer, 30, REGISTER)).toBe(5)
    })

    test.each(
      [
        'INVITE',
        'ACK',
        'BYE',
        'CANCEL',
        'OPTIONS',
        'REGISTER',
        'SUBSCRIBE',
        'NOTIFY',
        'INFO',
        'PRACK',
        'UPDATE',
        'REFER',
        'MESSAGE',
        'PUBLISH',
      ].map((method) => [method]),
    )('%s of the softswitch asks', async (method) => {
      await stage.hold({ limits: TELLING })
      const peer = stage.fresh(family)
      await stage.reply({ to: peer, texts: [sip(`${method} sip:1@192.0.2.1 SIP/2.0`)] })
      expect(await asked()).toEqual([peer])
    })

    test.each([
      ['a response', OK],
      ['a response to a STUN request', STUN_ANSWER],
      ['a keepalive', '\r\n\r\n'],
      ['nothing', ''],
    ])('%s of the softswitch makes nobody an asked peer, since anybody gets one', async (_says, text) => {
      await stage.hold({ limits: { ...TELLING, rest: slow(4) } })
      const from = stage.fresh(family)
      await stage.reply({ to: from, texts: [text] })
      expect(await asked()).toEqual([])
      expect(await passed(from, 30, OK)).toBe(4)
    })

    test('what does not come from a SIP port asks nobody, nor does what the host sends to itself', async () => {
      await stage.hold({ limits: TELLING })
      await stage.reply({ to: stage.fresh(family), port: 6_000, texts: [INVITE] })
      await stage.reply({ to: HOST[family], port: 5060, toPort: 5062, texts: [INVITE] })
      expect(await asked()).toEqual([])
    })

    test('a blocked source is not heard, though it was asked', async () => {
      const peer = stage.fresh(family)
      await stage.hold({ limits: TELLING, blocks: [denied(peer)] })
      await stage.reply({ to: peer, texts: [INVITE] })
      expect(await passed(peer, 5, OK)).toBe(0)
    })

    test('where nobody can know who was asked, each source of responses has a ceiling', async () => {
      const known = stage.fresh(family)
      await stage.hold({
        limits: { ...TELLING, rest: slow(1) },
        traffic: traffic({ responses: 'any' }),
        members: [[proven(known, 5060, LATER)]],
      })
      await stage.reply({ to: stage.fresh(family), texts: [INVITE] })
      expect(await asked()).toEqual([])
      expect(await passed(stage.fresh(family), 80, OK)).toBe(60)
      expect(await passed(stage.fresh(family), 80, OK)).toBe(60)
      expect(await passed(known, 80, OK)).toBe(60)
    })

    test('SIP requests over their limit are listed, and dropped when that is enforced', async () => {
      const limits = (enforced: boolean) => ({ limits: { ...TELLING, sip: { ...TELLING.sip, enforced } } })
      const [one, two] = [stage.fresh(family), stage.fresh(family)]
      await stage.hold(limits(false))
      expect(await passed(one, 10, OPTIONS)).toBe(10)
      expect(await stage.elements('wsip', family)).toEqual([])
      expect(await passed(one, 30, INVITE)).toBe(30)
      expect(await passed(two, 11, INVITE)).toBe(11)
      const listed = await stage.elements('wsip', family)
      expect(listed).toHaveLength(1)
      expect(listed[0]).toMatch(/ packets 29 /)
      await stage.change(limits(true))
      expect(await passed(one, 30, OPTIONS)).toBe(0)
      expect(await passed(two, 30, OPTIONS)).toBe(0)
      expect(await passed(stage.fresh(family), 30, OPTIONS)).toBe(11)
      expect(await passed(one, 30, REGISTER)).toBe(5)
    })

    test.each([
      ['enforced', true],
      ['observed', false],
    ] as const)(
      'ACK and BYE of calls have a bucket of their own, the limit being %s',
      async (_says, enforced) => {
        await stage.hold({ limits: { ...TELLING, sip: { ...TELLING.sip, enforced } } })
        const from = stage.fresh(family)
        expect(await passed(from, 40, INVITE)).toBe(enforced ? 11 : 40)
        expect(await passed(from, 30, ACK)).toBe(30)
        expect(await passed(from, 40, BYE)).toBe(enforced ? TOLD.calls - 30 : 40)
      },
    )

    test('a proven port keeps calling where the limit is enforced', async () => {
      const known = stage.fresh(family)
      await stage.hold({ limits: TELLING, members: [[proven(known, 5060, LATER)]] })
      expect(await passed(known, 30, OPTIONS, 6_000)).toBe(11)
      expect(await passed(known, 30, INVITE)).toBe(30)
    })

    test('a keepalive and STUN of a proven port need nobody’s leave', async () => {
      const known = stage.fresh(family)
      await stage.hold({
        limits: { ...TELLING, rest: slow(1), sip: { ...TELLING.sip, ...slow(1) } },
        members: [[proven(known, 5060, LATER)]],
      })
      expect(await passed(stage.fresh(family), 9, '\r\n\r\n')).toBe(1)
      expect(await passed(known, 20, '\r\n\r\n')).toBe(20)
      expect(await passed(known, 20, STUN_REQUEST)).toBe(20)
    })
  })
}
