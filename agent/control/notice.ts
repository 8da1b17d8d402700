import type { RulesStatus } from '../../rules/status.ts'

/** What an order finds: whether anything that it asks for can be dropped now. */
export interface Force {
  readonly mode: 'enforce' | 'observe'
  readonly isOff: boolean
  /** Off was ordered, and this is why something stayed. */
  readonly leftBehind?: string | null
  readonly rules: RulesStatus
}

/** What has to be said with an order that was taken while the kernel drops nothing; null where it does. */
export function noticeOf(force: Force): string | null {
  const why = whyNotInForce(force)
  return why === null ? null : `noted; ${why}`
}

/** Why the kernel may not do what the rules say; null where it does. */
export function whyNotInForce({ mode, isOff, leftBehind = null, rules }: Force): string | null {
  if (mode === 'observe') return 'nothing is dropped while the configuration says mode: observe'
  if (isOff && leftBehind !== null)
    return `the rules were to be taken out of the kernel, and some stayed: ${leftBehind}`
  if (isOff) return 'nothing is dropped while the rules are off: `ringfence on` puts them back'
  switch (rules.state) {
    case 'applied':
    case 'pending':
      return null
    case 'off':
      return 'nothing is dropped yet: no rules were applied so far'
    case 'contested':
      return 'another program keeps changing our rules, and the kernel may not hold this: `ringfence status` says what was found'
    case 'failing':
      return `the kernel does not take the rules at the moment, and it is tried again: ${failureSentence(rules.lastError)}`
  }
}

/** Why the last attempt failed, with the line that is to blame. */
export function failureSentence(failure: RulesStatus['lastError']): string {
  if (!failure) return 'it was not said why.'
  return failure.line === null ? failure.message : `${failure.message} (line: ${failure.line})`
}
