import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { incidentOf } from './incidents.ts'
import { Phone } from './phone.ts'
import type { PhoneKind, PhonesPlan, PhonesProgress, PhonesResult } from './plan.ts'
import { between, randomFrom } from './random.ts'
import { countServed } from './served.ts'

/**
 * Plays many honest phones over UDP. Its argument is the file of a `PhonesPlan`; it hears `attack`, `peace` and `end` on
 * its input, says how many are registered each second, and at the end what became of each registration.
 */
const TICK = 1_000
const plan = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as PhonesPlan
const startedAt = performance.now()
const clock = () => performance.now() - startedAt
const attack: { begun: number | null; ended: number | null } = { begun: null, ended: null }
let timersLate = 0
let groups = 0

const phones = plan.groups.flatMap((group) => {
  const random = randomFrom(plan.seed + groups++)
  return group.seats.map((seat, index) => {
    const own = randomFrom(Math.floor(random() * 2 ** 32))
    const phone = new Phone(seat, group, { random: own, reuseNonce: plan.reuseNonce })
    return { phone, group, incident: incidentOf(index, group.incidents ?? []), own }
  })
})

appear('before')
let expected = clock() + TICK
const ticking = setInterval(() => {
  timersLate = Math.max(timersLate, clock() - expected)
  expected = clock() + TICK
  const registered: Partial<Record<PhoneKind, number>> = {}
  for (const { phone } of phones) {
    if (phone.isRegistered) registered[phone.kind] = (registered[phone.kind] ?? 0) + 1
  }
  const records = phones.map(({ phone }) => phone.record)
  say({ registered, served: countServed(records, clock()) } satisfies PhonesProgress)
}, TICK)
setTimeout(end, plan.longest * 1_000)
const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  if (line === 'attack') {
    attack.begun = clock()
    appear('attack')
    for (const { phone, incident, own } of phones) {
      if (incident) setTimeout(() => phone.befall(incident.what), between(incident.within, own) * 1_000)
    }
  } else if (line === 'peace') attack.ended = clock()
  else if (line === 'end') end()
})
// Whoever started it is gone.
input.on('close', () => process.exit(1))

function appear(when: 'before' | 'attack'): void {
  for (const { phone, group } of phones) {
    if (group.appears !== when) continue
    phone.play({ address: plan.server, port: plan.port }, clock).catch((error) => {
      console.error(error)
      process.exit(1)
    })
  }
}

function end(): void {
  // The result takes a while to be read, and must be the last line.
  clearInterval(ticking)
  const records = phones.map(({ phone }) => phone.record)
  const result: PhonesResult = { attack, ended: clock(), timersLate, phones: records }
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}

function say(line: PhonesProgress): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
