import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { EXIT_FAILED, EXIT_USAGE, runAsked } from '../bench/asked.ts'
import { describeMachine } from '../bench/figures.ts'
import { ATTACKS, type AttackName } from './attacks.ts'
import { GUARD_NAMES, type GuardName } from './guards/guard.ts'
import { figuresOf, renderFigures } from './report.ts'
import { besiege, type SiegeOrder } from './siege.ts'
import { SiegeStage } from './stage.ts'

const EXIT_INTERRUPTED = 130
const LONGEST = 7_200

process.exitCode = await runAsked(process.argv.slice(2), { read: readArguments, usage, run: siege })

async function siege(asked: Asked): Promise<number> {
  if (process.getuid?.() !== 0) {
    console.error('A siege works in network namespaces of its own and needs root.')
    return EXIT_USAGE
  }
  const machine = describeMachine()
  const stage = new SiegeStage()
  let interrupted = false
  const interrupt = () => {
    // A second Ctrl-C must not leave half of the stage behind.
    if (interrupted) return
    interrupted = true
    console.error('interrupted; the stage is removed')
    stage.remove().finally(() => process.exit(EXIT_INTERRUPTED))
  }
  process.on('uncaughtException', (error) => {
    console.error(error)
    interrupt()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  try {
    const record = await besiege(stage, asked.order, (line) => console.error(line))
    const figures = figuresOf(record)
    console.log(`${machine}\n\n${renderFigures(figures)}`)
    if (asked.json !== undefined) {
      writeFileSync(asked.json, `${JSON.stringify({ machine, ...figures }, null, 2)}\n`)
    } else console.log(`\n${JSON.stringify({ machine, ...figures })}`)
    return 0
  } catch (error) {
    // What fails because the stage is being taken down says nothing.
    if (!interrupted) console.error(error instanceof Error ? error.message : String(error))
    return EXIT_FAILED
  } finally {
    if (!interrupted) await stage.remove()
  }
}

interface Asked {
  readonly help: boolean
  readonly order: SiegeOrder
  /** A file for the figures as JSON, instead of the last line of the output. */
  readonly json: string | undefined
}

function readArguments(args: string[]): Asked | string {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      attack: { type: 'string', default: 'none' },
      guard: { type: 'string', default: 'ringfence' },
      nonces: { type: 'string', default: 'shared' },
      seconds: { type: 'string', default: '45' },
      share: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  })
  const { attack, guard, nonces, help, json } = values
  if (!Object.hasOwn(ATTACKS, attack)) return `There is no attack ${JSON.stringify(attack)}.\n\n${usage()}`
  if (!(GUARD_NAMES as readonly string[]).includes(guard)) return `--guard takes ${GUARD_NAMES.join(', ')}.`
  if (nonces !== 'shared' && nonces !== 'unique') return '--nonces takes shared or unique.'
  const seconds = Number(values.seconds)
  if (!(seconds >= 5 && seconds <= LONGEST)) return `--seconds takes a number from 5 to ${LONGEST}.`
  const share = Number(values.share)
  if (!(share > 0 && share <= 1)) return '--share takes a number over 0, at most 1.'
  const seed = Number(values.seed)
  if (!Number.isSafeInteger(seed) || seed < 0) return '--seed takes a whole number.'
  return {
    help,
    json,
    order: { attack: attack as AttackName, guard: guard as GuardName, nonces, seconds, share, seed },
  }
}

function usage(): string {
  const width = Math.max(...Object.keys(ATTACKS).map((name) => name.length))
  return [
    'npm run siege -- [OPTIONS]',
    '',
    'Besieges a softswitch in network namespaces and prints what became of its customers, as Markdown and JSON.',
    'Run npm run build first; needs root, kamailio, iptables, ipset and a C compiler.',
    '',
    ...Object.entries(ATTACKS).map(([name, { about }]) => `  --attack ${name.padEnd(width)}  ${about}`),
    '',
    `  --guard NAME             who protects the softswitch, of ${GUARD_NAMES.join(', ')} (ringfence)`,
    '  --nonces shared|unique   how the softswitch makes its nonces (shared)',
    '  --seconds N              how long the attack lasts (45); newcomers need 34 and more',
    '  --share X                of the attack’s full rate, over 0 to 1 (1)',
    '  --seed N                 of all that is random (1)',
    '  --json FILE              writes the figures there, not as the last line',
  ].join('\n')
}
