import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_FAILED, EXIT_USAGE, runAsked } from '../../bench/asked.ts'
import { describeMachine } from '../../bench/figures.ts'
import { SiegeStage } from '../stage.ts'
import { Undo } from '../undo.ts'
import { type AskedSoak, readArguments, usage } from './asked-soak.ts'
import { judgeSoak, lastRoundInWords, renderSoak } from './report.ts'
import { type SoakRecord, soak } from './soak.ts'

process.exitCode = await runAsked(process.argv.slice(2), { read: readArguments, usage, run })

async function run({ folder, ...order }: AskedSoak): Promise<number> {
  if (process.getuid?.() !== 0) {
    console.error('A soak works in network namespaces of its own and needs root.')
    return EXIT_USAGE
  }
  mkdirSync(folder, { recursive: true })
  const machine = describeMachine()
  const write = (record: SoakRecord) => {
    writeFileSync(join(folder, 'soak.md'), `${machine}\n\n${renderSoak(record)}\n`)
    writeFileSync(join(folder, 'soak.json'), `${JSON.stringify({ machine, order, ...record }, null, 1)}\n`)
  }
  const undo = new Undo('interrupted; the stage is removed, and the figures so far are in soak.md')
  const stage = new SiegeStage()
  undo.later(() => stage.remove())
  try {
    const record = await soak(stage, order, (known) => {
      // After each round: hours must not be lost with the last.
      write(known)
      console.error(lastRoundInWords(known))
    })
    write(record)
    console.log(`${machine}\n\n${renderSoak(record)}\n\nwritten: ${join(folder, 'soak.md')} and soak.json`)
    return judgeSoak(record).length === 0 ? 0 : EXIT_FAILED
  } catch (error) {
    if (undo.isInterrupted) return new Promise<number>(() => {})
    console.error(error instanceof Error ? error.message : String(error))
    return EXIT_FAILED
  } finally {
    if (!undo.isInterrupted) await undo.all()
  }
}
