import { Detector, type DetectorOptions } from '../../../agent/detect/detector.ts'
import type { DetectionPolicy, Verdict } from '../../../agent/detect/verdict.ts'
import type { ExchangeEnded, RegisterSeen } from '../../../agent/observe/observation.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import { POLICY } from '../policy.ts'

export const START = 1_700_000_000_000

export function source(address: string, port = 5060): Source {
  return { address: address as Address, port }
}

/** Credentials over a nonce that only this very port was given, refused. */
export const WRONG = {
  outcome: 'failure',
  status: 401,
  grade: 'path',
  withCredentials: true,
  answersItsChallenge: true,
  nonceOfPort: true,
  nonceIssued: true,
} as const

/** A registration with a nonce of its own. */
export const RIGHT = {
  outcome: 'success',
  status: 200,
  grade: 'account',
  withCredentials: true,
  answersItsChallenge: true,
  grantedExpires: 3600,
} as const

/** A REGISTER over a made-up nonce, which the softswitch refuses to whoever is named in it. */
export const FORGED = {
  outcome: 'failure',
  status: 401,
  grade: 'packet',
  withCredentials: true,
  answersItsChallenge: false,
} as const

/** A detector with its verdicts, and hands to feed it. */
export function stage(policy: Partial<DetectionPolicy> = {}, options: Partial<DetectorOptions> = {}) {
  const verdicts: Verdict[] = []
  const detector = new Detector({
    policy: { ...POLICY, ...policy },
    onVerdict: (verdict) => verdicts.push(verdict),
    ...options,
  })
  return {
    detector,
    verdicts,
    register(from: Source, time: number, rest: Partial<RegisterSeen> = {}) {
      detector.observe({
        kind: 'register',
        time,
        source: from,
        transport: 'udp',
        account: '1001@example.com',
        userAgent: 'phone',
        answersOwnNonce: false,
        answersChallenge: false,
        answersSentNonce: false,
        ...rest,
      })
    },
    exchange(from: Source, time: number, rest: Partial<ExchangeEnded>) {
      detector.observe({
        kind: 'exchange',
        time,
        source: from,
        transport: 'udp',
        serverPort: 5060,
        account: '1001@example.com',
        outcome: 'challenge',
        status: 401,
        grade: 'packet',
        withCredentials: false,
        answersItsChallenge: false,
        grantedExpires: 0,
        answeredIn: 1,
        userAgent: '',
        bindings: [],
        ...rest,
      })
    },
    actions: () =>
      verdicts.map(({ name, action, scope, address, port, grade }) => ({
        name,
        action,
        scope,
        address,
        port,
        grade,
      })),
    /** What was asked for, shortly: `suspend 203.0.113.7:5060`. */
    said: () =>
      verdicts.map(
        ({ name, action, address, port }) =>
          `${name}: ${action} ${address}${port === null ? '' : `:${port}`}`,
      ),
    measures: () =>
      verdicts
        .filter(({ action }) => action === 'suspend' || action === 'block')
        .map(({ action, address, port }) => `${action} ${address}${port === null ? '' : `:${port}`}`),
  }
}
