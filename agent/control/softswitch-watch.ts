import type { NonceView, SightView } from '../../dashboard/api/sight.ts'
import type { RulesLog } from '../../rules/engine.ts'
import type { Journal } from '../journal/journal.ts'
import type { NonceSharing } from '../observe/nonce-sharing.ts'
import type { PortSight } from '../observe/sight.ts'
import type { SensorSummary } from '../sensor/messages.ts'

const NONCES = 'nonce-sharing'

/**
 * What the sensor learns of the softswitch itself: how far each port can be read, and whether its nonces are shared.
 * Says it in the log when that changes for the worse, and keeps in the journal what a restart must not forget.
 */
export class SoftswitchWatch {
  #sight: readonly PortSight[] = []
  #nonces: readonly NonceSharing[]
  readonly #journal: Pick<Journal, 'setting' | 'putSetting'>
  readonly #log: RulesLog
  readonly #keep: (write: () => void) => void

  /** `keep`: does what may fail without harm to anybody. */
  constructor(options: {
    readonly journal: Pick<Journal, 'setting' | 'putSetting'>
    readonly log: RulesLog
    readonly keep: (write: () => void) => void
  }) {
    this.#journal = options.journal
    this.#log = options.log
    this.#keep = options.keep
    let written: string | undefined
    this.#keep(() => {
      written = this.#journal.setting(NONCES)
    })
    this.#nonces = readNonces(written)
  }

  /** What is known of nonces, for a sensor that starts. */
  get nonces(): readonly NonceSharing[] {
    return this.#nonces
  }

  get sightViews(): readonly SightView[] {
    return this.#sight
  }

  get nonceViews(): readonly NonceView[] {
    return this.#nonces.map((sharing) => ({ ...sharing, detail: sayNonces(sharing) }))
  }

  summarised({ sight, nonces }: Pick<SensorSummary, 'sight' | 'nonces'>): void {
    this.#sayChanges(sight)
    this.#sight = sight
    const before = new Map(this.#nonces.map(({ server, state }) => [server, state]))
    const changed = nonces.filter(({ server, state }) => state !== (before.get(server) ?? 'unknown'))
    this.#nonces = nonces
    if (changed.length === 0) return
    for (const sharing of changed) {
      if (sharing.state !== 'unknown')
        this.#log.info({ server: sharing.server, nonces: sharing.state }, sayNonces(sharing))
    }
    this.#keep(() => this.#journal.putSetting(NONCES, JSON.stringify(nonces)))
  }

  #sayChanges(sight: readonly PortSight[]): void {
    for (const { port, transport, state, detail } of sight) {
      const before = this.#sight.find((known) => known.port === port && known.transport === transport)?.state
      if (state === (before ?? 'quiet')) continue
      const fields = { port, transport, state }
      if (state === 'half-sighted' || state === 'blind')
        this.#log.warn(fields, `Not all is seen of ${transport} port ${port}: ${detail}.`)
      else if (before === 'half-sighted' || before === 'blind')
        this.#log.info(fields, `All is seen of ${transport} port ${port} again.`)
    }
  }
}

/** What follows, and what mends it, in a sentence. */
function sayNonces({ state }: NonceSharing): string {
  switch (state) {
    case 'unknown':
      return 'not known yet whether it gives one nonce to several addresses'
    case 'unique':
      return 'each address gets nonces of its own: refused credentials count against who sent them'
    case 'shared':
      return 'it gives one nonce to several addresses, so refused credentials can be forged, and of who registered lately they suspend no more than a port that is not registered; Kamailio gives each its own with modparam("auth", "nonce_count", 1)'
  }
}

/** What an earlier run wrote; nothing where that cannot be read. */
function readNonces(written: string | undefined): readonly NonceSharing[] {
  if (written === undefined) return []
  try {
    const read: unknown = JSON.parse(written)
    return Array.isArray(read) ? read.filter(isSharing) : []
  } catch {
    return []
  }
}

function isSharing(value: unknown): value is NonceSharing {
  if (typeof value !== 'object' || value === null) return false
  const { server, state, since, shared, unique } = value as Record<string, unknown>
  return (
    typeof server === 'string' &&
    (state === 'unknown' || state === 'unique' || state === 'shared') &&
    [since, shared, unique].every((number) => typeof number === 'number')
  )
}
