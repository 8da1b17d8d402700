import type { Prefix } from '../../registrar/net/address.ts'
import type { ConfiguredGateway } from './config.ts'

/** Calls a second of the usual kinds of gateway; VOS3000 has the same kinds. */
export const CPS_PROFILES = {
  'single-phone': 5,
  'small-office': 20,
  'call-center': 80,
  wholesale: 150,
  reseller: 50,
} as const

export type CpsProfile = keyof typeof CPS_PROFILES

/** A burst that is not written is so many seconds of calls. */
const SECONDS_AT_ONCE = 2

/** A gateway as it is written in the file: with a profile or a number. */
export interface WrittenGateway {
  readonly name: string
  readonly prefixes: readonly Prefix[]
  readonly profile?: CpsProfile | undefined
  readonly cps?: number | undefined
  readonly burst?: number | undefined
}

export function gatewayOf({ name, prefixes, profile, cps, burst }: WrittenGateway): ConfiguredGateway {
  // The schema lets no gateway pass that has neither.
  const perSecond = cps ?? CPS_PROFILES[profile ?? 'single-phone']
  return { name, prefixes, cps: { perSecond, burst: burst ?? perSecond * SECONDS_AT_ONCE } }
}
