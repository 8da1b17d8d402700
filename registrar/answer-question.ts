import type { AccountResult } from './accounts.ts'
import type { RegistrarState } from './authenticate.ts'
import type { Binding, BindingChange } from './binding.ts'
import type { AccountEntry, Answer, BindingEntry, Question } from './messages.ts'
import type { EpochMilliseconds } from './net/time.ts'
import type { RegistrarStats } from './server.ts'

export interface Answered {
  readonly answer: Answer
  readonly changes: readonly BindingChange[]
}

const PAGE = 1_000

/** Answers what the parent asks of a running registrar, or does what it wants done. */
export function answerQuestion(
  question: Question,
  { state, stats, now }: { state: RegistrarState; stats: () => RegistrarStats; now: EpochMilliseconds },
): Answered {
  switch (question.kind) {
    case 'bindings':
      return only({ kind: 'bindings', ...pageOf(question, state, now) })
    case 'accounts':
      return only({
        kind: 'accounts',
        accounts: state.accounts.list().map((a) => accountEntry(a, state, now)),
      })
    case 'stats':
      return only({ kind: 'stats', stats: stats() })
    case 'add-account':
      return only(accountAnswer(state.accounts.add(question), state, now))
    case 'remove-account': {
      const result = state.accounts.remove(question)
      const answer = accountAnswer(result, state, now)
      if (result.kind === 'refused') return only(answer)
      return { answer, changes: state.bindings.removeAll(result.account.user, 'account-removed') }
    }
    case 'release':
      return only({ kind: 'released', ...state.policy.release(question) })
    case 'set-policy':
      state.policy.settings = question.policy
      return only({ kind: 'policy-set' })
  }
}

export function bindingEntry(binding: Binding, realm: string): BindingEntry {
  const { user, contact, source, transport, userAgent, registeredAt, expiresAt } = binding
  return { user, aor: `${user}@${realm}`, contact, source, transport, userAgent, registeredAt, expiresAt }
}

function accountEntry(
  account: Pick<AccountEntry, 'user' | 'origin'>,
  state: RegistrarState,
  now: EpochMilliseconds,
) {
  const { user, origin } = account
  const bindings = state.bindings.of(user, now).length
  return { user, aor: `${user}@${state.accounts.realm}`, origin, bindings }
}

function accountAnswer(result: AccountResult, state: RegistrarState, now: EpochMilliseconds): Answer {
  if (result.kind === 'refused') return result
  return { kind: 'account', account: accountEntry(result.account, state, now), ha1: result.account.ha1 }
}

function pageOf(
  question: Extract<Question, { kind: 'bindings' }>,
  state: RegistrarState,
  now: EpochMilliseconds,
) {
  const { realm } = state.accounts
  const { user, offset = 0, limit = PAGE } = question
  if (user !== undefined) {
    const bindings = state.bindings.of(user, now).map((binding) => bindingEntry(binding, realm))
    return { bindings: bindings.slice(offset, offset + limit), total: bindings.length }
  }
  const bindings: BindingEntry[] = []
  let at = 0
  for (const binding of state.bindings.list(now)) {
    if (at++ < offset) continue
    if (bindings.length === limit) break
    bindings.push(bindingEntry(binding, realm))
  }
  return { bindings, total: state.bindings.size }
}

function only(answer: Answer): Answered {
  return { answer, changes: [] }
}
