import { type Logger, pino } from 'pino'
import type { Clock, EpochMilliseconds } from '../../registrar/net/time.ts'

/** One JSON object a line on standard output, where systemd's journal or the log file takes it. */
export function openLog({
  write = writerTo(pino.destination({ fd: 1, sync: true })),
}: {
  readonly write?: (line: string) => void
} = {}): Logger {
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    { write: (line) => write(escapeUnseen(line)) },
  )
}

function writerTo(destination: { write: (text: string) => unknown }): (line: string) => void {
  return (line) => void destination.write(line)
}

/**
 * DEL, the control characters U+0080 to U+009F (U+009B begins a terminal's command, U+0085 a line), and what is not seen but
 * changes how a text is shown: JSON lets them through as they are, and account names are the attacker's choice.
 */
const UNSEEN =
  /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu

/** The same JSON: outside its strings there are no such characters, and inside them an escape means the character. */
export function escapeUnseen(json: string): string {
  return json.replace(UNSEEN, (character) => {
    let escaped = ''
    for (let i = 0; i < character.length; i++)
      escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
    return escaped
  })
}

/**
 * Lets so many lines a second through and says how many it kept back: an attack with many sources must not fill
 * the disk.
 */
export class LogGate {
  #second: EpochMilliseconds = 0
  #passed = 0
  #keptBack = 0
  readonly #perSecond: number
  readonly #clock: Clock

  constructor(options: { perSecond: number; clock: Clock }) {
    this.#perSecond = options.perSecond
    this.#clock = options.clock
  }

  /** Whether one more line may be written, and how many were kept back since the last one that was. */
  ask(): { readonly write: boolean; readonly keptBack: number } {
    const second = Math.floor(this.#clock() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#passed = 0
    }
    if (this.#passed >= this.#perSecond) {
      this.#keptBack++
      return { write: false, keptBack: 0 }
    }
    this.#passed++
    const keptBack = this.#keptBack
    this.#keptBack = 0
    return { write: true, keptBack }
  }
}
