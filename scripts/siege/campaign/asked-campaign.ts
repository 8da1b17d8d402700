import { parseArgs } from 'node:util'
import { ATTACKS, type AttackName } from '../attacks.ts'
import { GUARD_NAMES, type GuardName } from '../guards/guard.ts'
import type { Nonces } from '../softswitch.ts'
import type { CampaignOrder } from './plan.ts'

const SECONDS = 60
const SHORT = { seconds: 15, share: 0.1 }
const LONGEST = 7_200
const MOST_TIMES = 100
const ALL_NONCES: readonly Nonces[] = ['shared', 'unique']
/** Outlives a reboot, as nights of sieges should. */
const FOLDER = '/var/tmp/ringfence-sieges'

export interface AskedCampaign {
  readonly help: boolean
  readonly order: CampaignOrder
  /** Where the table and the figures go. */
  readonly folder: string
}

/** What a command line asks for, or a sentence on what is wrong with it. */
export function readArguments(args: string[]): AskedCampaign | string {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      attack: { type: 'string', multiple: true },
      guard: { type: 'string', multiple: true },
      nonces: { type: 'string', multiple: true },
      short: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      share: { type: 'string' },
      seed: { type: 'string', default: '1' },
      times: { type: 'string', default: '1' },
      out: { type: 'string', default: FOLDER },
    },
  })
  const attacks = chosen(values.attack, Object.keys(ATTACKS))
  const guards = chosen(values.guard, GUARD_NAMES)
  const nonces = chosen(values.nonces, values.short ? ['shared'] : ALL_NONCES, ALL_NONCES)
  for (const [what, some] of Object.entries({ attack: attacks, guard: guards, nonces })) {
    if (typeof some === 'string') return `There is no ${what} ${JSON.stringify(some)}.\n\n${usage()}`
  }
  const seconds = Number(values.seconds ?? (values.short ? SHORT.seconds : SECONDS))
  if (!(seconds >= 5 && seconds <= LONGEST)) return `--seconds takes a number from 5 to ${LONGEST}.`
  const share = Number(values.share ?? (values.short ? SHORT.share : 1))
  if (!(share > 0 && share <= 1)) return '--share takes a number over 0, at most 1.'
  const seed = Number(values.seed)
  if (!Number.isSafeInteger(seed) || seed < 0) return '--seed takes a whole number.'
  const times = Number(values.times)
  if (!(Number.isSafeInteger(times) && times >= 1 && times <= MOST_TIMES))
    return `--times takes a whole number from 1 to ${MOST_TIMES}.`
  const order = {
    attacks: attacks as AttackName[],
    guards: guards as GuardName[],
    nonces: nonces as Nonces[],
    seconds,
    share,
    seed,
    times,
  }
  return { help: values.help, folder: values.out, order }
}

/** Those that are named, apart by commas or by options; all where none is. The name itself where there is no such. */
function chosen(
  named: readonly string[] | undefined,
  otherwise: readonly string[],
  known: readonly string[] = otherwise,
): readonly string[] | string {
  if (named === undefined) return otherwise
  const names = named.flatMap((text) => text.split(','))
  return names.find((name) => !known.includes(name)) ?? names
}

export function usage(): string {
  const width = Math.max(...Object.keys(ATTACKS).map((name) => name.length))
  return [
    'sudo ./scripts/siege.sh [OPTIONS]',
    '',
    'Installs what sieges need, builds, besieges a softswitch in network namespaces with each attack, guard and kind of',
    'nonces that is asked for, and writes sieges.md and sieges.json. Exit code 0: Ringfence met all targets.',
    '',
    '  --attack NAME,...   all by default:',
    ...Object.entries(ATTACKS).map(([name, { about }]) => `      ${name.padEnd(width)}  ${about}`),
    `  --guard NAME,...    of ${GUARD_NAMES.join(', ')}; all by default`,
    '  --nonces NAME,...   shared, unique; both by default',
    `  --short             ${SHORT.seconds} s each at a tenth of the rate, with shared nonces`,
    `  --seconds N         how long each attack lasts (${SECONDS}); newcomers need 34 and more`,
    '  --share X           of each attack’s full rate, over 0 to 1 (1)',
    '  --seed N            of all that is random (1)',
    '  --times N           how often each siege is had (1)',
    `  --out FOLDER        where the table and the figures go (${FOLDER})`,
  ].join('\n')
}
