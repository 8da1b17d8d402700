import type { BindingView } from '../../dashboard/api/control-plane.ts'
import { showSource } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Binding } from '../observe/bindings.ts'

/** A binding that the softswitch told of, for people. */
export function learntBindingView(binding: Binding, now: EpochMilliseconds): BindingView {
  const { account, contact, source, transport, userAgent, registeredAt, expiresAt } = binding
  return {
    aor: account,
    contact,
    source: source === null ? '' : showSource(source),
    transport,
    userAgent,
    registeredAt,
    secondsLeft: Math.max(0, Math.round((expiresAt - now) / 1000)),
    learnt: true,
  }
}
