import type { Targets } from './attack.ts'
import { NEWCOMER_TIME } from './phone-figures.ts'
import type { SiegeFigures } from './report.ts'

/**
 * Whether a siege's targets hold. `frontier`: all that must hold does, and what nobody can be asked for does not.
 * `missed` and `beyond` say which ones do not, with their figures.
 */
export interface Verdict {
  readonly kind: 'met' | 'missed' | 'frontier'
  readonly missed: readonly string[]
  readonly beyond: readonly string[]
}

/** All who are there before somebody attacks, and must not feel it. */
const CUSTOMERS = ['customer', 'ordinary', 'office', 'busy'] as const
const NAMES = {
  customer: 'customers',
  ordinary: 'customers with ordinary periods',
  office: 'phones of the office',
  busy: 'phones of the busy hour',
} as const
const NEWCOMERS = 0.95
/** Milliseconds. */
const FIRST_DROP = 100
/** Percent of one core, in user space. */
const GUARD_CPU = 15
const GUARD_MEMORY = 250e6
const KERNEL_TABLES = 150e6
/** REGISTERs a second that the softswitch reads: four workers, 1 ms each, and what each needs besides. */
const CAPACITY = 3_200
/** Milliseconds in which the phones of a storm come. */
const STORM = 30_000

/** Judges a siege by the targets of its attack, and by those that are of all sieges. */
export function judge(figures: SiegeFigures, targets: Targets): Verdict {
  const missed: string[] = []
  const beyond: string[] = []
  const demand = (of: Targets['customers'], holds: boolean, otherwise: string) => {
    if (holds || of === 'none') return
    if (of === 'met') missed.push(otherwise)
    else beyond.push(otherwise)
  }
  const must = (holds: boolean, otherwise: string) => demand('met', holds, otherwise)

  for (const kind of CUSTOMERS) {
    const share = figures.kinds[kind]?.success ?? null
    if (share !== null) demand(targets.customers, share === 1, `${NAMES[kind]} ${percent(share)} within 4 s`)
  }
  const { within32 } = figures.newcomers
  // A short siege has none that could have had their time.
  if (within32 !== null)
    demand(
      targets.newcomers,
      within32 >= NEWCOMERS,
      `newcomers ${percent(within32)} within ${NEWCOMER_TIME} s`,
    )
  if (targets.converges) {
    const by = STORM + (1.2 * 2 * figures.storm * 1_000) / CAPACITY
    const { convergedAfter: at } = figures
    const found = at === null ? 'never' : `after ${(at / 1_000).toFixed(1)} s`
    must(at !== null && at <= by, `the storm's last phone ${found}, not by ${(by / 1_000).toFixed(1)} s`)
  }
  const honest = figures.honestBlocked.length
  must(honest === 0, `${honest} honest blocked or suspended`)
  demand(
    targets.customers === 'frontier' ? 'frontier' : 'met',
    figures.unanswered === 0,
    `${figures.unanswered} phones unanswered for 32 s`,
  )
  const absent = Object.values(figures.absent).reduce((sum, amount) => sum + amount, 0)
  must(absent === 0, `${absent} phones not registered before the attack`)
  for (const [name, { broken }] of Object.entries(figures.calls))
    must(broken === 0, `${broken} calls of the ${name} broken`)
  if (figures.guard !== 'none') {
    const { firstDropAfter: drop, limitCrossedAfter: crossed } = figures
    // The limits are Ringfence's; others have theirs.
    if (crossed !== null && figures.guard === 'ringfence') {
      const late = drop === null ? null : drop - crossed
      const found = late === null ? 'no drop' : `the first drop ${Math.round(late)} ms`
      must(late !== null && late <= FIRST_DROP, `${found} after a limit was crossed`)
    }
    const cpu = sum(figures.cpu)
    must(cpu <= GUARD_CPU, `the guard's processes ${cpu.toFixed(0)} % of a core in user space`)
    const memory = sum(figures.memory)
    must(memory <= GUARD_MEMORY, `the guard's processes ${megabytes(memory)}`)
    const tables = (figures.tables?.sets ?? 0) + (figures.tables?.limits ?? 0)
    must(tables <= KERNEL_TABLES, `the kernel's tables ${megabytes(tables)}`)
  }
  return { kind: missed.length > 0 ? 'missed' : beyond.length > 0 ? 'frontier' : 'met', missed, beyond }
}

/** One line for a table. */
export function showVerdict({ kind, missed, beyond }: Verdict): string {
  const reasons = [...missed, ...beyond.map((text) => `frontier: ${text}`)]
  return reasons.length === 0 ? kind : `${kind}: ${reasons.join('; ')}`
}

const sum = (values: Readonly<Record<string, number>> | null) =>
  Object.values(values ?? {}).reduce((total, value) => total + value, 0)
const percent = (value: number) => `${(100 * value).toFixed(1)} %`
const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
