import { parseArgs } from 'node:util'
import { EXIT_FAILED, runAsked } from './asked.ts'
import { benchCapture } from './capture.ts'
import { describeMachine, type Figure, type Report, renderTable } from './figures.ts'
import { benchPacketCost } from './packet-cost.ts'
import { benchRegistrar } from './registrar.ts'
import { benchReplay } from './replay.ts'
import { benchRules } from './rules.ts'
import { benchSensorCost } from './sensor-cost.ts'
import { benchSipReader } from './sip-reader.ts'
import { benchStandingBlocks } from './standing-blocks.ts'
import { benchTableExhaustion } from './table-exhaustion.ts'
import { benchTimeToDrop } from './time-to-drop.ts'

interface Benchmark {
  readonly about: string
  /** Whether it makes network namespaces and changes the kernel's rules in them. */
  readonly needsRoot: boolean
  readonly run: (report: Report, options: Options) => Promise<void>
}

interface Options {
  readonly sources: number
  readonly seconds: number
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  'time-to-drop': {
    about: 'from the packet that crosses the threshold to the first one that the block drops',
    needsRoot: true,
    run: benchTimeToDrop,
  },
  'sensor-cost': {
    about: 'processor time a packet of sensor and daemon in a flood, and whether commands are answered',
    needsRoot: true,
    run: benchSensorCost,
  },
  replay: {
    about: 'processor time a packet from frame to verdict, without a kernel',
    needsRoot: false,
    run: benchReplay,
  },
  'sip-reader': { about: 'messages read a second, and hostile ones', needsRoot: false, run: benchSipReader },
  capture: { about: 'decoding, and each capture engine in a flood', needsRoot: true, run: benchCapture },
  rules: { about: 'how fast decisions reach the kernel', needsRoot: true, run: benchRules },
  'standing-blocks': {
    about: 'the real daemon with 100,000 blocks: restoring them, and what an order costs beside them',
    needsRoot: true,
    run: benchStandingBlocks,
  },
  'packet-cost': {
    about: 'what the rules cost a packet, against an empty chain',
    needsRoot: true,
    run: benchPacketCost,
  },
  'table-exhaustion': {
    about: 'four million forged sources: who is served, what it costs and takes',
    needsRoot: true,
    run: benchTableExhaustion,
  },
  registrar: { about: 'registrations a second', needsRoot: false, run: benchRegistrar },
}

process.exitCode = await runAsked(process.argv.slice(2), { read: readArguments, usage, run: bench })

async function bench(asked: Asked): Promise<number> {
  const machine = describeMachine()
  const figures: Figure[] = []
  const notes: string[] = []
  let exitCode = 0
  for (const name of asked.names) {
    const { needsRoot, run } = BENCHMARKS[name]!
    if (needsRoot && process.getuid?.() !== 0) {
      notes.push(`${name} was not measured: it works in network namespaces of its own and needs root.`)
      continue
    }
    console.error(`${name} …`)
    try {
      await run((what, value) => {
        console.error(`  ${what}: ${value}`)
        figures.push({ benchmark: name, what, value })
      }, asked.options)
    } catch (error) {
      notes.push(`${name} failed: ${error instanceof Error ? error.message : String(error)}`)
      exitCode = EXIT_FAILED
    }
  }
  console.log(`${machine}\n`)
  if (figures.length > 0) console.log(renderTable(figures))
  for (const note of notes) console.log(`\n${note}`)
  return exitCode
}

interface Asked {
  readonly help: boolean
  readonly names: readonly string[]
  readonly options: Options
}

function readArguments(args: string[]): Asked | string {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      sources: { type: 'string', default: '30' },
      seconds: { type: 'string', default: '60' },
    },
  })
  const unknown = positionals.find((name) => !Object.hasOwn(BENCHMARKS, name))
  if (unknown !== undefined) return `There is no benchmark ${JSON.stringify(unknown)}.\n\n${usage()}`
  const sources = Number(values.sources)
  if (!Number.isInteger(sources) || sources < 1 || sources > 10_000) {
    return `--sources takes a number from 1 to 10000, not ${JSON.stringify(values.sources)}.`
  }
  const seconds = Number(values.seconds)
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 600) {
    return `--seconds takes a number from 1 to 600, not ${JSON.stringify(values.seconds)}.`
  }
  const names = positionals.length > 0 ? [...new Set(positionals)] : Object.keys(BENCHMARKS)
  return { names, help: values.help, options: { sources, seconds } }
}

function usage(): string {
  const width = Math.max(...Object.keys(BENCHMARKS).map((name) => name.length))
  const lines = Object.entries(BENCHMARKS).map(
    ([name, { about, needsRoot }]) => `  ${name.padEnd(width)}  ${about}${needsRoot ? ' (root)' : ''}`,
  )
  return [
    'npm run bench -- [OPTIONS] [BENCHMARK…]',
    '',
    'Measures, all or the named ones, and prints the figures as a Markdown table. Run npm run build first.',
    '',
    ...lines,
    '',
    '  --sources N   time-to-drop: so many floods at each rate, each from an address of its own (default 30)',
    '  --seconds N   standing-blocks: so long a thousand orders a second (default 60)',
    '  -h, --help    this text',
  ].join('\n')
}
