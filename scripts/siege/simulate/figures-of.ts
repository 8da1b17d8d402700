import { grown } from '../grown.ts'
import type { Ban } from '../guards/guard.ts'
import { CUSTOMER, NEWCOMER } from './honest-plan.ts'
import { honestFigures, judgeSimulation, type SimulationFigures } from './report.ts'
import type { SimulationRecord } from './simulation.ts'

export function figuresOf(record: SimulationRecord, notes: readonly string[]): SimulationFigures {
  const { order, flood, guesses, before, after, firstDrop, tables } = record
  const seconds = Math.max(0.001, (after.time - before.time) / 1_000)
  const droppedBy = after.drops && grown(before.drops ?? {}, after.drops)
  const dropped = droppedBy && Object.values(droppedBy).reduce((sum, packets) => sum + packets, 0)
  const arrived = after.arrived - before.arrived
  const machine = (name: 'busy' | 'all' | 'queueDrops') => after.machine[name] - before.machine[name]
  const isSimulated = ({ target }: Ban) => isOfSimulation(target)
  const earlier = new Set(record.bansBefore.map(({ id }) => id))
  const fresh = record.bans.filter(({ id }) => !earlier.has(id))
  const honestBlocked = fresh.filter(({ target }) => isHonestPhone(target)).map(showBan)
  const honest = {
    asks: record.honest.asks,
    phases: {
      before: honestFigures(record.honest, 'before'),
      during: honestFigures(record.honest, 'during'),
      after: honestFigures(record.honest, 'after'),
    },
    newcomer: record.honest.newcomer,
  }
  const time = (where: 'user' | 'system') =>
    Object.entries(after.figures ?? {}).reduce(
      (sum, [name, { [where]: spent }]) => sum + spent - (before.figures?.[name]?.[where] ?? 0),
      0,
    ) /
    seconds /
    10
  const isKnown = after.figures !== null && Object.keys(after.figures).length > 0
  return {
    attack: order.attack,
    target: `${order.target.address}:${order.target.port}`,
    perSecond: order.perSecond,
    seconds: order.seconds,
    seed: order.seed,
    sent: flood?.sent ?? 0,
    guesses,
    arrived,
    dropped,
    droppedBy,
    // The moments are further apart: a first drop is waited for.
    throughPerSecond: Math.max(0, arrived - (dropped ?? 0)) / (flood?.seconds ?? order.seconds),
    firstDropAfter: flood && firstDrop !== null ? Math.max(0, firstDrop - flood.begun) : null,
    honest,
    honestBlocked,
    blocked: fresh.filter(isSimulated).length - honestBlocked.length,
    othersBlocked: fresh.filter((ban) => !isSimulated(ban)).map(showBan),
    guard: isKnown ? { user: time('user'), kernel: time('system'), memory: record.memory ?? 0 } : null,
    tables,
    strict: after.status && `${after.status.strict.state}: ${after.status.strict.why}`,
    machineBusy: machine('busy') / Math.max(1, machine('all')),
    queueDrops: machine('queueDrops'),
    notes,
    failures: judgeSimulation({ honest, honestBlocked }),
  }
}

/** Whether a block's target, `ADDRESS`, `ADDRESS:PORT` or a prefix, is within 198.18.0.0/15. */
export function isOfSimulation(target: string): boolean {
  const length = /\/(\d+)$/.exec(target)?.[1]
  return /^198\.1[89]\./.test(target) && (length === undefined || Number(length) >= 15)
}

/** Whether it touches the honest phones. */
function isHonestPhone(target: string): boolean {
  const [address = '', length] = target.split('/')
  if (length !== undefined) {
    const shared = address.split('.').slice(0, Math.floor(Number(length) / 8))
    return CUSTOMER.startsWith(`${shared.join('.')}.`)
  }
  return [CUSTOMER, NEWCOMER].includes(address.split(':')[0]!)
}

function showBan({ target, by, reason }: Ban): string {
  return `${target} by ${by}: ${reason}`
}
