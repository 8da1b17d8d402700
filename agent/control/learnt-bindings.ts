import type { BindingView } from '../../dashboard/api/accounts.ts'
import { showSource } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { ToldBinding } from '../sensor/messages.ts'

/** A binding that the softswitch told of, for people. */
export function learntBindingView(binding: ToldBinding, now: EpochMilliseconds): BindingView {
  const { account, contact, source, transport, userAgent, registeredAt, expiresAt, online } = binding
  return {
    aor: account,
    contact,
    source: source === null ? '' : showSource(source),
    transport,
    userAgent,
    registeredAt,
    secondsLeft: Math.max(0, Math.round((expiresAt - now) / 1000)),
    learnt: true,
    online,
  }
}
