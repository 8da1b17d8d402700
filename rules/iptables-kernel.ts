import { readFile } from 'node:fs/promises'
import type { Family } from '../registrar/net/address.ts'
import { IpsetPipe } from './ipset-pipe.ts'
import {
  type Kernel,
  KernelError,
  type ObservedChains,
  type ObservedElement,
  type ObservedState,
  type RefusedLine,
} from './kernel.ts'
import { type SetPurpose, setName } from './names.ts'
import { parseChains, parseElements, parseSetHeaders, parseUsersOfOurs } from './parse-observed.ts'
import { NO_CHAINS } from './plan-chains.ts'
import { isIncompatible, NftTable } from './read-nft-table.ts'
import { runProgram } from './run-program.ts'

export interface IptablesKernelOptions {
  /** `iptables` (the default) is what the host uses; the others ask for one backend by its program names. */
  readonly iptables?: 'iptables' | 'iptables-nft' | 'iptables-legacy'
  /** Works inside a named network namespace. */
  readonly netns?: string
  /** The program that is asked where iptables cannot read what nft made. Default: `nft`. */
  readonly nft?: string
}

/** A line for each group that somebody reads, its number first (net/netfilter/nfnetlink_log.c, seq_show). */
const LOG_LISTENERS = '/proc/net/netfilter/nfnetlink_log'
/** From so many lines on a spawn pays: `ipset restore` puts many lines into one message to the kernel. */
const BULK = 1_000
/** A set may go between the look at the names and the look at the elements. */
const READ_ATTEMPTS = 3

/**
 * The real kernel, by iptables-restore, iptables-save and one `ipset -` kept open. Needs no start; `close` ends
 * its ipset. Changes must not overlap: there is one writer.
 */
export class IptablesKernel implements Kernel {
  backend = 'unknown'
  readonly #programs: { readonly 4: string; readonly 6: string }
  readonly #netns: string | undefined
  readonly #pipe: IpsetPipe
  readonly #nftTables: { readonly 4: NftTable; readonly 6: NftTable }

  constructor(options: IptablesKernelOptions = {}) {
    const name = options.iptables ?? 'iptables'
    this.#programs = { 4: name, 6: name.replace('iptables', 'ip6tables') }
    this.#netns = options.netns
    this.#pipe = new IpsetPipe(options.netns)
    const nftTable = (family: Family) =>
      new NftTable({
        family,
        nft: (args) => this.#run(options.nft ?? 'nft', args),
        iptables: (args) => this.#run(this.#programs[family], args),
      })
    this.#nftTables = { 4: nftTable(4), 6: nftTable(6) }
  }

  async observe({ elements }: { readonly elements: readonly SetPurpose[] }): Promise<ObservedState> {
    if (this.backend === 'unknown') this.backend = await this.#askBackend()
    const [v4, v6, sets] = await Promise.all([
      this.#observeChains(4),
      this.#observeChains(6),
      this.#observeSets(elements),
    ])
    const failures = ([4, 6] as const).flatMap((family) => {
      const chains = family === 4 ? v4 : v6
      return chains instanceof KernelError ? [[family, chains] as const] : []
    })
    if (v4 instanceof KernelError && v6 instanceof KernelError) throw v4
    return {
      chains: {
        4: v4 instanceof KernelError ? NO_CHAINS : v4,
        6: v6 instanceof KernelError ? NO_CHAINS : v6,
      },
      ...sets,
      ...(failures.length > 0 ? { unreadable: new Map(failures) } : {}),
    }
  }

  async applySets(commands: readonly string[]): Promise<readonly RefusedLine[]> {
    const refused: RefusedLine[] = []
    // Taken twice, a swap is none: it goes alone, so that it never has to go again with the others.
    for (let start = 0; start < commands.length; ) {
      const isSwap = commands[start]!.startsWith('swap ')
      const next = commands.findIndex((line, i) => i > start && (isSwap || line.startsWith('swap ')))
      const end = next < 0 ? commands.length : next
      refused.push(...(await this.#applySome(commands.slice(start, end))))
      start = end
    }
    return refused
  }

  async applyChains(family: Family, text: string): Promise<void> {
    // The legacy backend has one lock for all who write; another firewall's reload may hold it for a while.
    await this.#run(`${this.#programs[family]}-restore`, ['--noflush', '--wait', '10'], text)
  }

  async usersOfOurs(family: Family): Promise<readonly string[]> {
    const name = this.#programs[family]
    const users = parseUsersOfOurs(await this.#run(`${name}-save`, []))
    return users.map(({ table, rule }) => `${name} -t ${table} ${rule}`)
  }

  async isLogRead(group: number): Promise<boolean> {
    try {
      const listeners =
        this.#netns === undefined
          ? await readFile(LOG_LISTENERS, 'utf8')
          : await this.#run('cat', [LOG_LISTENERS])
      return listeners.split('\n').some((line) => Number.parseInt(line, 10) === group)
    } catch (error) {
      // The kernel's module makes the file, and without it there is no log.
      const { code, message } = error as NodeJS.ErrnoException
      return code !== 'ENOENT' && !message.includes('No such file')
    }
  }

  close(): Promise<void> {
    return this.#pipe.close()
  }

  async #observeChains(family: Family): Promise<ObservedChains | KernelError> {
    try {
      const saved = await this.#run(`${this.#programs[family]}-save`, ['-c', '-t', 'raw'])
      return isIncompatible(saved) ? await this.#nftTables[family].read() : parseChains(saved)
    } catch (error) {
      if (error instanceof KernelError) return error
      throw error
    }
  }

  async #observeSets(purposes: readonly SetPurpose[]): Promise<Pick<ObservedState, 'sets' | 'straySets'>> {
    for (let attempt = 1; ; attempt++) {
      const headers = parseSetHeaders(await this.#run('ipset', ['list', '-t']))
      const names = purposes
        .flatMap((purpose) => [setName(purpose, 4), setName(purpose, 6)])
        .filter((name) => headers.sets.has(name))
      if (names.length === 0) return headers
      const elements = await this.#readElements(names)
      if (elements.size === names.length) {
        const sets = new Map(headers.sets)
        for (const [name, found] of elements) {
          sets.set(name, { ...headers.sets.get(name)!, size: found.size, elements: found })
        }
        return { ...headers, sets }
      }
      if (attempt === READ_ATTEMPTS) {
        throw new KernelError('no-answer', 'ipset lists sets that it does not show.')
      }
    }
  }

  /** One spawn for all of them. A set that is missing makes it answer wrongly to the lines behind. */
  async #readElements(
    names: readonly string[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, ObservedElement>>> {
    const lines = names.map((name) => `save ${name}\n`).join('')
    return parseElements(await this.#run('ipset', ['-'], lines))
  }

  async #applySome(commands: readonly string[]): Promise<readonly RefusedLine[]> {
    if (commands.length >= BULK && (await this.#restore(commands))) return []
    const refused = await this.#pipe.write(commands)
    return refused.filter(({ line, message }) => !(line.startsWith('destroy ') && isMissing(message)))
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

function isMissing(message: string): boolean {
  return message.includes('The set with the given name does not exist')
}
