import type { Family } from '../registrar/net/address.ts'
import { IpsetPipe } from './ipset-pipe.ts'
import { type Kernel, KernelError, type ObservedState, type RefusedLine } from './kernel.ts'
import { parseChains, parseSetHeaders, parseSets } from './parse-observed.ts'
import { runProgram } from './run-program.ts'

export interface IptablesKernelOptions {
  /** `iptables` (the default) is what the host uses; the others ask for one backend by its program names. */
  readonly iptables?: 'iptables' | 'iptables-nft' | 'iptables-legacy'
  /** Works inside a named network namespace. */
  readonly netns?: string
}

/** From so many lines on a spawn pays: `ipset restore` puts many lines into one message to the kernel. */
const BULK = 1_000

/**
 * The real kernel, by iptables-restore, iptables-save and one `ipset -` kept open. Needs no start; `close` ends
 * its ipset. Calls must not overlap: there is one writer.
 */
export class IptablesKernel implements Kernel {
  backend = 'unknown'
  readonly #programs: { readonly 4: string; readonly 6: string }
  readonly #netns: string | undefined
  readonly #pipe: IpsetPipe

  constructor(options: IptablesKernelOptions = {}) {
    const name = options.iptables ?? 'iptables'
    this.#programs = { 4: name, 6: name.replace('iptables', 'ip6tables') }
    this.#netns = options.netns
    this.#pipe = new IpsetPipe(options.netns)
  }

  async observe({ elements }: { readonly elements: boolean }): Promise<ObservedState> {
    if (this.backend === 'unknown') this.backend = await this.#askBackend()
    const [v4, v6, sets] = await Promise.all([
      this.#run(`${this.#programs[4]}-save`, ['-c', '-t', 'raw']),
      this.#run(`${this.#programs[6]}-save`, ['-c', '-t', 'raw']),
      this.#run('ipset', elements ? ['save'] : ['list', '-t']),
    ])
    return {
      chains: { 4: parseChains(v4), 6: parseChains(v6) },
      sets: elements ? parseSets(sets) : parseSetHeaders(sets),
    }
  }

  async applySets(commands: readonly string[]): Promise<readonly RefusedLine[]> {
    if (commands.length >= BULK && (await this.#restore(commands))) return []
    return this.#pipe.write(commands)
  }

  async applyChains(family: Family, text: string): Promise<void> {
    // The legacy backend has one lock for all who write; another firewall's reload may hold it for a while.
    await this.#run(`${this.#programs[family]}-restore`, ['--noflush', '--wait', '10'], text)
  }

  close(): Promise<void> {
    return this.#pipe.close()
  }

  async #askBackend(): Promise<string> {
    const version = await this.#run(this.#programs[4], ['--version'])
    return version.includes('nf_tables') ? 'iptables-nft' : 'iptables-legacy'
  }

  /** False where a line was refused: then some of the others were dropped with it, and all have to go again. */
  async #restore(commands: readonly string[]): Promise<boolean> {
    try {
      await this.#run('ipset', ['-exist', 'restore'], `${commands.join('\n')}\n`)
      return true
    } catch (error) {
      if (error instanceof KernelError && error.kind === 'refused') return false
      throw error
    }
  }

  #run(program: string, args: readonly string[], input?: string): Promise<string> {
    return runProgram({
      program,
      arguments: args,
      netns: this.#netns,
      ...(input === undefined ? {} : { input }),
    })
  }
}
