import { parseArgs } from 'node:util'
import { parseDuration } from '../../../registrar/net/time.ts'
import type { Nonces } from '../softswitch.ts'

export interface AskedSoak {
  readonly help: boolean
  /** How long, in seconds; the round that is going on then is brought to its end. */
  readonly seconds: number
  readonly nonces: Nonces
  /** Of each attack's full rate, at most. */
  readonly share: number
  readonly seed: number
  readonly folder: string
}

const SHORTEST = 60
const LONGEST = 7 * 86_400
const SHARE = 0.2
const FOLDER = '/var/tmp/ringfence-sieges'

/** What a command line asks for, or a sentence on what is wrong with it. */
export function readArguments(args: string[]): AskedSoak | string {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      soak: { type: 'string', default: '2h' },
      nonces: { type: 'string', default: 'shared' },
      share: { type: 'string', default: String(SHARE) },
      seed: { type: 'string', default: '1' },
      out: { type: 'string', default: FOLDER },
    },
  })
  const { help, nonces, out: folder } = values
  const seconds = parseDuration(values.soak)
  if (seconds === undefined || !(seconds >= SHORTEST && seconds <= LONGEST)) {
    return '--soak takes a duration from 1m to 7d, like 30m or 2h.'
  }
  if (nonces !== 'shared' && nonces !== 'unique') return '--nonces takes shared or unique.'
  const share = Number(values.share)
  if (!(share > 0 && share <= 1)) return '--share takes a number over 0, at most 1.'
  const seed = Number(values.seed)
  if (!Number.isSafeInteger(seed) || seed < 0) return '--seed takes a whole number.'
  return { help, seconds, nonces, share, seed, folder }
}

export function usage(): string {
  return [
    'sudo ./scripts/siege.sh --soak DURATION [OPTIONS]',
    '',
    'Attacks one softswitch beside one Ringfence again and again, each time with another method, while customers register,',
    'and writes soak.md and soak.json. Exit code 0: nothing leaked and nobody honest was blocked.',
    '',
    '  --soak DURATION          like 30m or 2h, from 1m to 7d',
    '  --nonces shared|unique   how the softswitch makes its nonces (shared)',
    `  --share X                of each attack’s full rate at most (${SHARE})`,
    '  --seed N                 of all that is random (1)',
    `  --out FOLDER             where the figures go (${FOLDER})`,
  ].join('\n')
}
