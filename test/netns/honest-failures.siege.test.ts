import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const able = canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio'] })
const SERVER = '10.99.0.1'
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'
const PHONES = fileURLToPath(new URL('failing-phones.mjs', import.meta.url))

interface PhonePlan {
  readonly address: string
  readonly port?: number
  readonly user: number
  readonly password: string
  readonly tries: number
  readonly transport?: 'udp' | 'tcp'
  readonly every?: number
  readonly after?: number
  /** No try begins later than so many milliseconds. */
  readonly lasts?: number
}

interface PhoneHeard {
  readonly user: number
  readonly port: number
  readonly isConnected: boolean
  readonly statuses: readonly number[]
}

/** Kamailio that refuses whom it should not, once it was told to by a PUBLISH: 0 nobody, 1 bare ones too, 2 all credentials. */
async function startMoodyKamailio(stage: Stage, host: StageHost, nonces: 'shared' | 'unique'): Promise<void> {
  const file = stage.path('kamailio.cfg')
  writeFileSync(
    file,
    `#!KAMAILIO
debug=0
log_stderror=yes
children=4
tcp_children=2
auto_aliases=no
listen=udp:${host.address}:5060
listen=tcp:${host.address}:5060
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
${nonces === 'shared' ? '' : 'modparam("auth", "nonce_count", 1)'}
modparam("auth", "qop", "auth")
modparam("pv", "shvset", "mode=i:0")
request_route {
  if (is_method("PUBLISH")) { $shv(mode) = $(hdr(X-Mode){s.int}); sl_send_reply("200", "OK"); exit; }
  if (!is_method("REGISTER")) { sl_send_reply("200", "OK"); exit; }
  if ($shv(mode) == 1) { sl_send_reply("403", "Forbidden"); exit; }
  if ($shv(mode) == 2) { auth_challenge("$td", "1"); exit; }
  $var(password) = "pw" + $aU;
  if (!pv_auth_check("$td", "$var(password)", "0", "0")) { auth_challenge("$td", "1"); exit; }
  save("location");
  exit;
}
`,
  )
  const folders = ['-P', stage.path('kamailio.pid'), '-Y', stage.folder, '-w', stage.folder]
  await stage
    .start(host, 'kamailio', ['-f', file, '-DD', '-E', '-m', '64', ...folders])
    .says(/Listening on[\s\S]*Aliases/)
}

const TELL = `
const [host, mode] = process.argv.slice(1)
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', () => process.exit(0))
const lines = ['PUBLISH sip:x@' + host + ' SIP/2.0', 'Via: SIP/2.0/UDP ' + host + ':5999;branch=z9hG4bKm' + mode, 'From: <sip:x@x>;tag=1', 'To: <sip:x@x>', 'Call-ID: m' + mode, 'CSeq: 1 PUBLISH', 'X-Mode: ' + mode, 'Content-Length: 0', '', '']
socket.bind(5999, host, () => socket.send(lines.join('\\r\\n'), 5060, host))`

describe.runIf(able).each(['shared', 'unique'] as const)(
  'failures that are nobody’s guesses, nonces %s',
  (nonces) => {
    const stage = new Stage()
    let server: StageHost
    let office: StageHost
    let customers: StageHost
    let ringfence: Ringfence

    beforeAll(async () => {
      await stage.create()
      server = await stage.addHost('switch', SERVER)
      office = await stage.addHost('office', '10.99.0.20')
      customers = await stage.addHost(
        'many',
        Array.from({ length: 12 }, (_, i) => `10.99.1.${10 + i}`).join(' '),
      )
      await startMoodyKamailio(stage, server, nonces)
      ringfence = new Ringfence(stage, server, SETTINGS)
      await ringfence.start()
    })
    afterAll(() => stage.remove())

    async function play(host: StageHost, phones: readonly PhonePlan[]): Promise<PhoneHeard[]> {
      const running = stage.start(host, process.execPath, [
        PHONES,
        JSON.stringify({ server: SERVER, phones }),
      ])
      await running.ended
      return JSON.parse(running.output) as PhoneHeard[]
    }
    const tell = async (mode: number) => {
      expect(await stage.start(server, process.execPath, ['-e', TELL, SERVER, String(mode)]).ended).toBe(0)
    }
    const standing = async (address: string) =>
      (await ringfence.ask<DecisionView[]>('blocked'))
        .map(({ target }) => target)
        .filter((target) => target.startsWith(address))

    it('an office that starts for the first time with three wrong phones: those are suspended, twenty register', async () => {
      const bad = Array.from({ length: 3 }, (_, i) => ({
        address: office.address,
        port: 20_000 + i,
        user: 1_000 + i,
        password: 'wrong',
        tries: 8,
        every: 50,
        // One after the other: the next comes when the port of the one before is suspended.
        after: i * 1_500,
      }))
      const heard = await play(office, bad)
      expect(heard.map(({ statuses }) => statuses.filter((status) => status === 401).length)).toEqual([
        6, 6, 6,
      ])
      const ports = bad.map(({ port }) => `${office.address}:${port}`)
      expect((await standing(office.address)).sort()).toEqual(ports)
      const good = Array.from({ length: 20 }, (_, i) => ({
        address: office.address,
        port: 21_000 + i,
        user: 1_100 + i,
        password: `pw${1_100 + i}`,
        tries: 3,
        after: i * 250,
      }))
      const registered = await play(office, good)
      expect(registered.filter(({ statuses }) => statuses.at(-1) === 200)).toHaveLength(20)
      expect((await standing(office.address)).sort()).toEqual(ports)
    })

    it.each([
      ['403 to everything', 1, 403],
      ['a new challenge to all credentials', 2, 401],
    ] as const)(
      'a softswitch that refuses everybody, %s: nobody is suspended, and it is told',
      async (_, mode, status) => {
        const phones = (tries: number, every = 0) =>
          Array.from({ length: 12 }, (_each, i) => ({
            address: `10.99.1.${10 + i}`,
            port: 22_000 + i,
            user: 1_200 + i,
            password: `pw${1_200 + i}`,
            tries,
            every,
            after: i * 30,
          }))
        const before = await play(customers, phones(2))
        expect(before.map(({ statuses }) => statuses.at(-1))).toEqual(Array.from({ length: 12 }, () => 200))
        await tell(mode)
        // Ten refusals each, of six that suspend.
        const during = await play(customers, phones(10, 900))
        expect(new Set(during.flatMap(({ statuses }) => statuses))).toEqual(new Set([status]))
        await tell(0)
        const after = await play(customers, phones(2))
        expect(after.map(({ statuses }) => statuses)).toEqual(Array.from({ length: 12 }, () => [200]))
        expect(await standing('10.99.1.')).toEqual([])
        if (mode === 1) {
          const told = async () => {
            const stories = await Promise.all(
              phones(1).map(({ address }) => ringfence.ask<SourceStory>('explain', address)),
            )
            return stories.flatMap(({ verdicts }) => verdicts.map(({ name }) => name)).includes('refused-all')
          }
          await eventually(told, 10_000, 'the alert')
        }
      },
    )

    it('one connection that guesses as fast as it is answered: its packets are dropped, its neighbours register', async () => {
      const address = '10.99.0.30'
      const host = await stage.addHost('guesser', address)
      const guesses = {
        address,
        user: 1_300,
        password: 'wrong',
        tries: 100_000,
        lasts: 4_000,
        transport: 'tcp',
      } as const
      const [guesser] = await play(host, [guesses])
      const { port, statuses } = guesser!
      // Six, and those that were answered before the kernel heard of it.
      expect(statuses.filter((status) => status === 401).length).toBeLessThan(500)
      expect(statuses.slice(-3)).toEqual([0, 0, 0])
      expect(await standing(address)).toEqual([`${address}:${port}`])
      const neighbours = await play(host, [
        { address, user: 1_301, password: 'pw1301', tries: 1, transport: 'tcp' },
        { address, port: 23_000, user: 1_302, password: 'pw1302', tries: 2 },
      ])
      expect(neighbours.map(({ statuses: [first] }) => first)).toEqual([200, 200])
      expect(await standing(address)).toEqual([`${address}:${port}`])
    })
  },
)
