import type { ProcessFigures } from './processes.ts'

/** Who protects the softswitch; `none`: nobody does. */
export const GUARD_NAMES = ['none', 'ringfence', 'hashlimit', 'pike', 'fail2ban', 'crowdsec'] as const
export type GuardName = (typeof GUARD_NAMES)[number]

/** Somebody whom a guard does not let through, while it stands. */
export interface Ban {
  /** The same as long as it is the same ban. */
  readonly id: string
  /** An address, `address:port` or a prefix. */
  readonly target: string
  /** The guard's name for what decided it. */
  readonly by: string
  readonly reason: string
}

/** A protection of the softswitch's host, there from `start` to `end`, and all of it in the stage. */
export interface SiegeGuard {
  /** Resolves when it protects; the softswitch runs by then. */
  start(): Promise<void>
  /** Ends its processes in order. Whatever else it has goes with the stage's namespaces and folder. */
  end(): Promise<void>
  /** Of each of its kinds of process since it began; empty where the kernel or the softswitch does the work. */
  figures(): Readonly<Record<string, ProcessFigures>>
  /** Who is banned now. */
  banned(): Promise<readonly Ban[]>
  /** Packets that each of its rules in the kernel has dropped. */
  dropsByRule(): Promise<Readonly<Record<string, number>>>
}
