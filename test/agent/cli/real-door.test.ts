import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApi } from '../../../dashboard/api/app.ts'
import { listenOnSocket } from '../../../dashboard/api/listen.ts'
import { type ImaginedControlPlane, imagineControlPlane } from '../../dashboard/imagined-control-plane.ts'
import { newPlace, type Place, run } from './command-line.ts'

// The commands against the API that the daemon serves, so that both mean the same by every route and body.

let place: Place
let plane: ImaginedControlPlane
let api: Awaited<ReturnType<typeof buildApi>>

beforeAll(async () => {
  place = newPlace()
  plane = imagineControlPlane()
  api = await buildApi({ plane, door: { kind: 'socket' }, version: '1.2.3' })
  await listenOnSocket(api, { path: place.socket })
})

afterAll(async () => {
  await api.close()
  place.remove()
})

test('a whole session', async () => {
  const codes: string[] = []
  const say = async (line: string) => {
    const ran = await run(place, line.split(' '), { readInput: async () => 'correct horse\n' })
    codes.push(`${line}: ${ran.code}`)
    return ran
  }
  await say('status')
  await say('explain 203.0.113.7')
  await say('block 203.0.113.7 --for 10m --reason guesses')
  const { out } = await say('blocked')
  await say('explain 203.0.113.7')
  await say('unblock 203.0.113.7')
  await say('unblock 203.0.113.7')
  await say('unblock 203.0.113.7:5062')
  await say('allow 2001:db8::/48 --reason trunk')
  await say('allowed')
  await say('disallow 2001:db8::/48')
  await say('disallow 2001:db8::/48')
  await say('enforce sip')
  await say('enforce sip --observe')
  await say('off')
  await say('on')
  await say('account add 1001 --password-stdin')
  await say('account add 1001 --password-stdin')
  await say('account list')
  await say('account remove 1001')
  await say('account remove 1001')
  await say('bindings')

  expect(codes).toEqual([
    'status: 0',
    'explain 203.0.113.7: 4',
    'block 203.0.113.7 --for 10m --reason guesses: 0',
    'blocked: 0',
    'explain 203.0.113.7: 0',
    'unblock 203.0.113.7: 0',
    'unblock 203.0.113.7: 4',
    'unblock 203.0.113.7:5062: 4',
    'allow 2001:db8::/48 --reason trunk: 0',
    'allowed: 0',
    'disallow 2001:db8::/48: 0',
    'disallow 2001:db8::/48: 4',
    'enforce sip: 0',
    'enforce sip --observe: 0',
    'off: 0',
    'on: 0',
    'account add 1001 --password-stdin: 0',
    'account add 1001 --password-stdin: 1',
    'account list: 0',
    'account remove 1001: 0',
    'account remove 1001: 4',
    'bindings: 0',
  ])
  expect(out).toMatch(/^TARGET .*\n203\.0\.113\.7 +block +sip +(10m|9m 5\ds) .*guesses\n$/)
  expect(new Set(plane.orders.map(({ by }) => by))).toEqual(new Set(['alice@cli']))
})
