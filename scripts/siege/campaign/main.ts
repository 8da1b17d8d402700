import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_FAILED, EXIT_USAGE, runAsked } from '../../bench/asked.ts'
import { describeMachine } from '../../bench/figures.ts'
import type { Attack } from '../attack.ts'
import { ATTACKS } from '../attacks.ts'
import { figuresOf } from '../report.ts'
import { besiege, type SiegeOrder } from '../siege.ts'
import { SiegeStage } from '../stage.ts'
import { judge, showVerdict } from '../verdict.ts'
import { allMet } from './all-met.ts'
import { type AskedCampaign, readArguments, usage } from './asked-campaign.ts'
import { atHalf, type CampaignOrder, siegesOf } from './plan.ts'
import { type CampaignRow, renderCampaign } from './table.ts'
import { readVersions } from './versions.ts'

const EXIT_INTERRUPTED = 130

let stage: SiegeStage | undefined
let interrupted = false

process.exitCode = await runAsked(process.argv.slice(2), { read: readArguments, usage, run: campaign })

async function campaign(asked: AskedCampaign): Promise<number> {
  if (process.getuid?.() !== 0) {
    console.error('A siege works in network namespaces of its own and needs root.')
    return EXIT_USAGE
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  process.on('uncaughtException', (error) => {
    console.error(error)
    interrupt()
  })
  const { order, folder } = asked
  const about = {
    machine: describeMachine(),
    versions: await readVersions(),
    order,
    begun: new Date().toISOString(),
  }
  mkdirSync(folder, { recursive: true })
  const rows: CampaignRow[] = []
  const orders = [...siegesOf(order)]
  for (let next = orders.shift(); next !== undefined && !interrupted; next = orders.shift()) {
    console.error(
      `\n${rows.length + 1}: ${next.attack}, ${next.guard}, ${next.nonces} nonces, share ${next.share}`,
    )
    const row = await oneSiege(next)
    // What fails because the stage is being taken down says nothing.
    if (interrupted) break
    rows.push(row)
    // After each of them: hours of sieges must not be lost with the last.
    write(folder, about, rows)
    if ('failed' in row) continue
    console.error(showVerdict(row.verdict))
    const half = atHalf(next, { saturated: row.figures.saturated, verdict: row.verdict.kind })
    if (half !== null) orders.unshift(half)
  }
  if (interrupted) return EXIT_INTERRUPTED
  console.log(`${showAbout(about)}\n\n${renderCampaign(rows)}`)
  console.log(`\nwritten: ${join(folder, 'sieges.md')} and ${join(folder, 'sieges.json')}`)
  return allMet(rows) ? 0 : EXIT_FAILED
}

async function oneSiege(order: SiegeOrder): Promise<CampaignRow> {
  const own = new SiegeStage()
  stage = own
  try {
    const figures = figuresOf(await besiege(own, order, (line) => console.error(`  ${line}`)))
    const attack: Attack = ATTACKS[order.attack]
    return { figures, verdict: judge(figures, attack.targets) }
  } catch (error) {
    const failed = (error instanceof Error ? error.message : String(error)).slice(0, 300)
    if (!interrupted) console.error(failed)
    return { attack: order.attack, guard: order.guard, nonces: order.nonces, failed }
  } finally {
    await own.remove()
  }
}

function write(folder: string, about: About, rows: readonly CampaignRow[]): void {
  writeFileSync(join(folder, 'sieges.md'), `${showAbout(about)}\n\n${renderCampaign(rows)}\n`)
  writeFileSync(join(folder, 'sieges.json'), `${JSON.stringify({ ...about, sieges: rows }, null, 2)}\n`)
}

interface About {
  readonly machine: string
  readonly versions: Readonly<Record<string, string>>
  readonly order: CampaignOrder
  readonly begun: string
}

function showAbout({ machine, versions, order }: About): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return `${machine}\n\n${programs.join(', ')}; ${order.seconds} s each, share ${order.share}, seed ${order.seed}`
}

function interrupt(): void {
  // A second Ctrl-C must not leave half of the stage behind.
  if (interrupted) return
  interrupted = true
  console.error('interrupted; the stage is removed')
  const removed = stage?.remove() ?? Promise.resolve()
  removed.finally(() => process.exit(EXIT_INTERRUPTED))
}
