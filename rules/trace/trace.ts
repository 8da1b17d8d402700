import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState } from '../desired-state.ts'
import { purposeOf } from '../names.ts'
import { Buckets } from './buckets.ts'
import { explain } from './explain.ts'
import { type FilledSet, isFilled } from './filled-sets.ts'
import { comesBack, destinationType, type HostAddresses } from './host-addresses.ts'
import type { ImaginaryPacket, Trace } from './packet.ts'
import { PacketView } from './packet-view.ts'
import { PreparedRules } from './prepared-rules.ts'
import { type KernelMemory, walk } from './walk.ts'

/** Which of the sets that the kernel fills by itself hold the packet's source. In none of them, where not said. */
export type HeldByKernel = { readonly [S in FilledSet]?: boolean }

export interface TraceOptions {
  readonly state: DesiredState
  readonly packet: ImaginaryPacket
  readonly now: EpochMilliseconds
  readonly heldByKernel?: HeldByKernel
  /** This host's addresses. Without them every destination is taken for one. */
  readonly host?: HostAddresses
}

/**
 * What the rules of a desired state would do with one packet, and why. Every bucket is full when it comes. Throws a
 * RangeError for a packet that cannot be (addresses of two families, a header too long).
 */
export function tracePacket({ state, packet, now, ...more }: TraceOptions): Trace {
  return new Tracer(state, now).trace(packet, more)
}

/** Traces many packets by one desired state, each as if it were the only one. A state of 100,000 elements is listed once. */
export class Tracer {
  readonly #rules: PreparedRules
  readonly #now: EpochMilliseconds

  constructor(state: DesiredState, now: EpochMilliseconds) {
    this.#rules = new PreparedRules(state)
    this.#now = now
  }

  trace(
    packet: ImaginaryPacket,
    { heldByKernel = {}, host }: Pick<TraceOptions, 'heldByKernel' | 'host'> = {},
  ): Trace {
    const now = this.#now
    const { held, state } = this.#rules
    const view = new PacketView(packet, 'in')
    const { read, tables } = this.#rules.chains(view.family)
    const buckets = new Buckets()
    const memory: KernelMemory = {
      typeOf: (address) => destinationType(address, host),
      comesBack: () => comesBack(packet, host),
      find: (set, sides, of) => {
        if (!isFilled(set)) return held.find(set, sides, of, now)
        const isHeld = heldByKernel[purposeOf(set) as FilledSet] === true
        return isHeld ? { set, text: of.element(sides), until: Number.POSITIVE_INFINITY } : undefined
      },
      add: () => {},
      spend: (limit, of) => buckets.spend(limit, of, now),
      countConnections: () => 1,
    }
    const type = destinationType(packet.destination, host)
    return explain(walk(read, 'RINGFENCE', view, memory), { view, state, tables, now, destinationType: type })
  }
}
