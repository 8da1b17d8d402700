import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { plainLines } from '../../../agent/cli/terminal.ts'
import { EXIT_FAILED } from '../../bench/asked.ts'
import { SiegeStage } from '../stage.ts'
import { Undo } from '../undo.ts'
import { FIVE_MINUTES, QUICK } from './acts.ts'
import { missingSentence } from './requirements.ts'
import { tell } from './story.ts'

/** What `ringfence demo` hands over, as JSON on its descriptor 3. */
interface Asked {
  readonly port: number
  readonly waits: boolean
  readonly quick: boolean
}

/** Nobody comes back after so long. */
const LONGEST_WAIT = 1_800_000

const undo = new Undo('\ninterrupted; all of the demo is removed')
process.exitCode = await run(JSON.parse(readFileSync(3, 'utf8')) as Asked).catch((error) => {
  // What fails because the stage is being taken down says nothing.
  if (undo.isInterrupted) return new Promise<number>(() => {})
  console.error(`ringfence: ${plainLines(error instanceof Error ? error.message : String(error))}`)
  return EXIT_FAILED
})

async function run({ port, waits, quick }: Asked): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error('the demo makes network namespaces and needs root')
  const missing = missingSentence()
  if (missing !== null) throw new Error(missing)
  const stage = new SiegeStage()
  undo.later(() => stage.remove())
  try {
    await tell(stage, {
      lengths: quick ? QUICK : FIVE_MINUTES,
      port,
      say: (text) => console.log(text),
      wait: waits && process.stdin.isTTY ? waitForEnter : () => Promise.resolve(),
      later: (step) => undo.later(step),
    })
    return 0
  } finally {
    await undo.all()
  }
}

function waitForEnter(question: string): Promise<void> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: process.stdin, output: process.stdout })
    const timer = setTimeout(() => lines.close(), LONGEST_WAIT)
    // Ctrl-C in a question is the terminal's Ctrl-C.
    lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
    lines.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    lines.question(question, () => lines.close())
  })
}
