import { readFileSync } from 'node:fs'
import type { SimulationOrder } from '../../../agent/cli/simulation-order.ts'
import { plainLines } from '../../../agent/cli/terminal.ts'
import { EXIT_FAILED } from '../../bench/asked.ts'
import { Undo } from '../undo.ts'
import { ENTRANCE, Entrance, removeAbandoned } from './entrance.ts'
import { figuresOf, isOfSimulation } from './figures-of.ts'
import { choosePlace, listPlaces } from './find-place.ts'
import { InstalledRingfence } from './installed-ringfence.ts'
import { renderSimulation } from './report.ts'
import { longestOf, simulate } from './simulation.ts'

/** What `ringfence simulate` hands over, as JSON on its descriptor 3. */
interface Asked {
  readonly order: SimulationOrder
  readonly socket: string
  readonly caller: string
  readonly json: boolean
}

/** Blocks of simulated sources that are lifted one by one; the rest ends by itself. */
const MOST_LIFTED = 2_000

const undo = new Undo('interrupted; all of the simulation is taken back')
process.exitCode = await run(JSON.parse(readFileSync(3, 'utf8')) as Asked).catch((error) => {
  if (undo.isInterrupted) return new Promise<number>(() => {})
  console.error(`ringfence: ${plainLines(error instanceof Error ? error.message : String(error))}`)
  return EXIT_FAILED
})

async function run(asked: Asked): Promise<number> {
  const { order, socket, caller, json } = asked
  if (process.getuid?.() !== 0) throw new Error('simulate makes a network namespace and needs root')
  const say = (line: string) => console.error(line)
  await removeAbandoned()
  const place = choosePlace(order.target.address, await listPlaces(order.namespace), order.namespace)
  if (place.kind === 'refused') throw new Error(place.says)
  try {
    const entrance = new Entrance(place.namespace)
    undo.later(() => entrance.remove())
    const installed = new InstalledRingfence({
      socket,
      caller,
      run: (program, args) => entrance.there(program, args),
      entrance: ENTRANCE,
      atMost: longestOf(order) + 60,
    })
    const notes: string[] = []
    // First: it is refused while another simulation runs, whose configuration on trial must stay.
    await entrance.build(order.target.address)
    const status = await installed.find()
    if (status) {
      await installed.forgetAbandoned(status)
      undo.later(() => installed.end())
      await installed.start()
      undo.later(() => lift(installed))
      notes.push(
        `packets came in at ${ENTRANCE}, protected as the other interfaces were; network card and driver took no part`,
        ...notesOn(status, order, place.interface),
      )
    } else {
      notes.push(`no daemon answers on ${socket}: these are figures of the softswitch without Ringfence`)
    }
    const record = await simulate(order, { entrance, guard: status ? installed : null, say })
    const figures = figuresOf(record, notes)
    console.log(json ? JSON.stringify(figures) : plainLines(renderSimulation(figures)))
    return figures.failures.length === 0 ? 0 : EXIT_FAILED
  } finally {
    await undo.all()
  }
}

function notesOn(
  { mode, state, traffic }: Awaited<ReturnType<InstalledRingfence['status']>>,
  order: SimulationOrder,
  device: string,
): string[] {
  const notes: string[] = []
  if (mode === 'observe' || state === 'off' || state === 'observing') {
    notes.push('Ringfence only observes, or is off: nothing is dropped')
  }
  const { address, port } = order.target
  if (device !== 'lo' && !traffic.interfaces.includes(device)) {
    const those = traffic.interfaces.join(', ')
    notes.push(
      `${address} is on ${device}, and protected are ${those}: it depends on the way in whether rules match`,
    )
  }
  if (!traffic.udpPorts.includes(port))
    notes.push(`port ${port} is none of the protected ones: no rule matches`)
  if (!traffic.destinations.includes('local') && !traffic.destinations.includes(address)) {
    notes.push(`the protected addresses are ${traffic.destinations.join(', ')}`)
  }
  return notes
}

async function lift(installed: InstalledRingfence): Promise<void> {
  const bans = (await installed.banned()).filter(({ target }) => isOfSimulation(target))
  for (const { target } of bans.slice(0, MOST_LIFTED)) await installed.unblock(target)
}
