import type { Family } from '../../registrar/net/address.ts'
import type { Clock } from '../../registrar/net/time.ts'
import { ImaginedKernel } from '../../rules/imagined-kernel.ts'
import { type Kernel, KernelError, type ObservedState, type RefusedLine } from '../../rules/kernel.ts'

/** An imagined kernel that can break, wait, and be changed by others; it notes what it was given. */
export class FaultyKernel implements Kernel {
  readonly backend = 'imagined'
  /** While set, everything throws it. */
  trouble: KernelError | undefined
  /** Lines that are refused. */
  refuse: (line: string) => boolean = () => false
  /** Awaited before lines are taken. */
  gate: Promise<void> | undefined
  readonly lines: string[] = []
  restores = 0
  observations = 0
  readonly #kernel: ImaginedKernel

  constructor(clock: Clock) {
    this.#kernel = new ImaginedKernel({ clock })
  }

  async observe(options: { readonly elements: boolean }): Promise<ObservedState> {
    this.observations++
    if (this.trouble) throw this.trouble
    return this.#kernel.observe(options)
  }

  async applySets(commands: readonly string[]): Promise<readonly RefusedLine[]> {
    await this.gate
    if (this.trouble) throw this.trouble
    this.lines.push(...commands)
    const taken = commands.filter((line) => !this.refuse(line))
    const refused = commands
      .filter((line) => this.refuse(line))
      .map((line) => ({ line, message: 'Hash is full' }))
    return [...refused, ...(await this.#kernel.applySets(taken))]
  }

  async applyChains(family: Family, text: string): Promise<void> {
    if (this.trouble) throw this.trouble
    this.restores++
    await this.#kernel.applyChains(family, text)
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
    const { sets } = await this.#kernel.observe({ elements: true })
    return [...(sets.get(set)?.elements?.keys() ?? [])].sort()
  }

  async close(): Promise<void> {}
}
