import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { plainLines } from '../../../agent/cli/terminal.ts'
import { attackers } from '../attack.ts'
import { castOf } from '../cast.ts'
import { compileFlood, floodResult, startFlood } from '../flood.ts'
import { Ringfence } from '../guards/ringfence.ts'
import { Guessers, Phones } from '../players.ts'
import { type Program, until } from '../program.ts'
import { arrivedAt, startSoftswitch } from '../softswitch.ts'
import { SERVER, type SiegeStage } from '../stage.ts'
import { type ActFigures, type Lengths, renderActs, servedBetween, shareOf } from './acts.ts'
import { DASHBOARD, openWindow } from './window.ts'

const CUSTOMERS = 150
/** Twice and more what the softswitch can read; a laptop can send it. */
const FLOOD = { sources: 10_000, perSecond: 20_000 } as const
const GUESSES_A_SECOND = 4
/** The account of one of the customers. */
const GUESSED = 1_000
/** A registration is known to be late only then. */
const PATIENCE = 5
const LOOK = 2_000
const LONGEST = 3_600

export interface Telling {
  readonly lengths: Lengths
  readonly port: number
  readonly say: (text: string) => void
  /** Waits until whoever looks on wants to go on, where somebody does. */
  readonly wait: (question: string) => Promise<void>
  /** What has to be closed at the end, besides the stage. */
  readonly later: (step: () => Promise<void>) => void
}

/** Tells of a flood and a guesser, without and with Ringfence, on a stage that the caller removes. */
export async function tell(stage: SiegeStage, telling: Telling): Promise<void> {
  const { lengths, say, wait, later, port } = telling
  await stage.build()
  const [softswitch, generator] = await Promise.all([
    startSoftswitch(stage, 'unique'),
    compileFlood(stage.path('flood')),
  ])
  const { groups } = castOf({ customers: CUSTOMERS, ordinary: 0, newcomers: 0, office: 0 }, [1, 2])
  const phones = new Phones(stage, {
    server: SERVER,
    port: 5_060,
    seed: 1,
    // A phone that goes on with a nonce of before Ringfence is proven only when that has expired: minutes too long here.
    reuseNonce: 0,
    groups,
    longest: LONGEST,
  })
  const acts: ActFigures[] = []
  const parts = { phones, softswitch, say, acts }

  say(`
1. Peace
   A softswitch (Kamailio, good for some 4,000 REGISTERs a second) and ${CUSTOMERS} phones of customers, each of which
   registers every 5 seconds, all in network namespaces of this host. In time is an answer within 4 seconds.`)
  await until(() => phones.registered().customer === CUSTOMERS, {
    within: 30_000,
    what: 'the phones',
    every: 500,
  })
  await act(parts, { act: 'peace', attack: 'none', seconds: lengths.peace, guard: null })

  say(`
2. A flood, and nobody guards
   ${FLOOD.sources.toLocaleString('en')} sources send ${FLOOD.perSecond.toLocaleString('en')} REGISTERs a second together: 2 each, fewer than a phone that is switched on.`)
  const flood = (seconds: number, seed: number) => {
    const order = { sources: { kind: 'pool', amount: FLOOD.sources }, ports: 'own', seed, seconds } as const
    return startFlood(stage, generator, { ...order, perSecond: FLOOD.perSecond })
  }
  const attack = `${FLOOD.perSecond.toLocaleString('en')} REGISTERs/s`
  await act(parts, {
    act: 'without Ringfence',
    attack,
    seconds: lengths.unguarded,
    guard: null,
    flood: flood(lengths.unguarded, 1),
  })

  say(`
3. Ringfence comes
   Installed as on any host, with its defaults. It sees who is registered by the softswitch's own answers.`)
  const guard = new Ringfence(stage, '', { dashboard: `${DASHBOARD.host}:${DASHBOARD.port}` })
  await guard.start()
  later(() => guard.end())
  later(await openWindow(stage, port))
  say(`
   Its dashboard: http://127.0.0.1:${port}
   password:      ${readFileSync(stage.path('password'), 'utf8').trim()}
   from another computer: ssh -L ${port}:127.0.0.1:${port} root@THIS-HOST
`)
  await act(parts, { act: 'peace, guarded', attack: 'none', seconds: lengths.meet, guard })
  const proven = async () => (await guard.status()).lanes.proven
  // Whom the flood had put off waits for an answer for 32 s, and for half a minute until the next try.
  const all = { within: 75_000, what: 'all customers known', every: 1_000 }
  await until(async () => (await proven()) >= CUSTOMERS, all).catch(() => {})
  say(`   ${await proven()} of ${CUSTOMERS} customers have registered and are known by address and port.`)
  await wait('   Open the dashboard, then press Enter for the flood: ')

  say(`
4. The same flood again`)
  await act(parts, {
    act: 'with Ringfence',
    attack,
    seconds: lengths.guarded,
    guard,
    flood: flood(lengths.guarded, 2),
  })
  await tellOfGuesser(stage, { ...parts, guard, seconds: lengths.guesser })

  say(`
6. All over
${renderActs(acts)}
`)
  await wait('   The dashboard stays open until you press Enter; then all of it is removed: ')
}

interface Parts {
  readonly phones: Phones
  readonly softswitch: Program
  readonly say: (text: string) => void
  readonly acts: ActFigures[]
}

/** One act: what goes on in it, and how the customers fare meanwhile. */
async function act(
  { phones, softswitch, say, acts }: Parts,
  about: {
    readonly act: string
    readonly attack: string
    readonly seconds: number
    readonly guard: Ringfence | null
    readonly flood?: Program
  },
): Promise<void> {
  const { guard, seconds, flood } = about
  const reached = () => {
    const { read, refused } = arrivedAt(softswitch)
    return read + refused
  }
  const droppedNow = async () => (guard ? sum(await guard.dropsByRule()) : 0)
  const [before, droppedBefore] = [reached(), await droppedNow()]
  // Registrations are counted some seconds after they began: those of the act before are not of this one.
  const counting = pause(PATIENCE * 1_000).then(() => phones.served())
  const begun = performance.now()
  let shown = phones.served()
  while (performance.now() - begun < seconds * 1_000) {
    await pause(LOOK)
    const now = phones.served()
    const time = `${Math.round((performance.now() - begun) / 1_000)}`.padStart(4)
    say(`   ${time} s   customers served in time: ${shareOf(servedBetween(shown, now)).padStart(7)}`)
    shown = now
  }
  if (flood) await floodResult(flood)
  const elapsed = (performance.now() - begun) / 1_000
  const [after, dropped] = [reached(), await droppedNow()]
  await pause(PATIENCE * 1_000)
  const served = servedBetween(await counting, phones.served())
  const reachedPerSecond = (after - before) / elapsed
  const figures = {
    act: about.act,
    attack: about.attack,
    served,
    reachedPerSecond,
    dropped: guard ? dropped - droppedBefore : null,
  }
  acts.push(figures)
  const kept = figures.dropped === null ? '' : `; Ringfence dropped ${figures.dropped.toLocaleString('en')}`
  say(
    `   → ${shareOf(served)} of ${served.asked} registrations in time; ${Math.round(reachedPerSecond).toLocaleString('en')} packets a second reached the softswitch${kept}`,
  )
}

async function tellOfGuesser(
  stage: SiegeStage,
  parts: Parts & { readonly guard: Ringfence; readonly seconds: number },
): Promise<void> {
  const { say, guard, seconds } = parts
  const sources = attackers(1)
  const { address } = sources[0]!
  say(`
5. A guesser
   ${address} answers its challenges, and tries a password of customer ${GUESSED} ${GUESSES_A_SECOND} times a second.`)
  const guesser = new Guessers(stage, 'attackers', {
    server: SERVER,
    port: 5_060,
    seed: 1,
    sources,
    users: [GUESSED, GUESSED],
    every: 1 / GUESSES_A_SECOND,
    hopAfter: 1_000,
    longest: LONGEST,
  })
  await act(parts, { act: 'a guesser', attack: `${GUESSES_A_SECOND} passwords/s`, seconds, guard })
  const { tries, refused } = await guesser.finish()
  say(`   He tried ${tries} passwords; ${refused} were answered.\n\n   $ ringfence blocked`)
  say(indented(await guard.say('blocked')))
  say(`   $ ringfence explain ${address}`)
  say(indented(await guard.say('explain', address)))
}

const sum = (values: Readonly<Record<string, number>>) =>
  Object.values(values).reduce((total, value) => total + value, 0)

function indented(text: string): string {
  return plainLines(text.trimEnd())
    .split('\n')
    .map((line) => `   ${line}`)
    .join('\n')
}
