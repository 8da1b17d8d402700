import type { Noted } from '../api/control-plane.ts'
import type { DecisionView } from '../api/decisions.ts'
import type { ErrorAnswer } from '../api/errors.ts'
import { view } from './state.ts'

/** A refusal of the API, in its own words for a person. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.name = 'Refused'
    this.status = status
  }
}

export const login = (password: string) => post<{ name: string }>('login', { password })
export const logout = () => post<object>('logout')
export const block = (order: { target: string; seconds?: number; reason?: string }) =>
  post<DecisionView & Noted>('blocks', order)
export const unblock = (target: string) => post<{ removed: DecisionView[] }>('unblock', { target })
export const enforceSip = (enforced: boolean) =>
  post<{ enforced: boolean } & Noted>('enforce-sip', { enforced })
export const turnOn = () => post<Noted>('on')

/** Whether this browser is logged in; null where the host does not answer. */
export async function isLoggedIn(): Promise<boolean | null> {
  try {
    const answer = await fetch('/api/v1/allowed', { cache: 'no-store' })
    if (answer.status === 401) return false
    return answer.ok ? true : null
  } catch {
    return null
  }
}

async function post<T>(path: string, body?: object): Promise<T> {
  const answer = await fetch(`/api/v1/${path}`, {
    method: 'POST',
    headers: { 'x-ringfence': '1', ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.timeout(10_000),
  }).catch(() => {
    throw new Refused(0, 'The host does not answer. Nothing may have changed; try again.')
  })
  const text = await answer.text()
  if (answer.ok) return JSON.parse(text) as T
  if (answer.status === 401 && path !== 'login') view.value = 'login'
  throw new Refused(answer.status, messageOf(text) ?? `The host answered with an error (${answer.status}).`)
}

function messageOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as ErrorAnswer).message
  } catch {
    return undefined
  }
}
