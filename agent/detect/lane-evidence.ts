import type { Prefix, Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'

/** What was seen that puts a source in a lane of its own, or takes it out of one. */
export type LaneEvidence =
  | {
      /** A 200 to a REGISTER with credentials; the registration lasts until then. */
      readonly kind: 'registered'
      readonly at: EpochMilliseconds
      readonly account: string
      readonly source: Source
      readonly transport: 'udp' | 'tcp'
      readonly until: EpochMilliseconds
    }
  | {
      /** A 200 to a REGISTER with credentials that removed bindings. */
      readonly kind: 'unregistered'
      readonly at: EpochMilliseconds
      readonly account: string
      readonly source: Source
      readonly transport: 'udp' | 'tcp'
    }
  | {
      /** It used a nonce that was sent to it. `own`: to it and to no other address. */
      readonly kind: 'answered'
      readonly at: EpochMilliseconds
      readonly source: Source
      readonly own: boolean
    }
  | {
      /** It was challenged again and again, and never answered or registered. */
      readonly kind: 'ignoring'
      readonly at: EpochMilliseconds
      readonly source: Prefix
    }
  | {
      /**
       * Ports of it that are not registered fail as no phones do, over nonces that everybody is given: until then they
       * share the smallest bucket of a returning address.
       */
      readonly kind: 'guessing'
      readonly at: EpochMilliseconds
      readonly source: Prefix
      readonly until: EpochMilliseconds
    }
