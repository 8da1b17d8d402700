import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { Line } from './line.ts'
import type { GuessersPlan, GuessersResult } from './plan.ts'
import { type Random, randomFrom } from './random.ts'
import { register } from './register.ts'

/**
 * Guesses passwords: from each source a REGISTER, the challenge answered with a wrong password, and the next try, on a
 * new port every few tries and wherever no answer comes. Its argument is the file of a `GuessersPlan`; it hears `end` and says its counts.
 */
const plan = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as GuessersPlan
const counts = { tries: 0, refused: 0, silent: 0 }
/** A guesser does not wait as long as a phone does. */
const PATIENCE = 2_000

setTimeout(end, plan.longest * 1_000)
const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  if (line === 'end') end()
})
input.on('close', () => process.exit(1))

for (const [index, source] of plan.sources.entries()) {
  guess(source, randomFrom(plan.seed + index)).catch((error) => {
    console.error(error)
    process.exit(1)
  })
}

async function guess(source: GuessersPlan['sources'][number], random: Random): Promise<never> {
  const [least, most] = source.ports
  // All at once would be a flood, which is another attack.
  await pause(plan.every * 1_000 * random() * (plan.sources.length > 1 ? 1 : 0))
  for (let hop = 0; ; hop++) {
    const port = least + (hop % (most - least + 1))
    const server = { address: plan.server, port: plan.port }
    const line = await Line.open({ address: source.address, port }, server)
    for (let tried = 0; tried < plan.hopAfter; tried++) {
      const begun = performance.now()
      counts.tries += 1
      const outcome = await Promise.race([
        tryOne(line, { address: source.address, port }, random),
        patience(),
      ])
      if (outcome === 'refused') counts.refused += 1
      else {
        // Not answered any more: from another port he may be.
        counts.silent += 1
        break
      }
      await pause(Math.max(1, plan.every * 1_000 - (performance.now() - begun)))
    }
    line.close()
  }
}

function tryOne(line: Line, from: { address: string; port: number }, random: Random) {
  const own = () => Math.floor(random() * 2 ** 32).toString(16)
  const user = plan.users === 'random' ? `user${own()}` : chosenOf(plan.users, random)
  const dialog = { callId: own(), tag: own(), cseq: 0, nonce: null }
  const account = { ...from, user, password: `wrong${own()}` }
  return register(line, account, dialog, { server: plan.server, expires: 3_600, random })
}

function chosenOf([first, last]: readonly [number, number], random: Random): number {
  return first + Math.floor(random() * (last - first + 1))
}

async function patience(): Promise<'silence'> {
  await pause(PATIENCE)
  return 'silence'
}

function end(): void {
  const result: GuessersResult = counts
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}
