import type { Family } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState } from '../desired-state.ts'
import type { NextLimits } from '../render-chains.ts'
import { Buckets } from './buckets.ts'
import { explain } from './explain.ts'
import { FilledSets, isFilled } from './filled-sets.ts'
import { comesBack, destinationType, type HostAddresses } from './host-addresses.ts'
import type { ImaginaryPacket, Trace } from './packet.ts'
import { PacketView } from './packet-view.ts'
import type { Rule } from './parse-rule.ts'
import { PreparedRules } from './prepared-rules.ts'
import { type KernelMemory, type Walk, walk } from './walk.ts'

/**
 * The rules of a desired state while packets come one after the other: buckets empty, and sets fill, as in the kernel.
 * Time is what the packets say, and must not go back.
 */
export class ImaginedTraffic {
  #rules: PreparedRules
  readonly #host: HostAddresses | undefined
  readonly #buckets = new Buckets()
  readonly #filled: FilledSets
  readonly #connections = new Map<string, Set<string>>()
  #counts = new Map<Rule, number>()

  constructor(state: DesiredState, host?: HostAddresses) {
    this.#rules = new PreparedRules(state)
    this.#host = host
    this.#filled = new FilledSets(state.sizes)
  }

  /** Another state is applied: tables and sets that keep their name keep what they hold. */
  become(state: DesiredState, next?: NextLimits): void {
    this.#rules = new PreparedRules(state, next)
    this.#filled.resize(state.sizes)
    this.#counts = new Map()
  }

  /** A packet comes in. */
  arrive(packet: ImaginaryPacket, now: EpochMilliseconds): Trace {
    const view = new PacketView(packet, 'in')
    const walked = this.#walk('RINGFENCE', view, now)
    if (walked.verdict === 'pass' && packet.protocol === 'tcp' && packet.syn) this.#connect(view)
    const { tables } = this.#rules.chains(view.family)
    const type = destinationType(packet.destination, this.#host)
    return explain(walked, { view, state: this.#rules.state, tables, now, destinationType: type })
  }

  /** The host itself sends a packet; `packet.interface` is where it leaves. */
  leave(packet: ImaginaryPacket, now: EpochMilliseconds): void {
    this.#walk('RINGFENCE-OUT', new PacketView(packet, 'out'), now)
  }

  /** Every rule of a family with the packets that it matched, in the order of the chains. */
  counts(family: Family): readonly { readonly rule: string; readonly packets: number }[] {
    const rules = [...this.#rules.chains(family).read.values()].flat()
    return rules.map((rule) => ({ rule: rule.text, packets: this.#counts.get(rule) ?? 0 }))
  }

  #walk(start: string, view: PacketView, now: EpochMilliseconds): Walk {
    const memory: KernelMemory = {
      typeOf: (address) => destinationType(address, this.#host),
      comesBack: (of) => comesBack(of.packet, this.#host),
      find: (set, sides, of) => (isFilled(set) ? this.#filled : this.#rules.held).find(set, sides, of, now),
      add: (target, of) => this.#filled.add(target, of, now),
      spend: (limit, of) => this.#buckets.spend(limit, of, now),
      countConnections: (of, mask) => {
        const known = this.#connections.get(of.prefix('src', mask))
        return (known?.size ?? 0) + (known?.has(connectionOf(of)) ? 0 : 1)
      },
    }
    const walked = walk(this.#rules.chains(view.family).read, start, view, memory)
    for (const [index, { rule }] of walked.steps.entries()) {
      // A table that is full drops inside the match, which no counter sees.
      if (walked.fullTable !== null && index === walked.steps.length - 1) break
      this.#counts.set(rule, (this.#counts.get(rule) ?? 0) + 1)
    }
    return walked
  }

  /** A source is an IPv4 address or an IPv6 /64, as connlimit is told to count. */
  #connect(view: PacketView): void {
    const source = view.prefix('src', view.family === 4 ? 32 : 64)
    const known = this.#connections.get(source) ?? new Set<string>()
    this.#connections.set(source, known.add(connectionOf(view)))
  }
}

function connectionOf({ packet }: PacketView): string {
  return `${packet.source} ${packet.sourcePort} ${packet.destination} ${packet.destinationPort}`
}
