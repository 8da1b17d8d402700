import type { Family } from '../../registrar/net/address.ts'
import type { Clock } from '../../registrar/net/time.ts'
import { ImaginedKernel } from '../../rules/imagined-kernel.ts'
import {
  type Kernel,
  KernelError,
  type ObservedChains,
  type ObservedState,
  type RefusedLine,
} from '../../rules/kernel.ts'
import { purposeOf, type SetPurpose } from '../../rules/names.ts'
import { NO_CHAINS } from '../../rules/plan-chains.ts'

/** An imagined kernel that can break, wait, and be changed by others; it notes what it was given. */
export class FaultyKernel implements Kernel {
  readonly backend = 'imagined'
  /** While set, everything throws it. */
  trouble: KernelError | undefined
  /** Families whose chains cannot be read, or not be written. */
  readonly unreadable = new Map<Family, KernelError>()
  readonly unwritable = new Map<Family, KernelError>()
  /** Lines that are refused, in these words. */
  refuse: (line: string) => string | undefined = () => undefined
  /** Whether somebody reads the log. */
  logIsRead = false
  /** Awaited before lines are taken. */
  gate: Promise<void> | undefined
  /** What each rule has counted. */
  packetsOf: (rule: string, index: number, family: Family) => number = () => 0
  readonly lines: string[] = []
  /** What was loaded into the chains, in order. */
  readonly payloads: { readonly family: Family; readonly text: string }[] = []
  /** The purposes of the sets whose elements were read, look by look. */
  readonly looks: (readonly SetPurpose[])[] = []
  readonly #kernel: ImaginedKernel

  constructor(clock: Clock) {
    this.#kernel = new ImaginedKernel({ clock })
  }

  get restores(): number {
    return this.payloads.length
  }

  get observations(): number {
    return this.looks.length
  }

  async observe(options: { readonly elements: readonly SetPurpose[] }): Promise<ObservedState> {
    this.looks.push(options.elements)
    if (this.trouble) throw this.trouble
    const observed = await this.#kernel.observe(options)
    const chainsOf = (family: Family): ObservedChains =>
      this.unreadable.has(family)
        ? NO_CHAINS
        : {
            ...observed.chains[family],
            own: new Map(
              [...observed.chains[family].own].map(([name, rules]) => [
                name,
                rules.map((rule, i) => ({ ...rule, packets: this.packetsOf(rule.text, i, family) })),
              ]),
            ),
          }
    return { ...observed, chains: { 4: chainsOf(4), 6: chainsOf(6) }, unreadable: new Map(this.unreadable) }
  }

  usersOfOurs(family: Family): Promise<readonly string[]> {
    return this.#kernel.usersOfOurs(family)
  }

  async isLogRead(): Promise<boolean> {
    return this.logIsRead
  }

  async applySets(commands: readonly string[]): Promise<readonly RefusedLine[]> {
    await this.gate
    if (this.trouble) throw this.trouble
    this.lines.push(...commands)
    const taken: string[] = []
    const refused: RefusedLine[] = []
    for (const line of commands) {
      const message = this.refuse(line)
      if (message === undefined) taken.push(line)
      else refused.push({ line, message })
    }
    return [...refused, ...(await this.#kernel.applySets(taken))]
  }

  async applyChains(family: Family, text: string): Promise<void> {
    if (this.trouble) throw this.trouble
    const trouble = this.unwritable.get(family)
    if (trouble) throw trouble
    await this.#kernel.applyChains(family, text)
    this.payloads.push({ family, text })
  }

  /** What somebody else does. */
  async foreign(family: Family, ...lines: readonly string[]): Promise<void> {
    await this.#kernel.applyChains(family, ['*raw', ...lines, 'COMMIT', ''].join('\n'))
  }

  async foreignSets(...lines: readonly string[]): Promise<void> {
    const refused = await this.#kernel.applySets(lines)
    if (refused.length > 0) throw new KernelError('refused', refused[0]!.message)
  }

  async elements(set: string): Promise<readonly string[]> {
    const { sets } = await this.#kernel.observe({ elements: [purposeOf(set)!] })
    return [...(sets.get(set)?.elements?.keys() ?? [])].sort()
  }

  async rules(family: Family, chain: string): Promise<readonly string[]> {
    const { own, builtIn } = (await this.#kernel.observe({ elements: [] })).chains[family]
    const rules = chain === 'PREROUTING' || chain === 'OUTPUT' ? builtIn[chain] : own.get(chain)
    return (rules ?? []).map(({ text }) => text)
  }

  async close(): Promise<void> {}
}
