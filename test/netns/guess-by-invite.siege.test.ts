import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const PHONES = fileURLToPath(new URL('failing-phones.mjs', import.meta.url))
const SERVER = '10.99.0.1'
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'

interface Called {
  readonly user: string
  readonly port: number
  readonly statuses: readonly number[]
}

describe.runIf(canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio'] }))(
  'passwords that are guessed by INVITE',
  () => {
    const stage = new Stage()
    let server: StageHost
    let phones: StageHost
    let guesser: StageHost
    let ringfence: Ringfence

    beforeAll(async () => {
      await stage.create()
      server = await stage.addHost('switch', SERVER)
      phones = await stage.addHost('phones', '10.99.0.10')
      guesser = await stage.addHost('guess', '10.99.0.77')
      await startKamailio(stage, server, { sharedNonces: false, asksCallers: true })
      ringfence = new Ringfence(stage, server, SETTINGS)
      await ringfence.start()
    })
    afterAll(() => stage.remove())

    const call = async (from: StageHost, ...plan: readonly object[]): Promise<readonly Called[]> => {
      const asked = JSON.stringify({ server: SERVER, phones: plan })
      return JSON.parse(await from.namespace.run(process.execPath, PHONES, asked)) as Called[]
    }

    it('over TCP: the connection is cut at the retry limit, and told with its method', async () => {
      const plan = { address: '10.99.0.77', user: '1001', password: 'wrong', tries: 12 }
      const [called] = await call(guesser, { ...plan, method: 'INVITE', transport: 'tcp', every: 50 })
      const answered = called!.statuses.filter((status) => status === 407).length
      // Six, and what was on its way while the verdict came.
      expect(answered).toBeGreaterThanOrEqual(6)
      expect(answered).toBeLessThanOrEqual(8)
      const measures = await ringfence.ask<DecisionView[]>('blocked')
      expect(measures).toMatchObject([{ target: `10.99.0.77:${called!.port}`, kind: 'block', scope: 'sip' }])
      const story = await ringfence.ask<SourceStory>('explain', '10.99.0.77')
      expect(story.exchanges?.[0]).toMatchObject({ method: 'INVITE', outcome: 'failure', status: 407 })
      const { stdout } = await ringfence.command(['explain', '10.99.0.77'])
      expect(stdout).toContain('failure by INVITE (407, grade path)')
    })

    it('over UDP: the port loses all its requests once nonces are known to be unique', async () => {
      const goes = { tries: 60, every: 400, lasts: 8_000, goesOn: true }
      const others = [0, 1, 2].map((i) => ({
        port: 5_080 + i,
        user: `20${i}`,
        password: `pw20${i}`,
        ...goes,
      }))
      const caller = {
        address: '10.99.0.77',
        port: 5_090,
        user: '1009',
        password: 'pw1009',
        method: 'MESSAGE',
      }
      const areUnique = async () => (await ringfence.status()).nonces.some(({ state }) => state === 'unique')
      // Nonces to several addresses within a moment, again and again, are how that is learnt.
      for (let round = 0; round < 6 && !(await areUnique()); round++) {
        const [registered, sent] = await Promise.all([
          call(phones, ...others.map((other) => ({ ...other, address: '10.99.0.10' }))),
          call(guesser, { ...caller, ...goes }),
        ])
        // Who calls with the right password all the time is no guesser.
        expect(new Set(registered.flatMap(({ statuses }) => statuses))).toEqual(new Set([200]))
        expect(new Set(sent[0]!.statuses)).toEqual(new Set([486]))
      }
      expect(await areUnique()).toBe(true)
      const plan = { address: '10.99.0.77', port: 5_091, user: '1002', password: 'wrong' }
      const [called] = await call(guesser, { ...plan, method: 'INVITE', tries: 12, every: 20 })
      const answered = called!.statuses.filter((status) => status === 407).length
      expect(answered).toBeGreaterThanOrEqual(6)
      expect(answered).toBeLessThanOrEqual(8)
      expect(called!.statuses.at(-1)).toBe(0)
      const suspended = (await ringfence.ask<DecisionView[]>('blocked')).find(
        ({ target }) => target === '10.99.0.77:5091',
      )
      expect(suspended).toMatchObject({ kind: 'suspend', scope: 'sip', grade: 'path' })
      // Neither INVITEs nor REGISTERs come through from there; another port of the address is heard.
      const [again] = await call(guesser, { ...plan, method: 'INVITE', tries: 1 })
      const [registering] = await call(guesser, { ...plan, tries: 1 })
      const [other] = await call(guesser, {
        ...plan,
        port: 5_092,
        user: '1009',
        password: 'pw1009',
        tries: 1,
      })
      expect([again, registering, other].map((each) => each!.statuses)).toEqual([[0], [0], [200]])
    })
  },
)
